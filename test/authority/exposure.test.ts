/** Keys that others could reach: nothing opens, and the sentence says what mends it. */
import { chmod, chown, mkdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findExposure, isKeyName } from '../../src/authority/exposure.ts';
import { createScratch, succeed } from '../e2e/command.ts';
import { runAptkeep } from '../e2e/program.ts';
import { initialise, openKept } from './kept.ts';

const scratch = createScratch('exposure');
const data = join(scratch, 'data');
const certs = join(data, 'certs');
const isRoot = process.geteuid?.() === 0;
const KEYS = ['client-ca.key', 'server-ca.key', 'server.key', 'archive-key.asc'];

beforeAll(() => initialise(data));

const openAndClose = async (): Promise<void> => (await openKept(data)).close();

beforeEach(async () => {
  await chmod(certs, 0o700);
  for (const key of KEYS) await chmod(join(certs, key), 0o600);
});

describe('a key', () => {
  it.each(KEYS)(
    '%s that everyone reads is refused, and mended by what the refusal says',
    async (key) => {
      await chmod(join(certs, key), 0o644);
      const message = `certs/${key} has the mode 0644; 0600 is allowed: chmod 0600 certs/${key}`;
      await expect(openKept(data)).rejects.toMatchObject({ code: 'KEY_EXPOSED', message });
      await succeed('sh', ['-c', message.split(': ')[1] ?? ''], { cwd: data });
      await openAndClose();
    },
  );

  it.each([0o640, 0o604, 0o620, 0o602, 0o660, 0o601, 0o4644])(
    'of mode %o is refused',
    async (mode) => {
      await chmod(join(certs, 'client-ca.key'), mode);
      await expect(openKept(data)).rejects.toMatchObject({ code: 'KEY_EXPOSED' });
    },
  );

  it.each([0o600, 0o400])('of mode %o is let be', async (mode) => {
    await chmod(join(certs, 'client-ca.key'), mode);
    await openAndClose();
    expect((await stat(join(certs, 'client-ca.key'))).mode & 0o777).toBe(mode);
  });

  it('is refused as a copy that somebody left', async () => {
    for (const name of ['client-ca.key.bak', 'archive-key.asc~', '.server.key.1234']) {
      await writeFile(join(certs, name), 'a copy', { mode: 0o644 });
      await expect(openKept(data)).rejects.toThrow(`certs/${name} has the mode 0644`);
      await succeed('rm', [join(certs, name)]);
    }
    await openAndClose();
  });

  it('behind a link is judged where it lies', async () => {
    const aside = join(scratch, 'aside.key');
    await rename(join(certs, 'client-ca.key'), aside);
    await symlink(aside, join(certs, 'client-ca.key'));
    await openAndClose();
    await chmod(aside, 0o644);
    await expect(openKept(data)).rejects.toThrow('certs/client-ca.key has the mode 0644');
    await chmod(aside, 0o600);
    await rename(aside, join(certs, 'client-ca.key'));
    await openAndClose();
  });

  it('of another user is refused', async () => {
    const found = await stat(join(certs, 'server.key'));
    const owners = [0, found.uid + 1].filter((uid) => uid !== found.uid);
    const why = findExposure(found, owners, 'certs/server.key');
    expect(why).toContain(`certs/server.key belongs to another user (uid ${found.uid})`);
    expect(findExposure(found, [found.uid], 'certs/server.key')).toBeUndefined();
    if (!isRoot) return;
    await chown(join(certs, 'server.key'), 65_534, 65_534);
    await expect(openKept(data)).rejects.toThrow(
      /server\.key belongs to another user \(uid 65534\)/,
    );
    await chown(join(certs, 'server.key'), 0, 0);
  });

  it('of a service is opened by root as well', async () => {
    if (isRoot) await succeed('chown', ['-R', '65534:65534', data]);
    await openAndClose();
    if (isRoot) await succeed('chown', ['-R', '0:0', data]);
  });
});

describe('certs/', () => {
  it.each([0o755, 0o750, 0o710, 0o702])('of mode %o with keys in it is refused', async (mode) => {
    await chmod(certs, mode);
    const octal = `0${mode.toString(8)}`;
    const message = `certs has the mode ${octal}; 0700 is allowed: chmod 0700 certs`;
    await expect(openKept(data)).rejects.toMatchObject({ code: 'KEY_EXPOSED', message });
  });

  it('of a fresh checkout, with a page in it, is closed by init', async () => {
    const fresh = join(scratch, 'fresh');
    await mkdir(join(fresh, 'certs'), { recursive: true, mode: 0o755 });
    await writeFile(join(fresh, 'certs/README.md'), 'a page\n', { mode: 0o644 });
    await initialise(fresh);
    expect((await stat(join(fresh, 'certs'))).mode & 0o777).toBe(0o700);
    expect(await readFile(join(fresh, 'certs/README.md'), 'utf8')).toBe('a page\n');
  });
});

describe('every command', () => {
  it.each([
    ['status'],
    ['serve', '--listen', '127.0.0.1:0'],
    ['crl', 'refresh'],
    ['cert', 'list'],
    ['key', 'passphrase', '--remove'],
  ])('%s refuses with status 1 and one line', async (...words) => {
    await chmod(join(certs, 'server.key'), 0o644);
    const outcome = await runAptkeep([...words, '--data', data]);
    expect(outcome).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'aptkeep: key open to others: certs/server.key has the mode 0644; 0600 is allowed: chmod 0600 certs/server.key\n',
    });
  });
});

describe('the name of a key', () => {
  it.each([
    'client-ca.key',
    'client-ca-2.key',
    '.server.key.0a1b',
    'server.key~',
    'archive-key.asc',
  ])('%s is one', (name) => expect(isKeyName(name)).toBe(true));
  it.each(['README.md', 'archive-keyring.gpg', 'archive-keyring.asc', 'client-ca.crt', 'crl.pem'])(
    '%s is none',
    (name) => expect(isKeyName(name)).toBe(false),
  );
});
