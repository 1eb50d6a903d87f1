/** The hosts' client as a package: what dpkg's own tools build from debian/, the server builds. */
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildClientPackage } from '../../src/fleet/client-package.ts';
import { CHECKOUT, createScratch, succeed } from '../e2e/command.ts';

const scratch = createScratch('client-package');
const own = join(scratch, 'own.deb');
let theirs = '';

beforeAll(async () => {
  await writeFile(own, (await buildClientPackage()).content);
  const source = join(scratch, 'build/source');
  await mkdir(source, { recursive: true });
  await cp(join(CHECKOUT, 'debian'), join(source, 'debian'), { recursive: true });
  await succeed('dpkg-buildpackage', ['-us', '-uc', '-b'], { cwd: source });
  const built = (await readdir(join(scratch, 'build'))).filter((name) => name.endsWith('.deb'));
  expect(built).toHaveLength(1);
  theirs = join(scratch, 'build', built[0] ?? '');
});

describe('the package that the server builds', () => {
  it('has the control paragraph of dpkg-gencontrol, and the scripts, to the byte', async () => {
    const read = async (file: string, name: string): Promise<string> => {
      const folder = join(scratch, name);
      await succeed('dpkg-deb', ['--control', file, folder]);
      return succeed('sh', ['-c', 'stat -c "%n %a" *; for f in *; do echo "$f:"; cat "$f"; done'], {
        cwd: folder,
      });
    };
    expect(await read(own, 'own-control')).toBe(await read(theirs, 'their-control'));
  });

  it('has the files, modes and owners of dpkg-deb', async () => {
    const list = async (file: string): Promise<string[]> =>
      (await succeed('dpkg-deb', ['--contents', file]))
        .split('\n')
        .map((line) => line.replace(/ +\S+ +\S+ (?=\.)/, ' '))
        .sort();
    expect(await list(own)).toEqual(await list(theirs));
  });

  it('unpacks to the same bytes, of which its md5sums are', async () => {
    for (const [file, name] of [
      [own, 'own'],
      [theirs, 'theirs'],
    ] as const) {
      await succeed('dpkg-deb', ['--extract', file, join(scratch, name)]);
    }
    await succeed('diff', ['-r', join(scratch, 'own'), join(scratch, 'theirs')]);
    const sums = await succeed('sh', ['-c', 'dpkg-deb --info "$1" md5sums', 'sh', own]);
    await succeed('md5sum', ['--check', '--strict', '-'], {
      cwd: join(scratch, 'own'),
      input: sums,
    });
  });

  it('has the version of the changelog', async () => {
    const { package: name, version } = await buildClientPackage();
    const changelog = join(CHECKOUT, 'debian/changelog');
    const parsed = await succeed('dpkg-parsechangelog', ['-l', changelog, '-S', 'Version']);
    expect([name, version]).toEqual(['aptkeep-client', parsed.trim()]);
  });

  it('is the same every time', async () => {
    const [one, two] = await Promise.all([buildClientPackage(), buildClientPackage()]);
    expect(one.content.equals(two.content)).toBe(true);
  });
});
