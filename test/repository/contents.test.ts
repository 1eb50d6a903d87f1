/** Contents of a suite: held against apt-ftparchive, and its late lines made to come. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listLateContents } from '../../src/catalog/contents.ts';
import { findListedPackages } from '../../src/catalog/packages.ts';
import { ContentsBacklog } from '../../src/repository/contents-backlog.ts';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import { buildPackage, buildTar } from '../deb/build.ts';
import {
  createKey,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  signAgain,
} from './open.ts';

let key: SecretKey;
let root: string;
let parts: OpenRepository;
beforeAll(async () => {
  key = await createKey();
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-contents-'));
  parts = await openRepository(root, { key });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

interface Wanted {
  name: string;
  architecture?: string;
  section?: string;
  /** Lines of the control file beyond the necessary ones. */
  fields?: string;
  paths: readonly string[];
}

function packageOf(wanted: Wanted): Buffer {
  const { name, architecture = 'all', section = 'admin', fields = '', paths } = wanted;
  const control = `Package: ${name}\nVersion: 1.0\nSection: ${section}\nArchitecture: ${architecture}\nMaintainer: A <a@example.org>\nDescription: made for a test\n${fields}`;
  const pack = (entries: Parameters<typeof buildTar>[0]): Buffer => gzipSync(buildTar(entries));
  return buildPackage({
    control: { name: 'control.tar.gz', content: pack([{ name: './control', content: control }]) },
    data: { name: 'data.tar.gz', content: pack(paths.map((path) => ({ name: path }))) },
  });
}

/** @param architecture with `udeb-` before it for installer packages. */
async function readLines(architecture = 'amd64', component = 'main'): Promise<string[]> {
  const live = parts.live.get('stable');
  const file = live?.files.get(`${component}/Contents-${architecture}`);
  if (!live || !file) throw new Error(`there is no Contents-${architecture}`);
  const text = (await buffer(await readPublishedFile(parts.storage, file))).toString('latin1');
  return text.split('\n').filter((line) => line !== '');
}

const publicationOf = (): number => parts.live.get('stable')?.number ?? 0;
const publish = (): Promise<void> => publishFirst(parts, { options: {} });

/** More paths than come with their package. */
const MANY = Array.from(
  { length: 12_000 },
  (_, i) => `./usr/share/many/${String(i).padStart(80, '0')}`,
);

describe('Contents', () => {
  it('has the lines of a package from the publication on that lists it', async () => {
    await publish();
    await ingest(parts, [
      packageOf({ name: 'tool', paths: ['./usr/bin/tool', './etc/tool.conf'] }),
    ]);
    await ingest(parts, [
      packageOf({ name: 'lib', architecture: 'arm64', section: 'libs', paths: ['./usr/lib/a b'] }),
    ]);
    const tool = ['usr/bin/tool\tadmin/tool', 'etc/tool.conf\tadmin/tool'];
    expect(await readLines()).toEqual(tool);
    expect(await readLines('arm64')).toEqual([...tool, 'usr/lib/a b\tlibs/lib']);
  });

  it('loses them with the package, and has them again with it', async () => {
    await publish();
    for (const name of ['a', 'b', 'c']) {
      await ingest(parts, [packageOf({ name, paths: [`./usr/${name}`] })]);
    }
    const [row] = await findListedPackages(parts.catalog, 'b');
    if (!row) throw new Error('b is not listed');
    const change = { additions: [], removals: [{ component: 'main', row }] };
    await parts.publisher.submit('stable', { ...change, reason: 'remove', actor: 'test' });
    expect(await readLines()).toEqual(['usr/a\tadmin/a', 'usr/c\tadmin/c']);
    await ingest(parts, [packageOf({ name: 'b', paths: ['./usr/b'] })]);
    expect(await readLines()).toEqual(['usr/a\tadmin/a', 'usr/c\tadmin/c', 'usr/b\tadmin/b']);
  });

  it('has installer packages apart, from the first one on', async () => {
    await publish();
    await ingest(parts, [packageOf({ name: 'tool', paths: ['./usr/bin/tool'] })]);
    await expect(readLines('udeb-amd64')).rejects.toThrow('there is no');
    const fields = 'Package-Type: udeb\n';
    await ingest(parts, [packageOf({ name: 'tool-udeb', fields, paths: ['./bin/tool'] })]);
    expect(await readLines('udeb-amd64')).toEqual(['bin/tool\tadmin/tool-udeb']);
    expect(await readLines('amd64')).toEqual(['usr/bin/tool\tadmin/tool']);
  });

  it('is not there for a suite that does without', async () => {
    await publishFirst(parts, { options: { contents: false } });
    await ingest(parts, [packageOf({ name: 'a', paths: ['./usr/a'] })]);
    const paths = [...(parts.live.get('stable')?.files.keys() ?? [])];
    expect(paths.filter((path) => path.includes('Contents'))).toEqual([]);
  });

  it('is the same after a start', async () => {
    await publish();
    await ingest(parts, [packageOf({ name: 'a', paths: ['./usr/a'] })]);
    await parts.close();
    parts = await openRepository(root, { key });
    await ingest(parts, [packageOf({ name: 'b', paths: ['./usr/b'] })]);
    expect(await readLines()).toEqual(['usr/a\tadmin/a', 'usr/b\tadmin/b']);
  });
});

describe('lines that are late', () => {
  it('hold up neither their package nor others, and come when nothing else does', async () => {
    await publish();
    const [added] = await ingest(parts, [packageOf({ name: 'many', paths: MANY })]);
    expect(await readLines()).toEqual([]);
    await ingest(parts, [packageOf({ name: 'a', paths: ['./usr/a'] })]);
    expect(await readLines()).toEqual(['usr/a\tadmin/a']);
    await new ContentsBacklog(parts).work();
    expect(publicationOf()).toBe((added?.publication ?? 0) + 2);
    expect(await readLines()).toHaveLength(MANY.length + 1);
    // In the order in which they came in, also when the index is made again.
    expect((await readLines())[0]).toBe('usr/a\tadmin/a');
    await parts.close();
    parts = await openRepository(root, { key });
    await ingest(parts, [packageOf({ name: 'b', paths: ['./usr/b'] })]);
    const lines = await readLines();
    expect([lines[0], lines.length, lines.at(-1)]).toEqual([
      'usr/a\tadmin/a',
      MANY.length + 2,
      'usr/b\tadmin/b',
    ]);
  });

  it('of packages from before are read from the pool, and come with the next publication', async () => {
    await publish();
    for (const name of ['a', 'b']) {
      await ingest(parts, [packageOf({ name, paths: [`./usr/${name}`] })]);
    }
    // As the migration leaves what was there.
    await parts.catalog.run('DELETE FROM package_contents');
    await parts.catalog.run('UPDATE listing SET contents_in = NULL');
    await parts.close();
    parts = await openRepository(root, { key });
    const before = publicationOf();
    await new ContentsBacklog(parts).work();
    expect(publicationOf()).toBe(before + 1);
    expect((await readLines()).slice(-2)).toEqual(['usr/a\tadmin/a', 'usr/b\tadmin/b']);
    await new ContentsBacklog(parts).work();
    expect(publicationOf()).toBe(before + 1);
  });

  it('are looked for among the oldest alone where a package waits for its publication', async () => {
    await publish();
    for (const name of ['a', 'b', 'c']) {
      await ingest(parts, [packageOf({ name, paths: [`./usr/${name}`] })]);
    }
    const { catalog } = parts;
    await catalog.run('UPDATE listing SET contents_in = NULL');
    await catalog.run(`DELETE FROM package_contents WHERE package_id IN
      (SELECT id FROM package WHERE name IN ('a', 'b'))`);
    const find = async (window?: number): Promise<string[]> =>
      (await listLateContents(catalog, 'stable', 10, window)).map(({ name }) => name);
    expect(await find(2)).toEqual([]);
    expect(await find(3)).toEqual(['c']);
    expect(await find()).toEqual(['c']);
  });

  it('of a suite that begins to ask for them come too', async () => {
    await publishFirst(parts, { options: { contents: false } });
    await ingest(parts, [packageOf({ name: 'a', paths: ['./usr/a'] })]);
    await parts.catalog.run("UPDATE suite SET options = '{}'");
    await signAgain(parts);
    expect(await readLines()).toEqual(['usr/a\tadmin/a']);
  });

  it('of a package that cannot be read stop nobody', async () => {
    await publish();
    const [a] = await ingest(parts, [packageOf({ name: 'a', paths: ['./usr/a'] })]);
    await ingest(parts, [packageOf({ name: 'b', paths: ['./usr/b'] })]);
    await parts.catalog.run('DELETE FROM package_contents');
    await parts.catalog.run('UPDATE listing SET contents_in = NULL');
    await parts.storage.write(a?.filename ?? '', Buffer.from('!<arch>\nno package'));
    const backlog = new ContentsBacklog(parts);
    await backlog.work();
    expect((await readLines()).at(-1)).toBe('usr/b\tadmin/b');
    const { number } = await signAgain(parts);
    await backlog.work();
    expect(publicationOf()).toBe(number);
  });
});
