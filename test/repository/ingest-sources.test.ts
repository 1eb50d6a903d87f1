/** Source packages and .changes taken whole or not at all; dpkg's programs make them. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listSuitesOfFile } from '../../src/catalog/packages.ts';
import type { IngestResult } from '../../src/repository/ingest-request.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import { buildSource, fileOf, filesOf, type WantedSource } from '../deb/build-source.ts';
import { checkListedFiles, readListedFiles } from '../e2e/signatures.ts';
import { listFiles } from '../e2e/site.ts';
import {
  createKey,
  createPackage,
  FailingDisk,
  ingest,
  listKeys,
  type OpenRepository,
  openRepository,
  publishFirst,
  readKey,
  verifyMirror,
} from './open.ts';

let key: SecretKey;
let root: string;
let parts: OpenRepository;
const disk = new FailingDisk();
beforeAll(async () => {
  key = await createKey();
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-sources-'));
  disk.failAt = Number.POSITIVE_INFINITY;
  parts = await openRepository(root, { key, wrap: disk.wrap });
  await publishFirst(parts, { components: ['main', 'contrib', 'debug'] });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const build = (wanted: WantedSource) => {
  const files = buildSource(wanted);
  return { files, changes: filesOf(files, fileOf(files, '.changes')) };
};
const describeResults = (results: IngestResult[]): string[] =>
  results.map((one) => `${one.package} ${one.version} ${one.architecture} ${one.component}`);
const listPaths = (suite = 'stable'): string[] =>
  [...(parts.live.get(suite)?.files.keys() ?? [])].filter((path) => !path.endsWith('.gz')).sort();

async function listLeftovers(): Promise<unknown[]> {
  const tables = ['package', 'listing', 'package_file'];
  const rows = await Promise.all(tables.map((name) => parts.catalog.all(`SELECT * FROM ${name}`)));
  return [...(await listFiles(join(root, 'pool'))), ...rows.flat()];
}

async function readIndex(path: string): Promise<string> {
  await parts.mirror.flush();
  return (await readKey(parts.storage, `dists/stable/${path}`)).toString();
}

describe('a .changes with all that it names', () => {
  it('is one publication, with everything in the index it belongs to', async () => {
    const { files, changes } = build({ name: 'hello', extras: true });
    const results = await ingest(parts, changes.reverse());
    expect(describeResults(results).sort()).toEqual([
      'hello 1.0-1 all main',
      'hello 1.0-1 source main',
      'hello-dbgsym 1.0-1 all debug',
      'hello-udeb 1.0-1 all main',
    ]);
    expect(new Set(results.map((one) => one.publication))).toEqual(new Set([2]));
    const stored = await listKeys(parts.storage, 'pool/');
    expect(stored.sort()).toEqual([
      'pool/debug/h/hello/hello-dbgsym_1.0-1_all.deb',
      'pool/main/h/hello/hello-udeb_1.0-1_all.udeb',
      'pool/main/h/hello/hello_1.0-1.debian.tar.xz',
      'pool/main/h/hello/hello_1.0-1.dsc',
      'pool/main/h/hello/hello_1.0-1_all.deb',
      'pool/main/h/hello/hello_1.0.orig.tar.gz',
    ]);
    for (const one of stored) {
      const bytes = files.get(one.split('/').at(-1) ?? '');
      expect((await readKey(parts.storage, one)).equals(bytes ?? Buffer.alloc(0)), one).toBe(true);
    }
    const common = await readIndex('main/binary-amd64/Packages');
    expect(common.match(/^Package: .*$/gm)).toEqual(['Package: hello']);
    const installer = await readIndex('main/debian-installer/binary-amd64/Packages');
    expect(installer.match(/^Package: .*$/gm)).toEqual(['Package: hello-udeb']);
    const release = await verifyMirror(root, parts);
    const read = (path: string) => readKey(parts.storage, `dists/stable/${path}`);
    expect(await checkListedFiles(readListedFiles(release), read)).toEqual([]);
  });

  it('gives a suite indexes of sources and of the installer from then on, not before', async () => {
    expect(listPaths().filter((path) => !/\/binary-[a-z0-9]+\/Packages$/.test(path))).toEqual([]);
    expect(listPaths().filter((path) => path.includes('installer'))).toEqual([]);
    await ingest(parts, build({ name: 'hello', extras: true }).changes);
    await ingest(parts, [createPackage({ name: 'other' })]);
    expect(listPaths().filter((path) => /installer|source/.test(path))).toEqual([
      'contrib/source/Sources',
      'debug/source/Sources',
      'main/debian-installer/binary-amd64/Packages',
      'main/debian-installer/binary-arm64/Packages',
      'main/source/Sources',
    ]);
    await parts.close();
    parts = await openRepository(root, { key, wrap: disk.wrap });
    await ingest(parts, [createPackage({ name: 'another' })]);
    expect(listPaths()).toContain('main/source/Sources');
  });

  it('changes nothing the second time, sent whole or with nothing beside it', async () => {
    const { files, changes } = build({ name: 'hello', extras: true });
    const first = await ingest(parts, changes);
    const before = await verifyMirror(root, parts);
    const again = await ingest(parts, changes);
    expect(again).toEqual(first.map((one) => ({ ...one, isNew: false })));
    const alone = await ingest(parts, [fileOf(files, '.changes')]);
    expect(describeResults(alone).sort()).toEqual(describeResults(first).sort());
    expect(alone.every((one) => !one.isNew)).toBe(true);
    expect(await verifyMirror(root, parts)).toBe(before);
  });

  it('goes where its section says, where the suite has that', async () => {
    const results = await ingest(parts, build({ name: 'hello', section: 'contrib/misc' }).changes);
    expect(results.map((one) => one.component)).toEqual(['contrib', 'contrib']);
    const others = await ingest(parts, build({ name: 'away', section: 'elsewhere/misc' }).changes);
    expect(others.map((one) => one.component)).toEqual(['main', 'main']);
    const named = await ingest(parts, build({ name: 'fixed', section: 'contrib/misc' }).changes, {
      component: 'debug',
    });
    expect(named.map((one) => one.component)).toEqual(['debug', 'debug']);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])('is refused whole without its file %i', async (position) => {
    const { changes } = build({ name: 'hello', extras: true });
    const [paper = Buffer.alloc(0), ...files] = changes;
    const rest = files.filter((_, index) => index !== position);
    await expect(ingest(parts, [paper, ...rest])).rejects.toMatchObject({
      code: 'UPLOAD_INCOMPLETE',
    });
    expect(await listLeftovers()).toEqual([]);
  });

  const damaged: [string, string, (text: string) => string][] = [
    [
      'a size that is a lie',
      'PACKAGE_MALFORMED',
      (text) => text.replaceAll(/ \d+ (hello_1.0-1_all.deb)/g, ' 7 $1'),
    ],
    [
      'a size that is a lie in one list alone',
      'PACKAGE_MALFORMED',
      (text) => text.replace(/ \d+ (hello_1.0-1_all.deb)/, ' 7 $1'),
    ],
    [
      'another MD5',
      'PACKAGE_MALFORMED',
      (text) =>
        text.replace(
          /^ [0-9a-f]{32} (\d+ misc optional hello_1.0-1_all.deb)/m,
          ` ${'0'.repeat(32)} $1`,
        ),
    ],
    [
      'another SHA-1',
      'PACKAGE_MALFORMED',
      (text) => text.replace(/^ [0-9a-f]{40} /m, ` ${'0'.repeat(40)} `),
    ],
    [
      'another SHA-256',
      'UPLOAD_INCOMPLETE',
      (text) => text.replace(/^ [0-9a-f]{64} /m, ` ${'0'.repeat(64)} `),
    ],
    [
      'another source',
      'PACKAGE_UNACCEPTABLE',
      (text) => text.replace(/^Source: .*/m, 'Source: other'),
    ],
    [
      'another version',
      'PACKAGE_UNACCEPTABLE',
      (text) => text.replace(/^Version: .*/m, 'Version: 2'),
    ],
    [
      'another architecture',
      'PACKAGE_UNACCEPTABLE',
      (text) => text.replace('source all', 'source amd64'),
    ],
    [
      'another distribution',
      'PACKAGE_UNACCEPTABLE',
      (text) => text.replace(/^Distribution: .*/m, 'Distribution: sid'),
    ],
    [
      'a tarball that its .dsc does not name',
      'PACKAGE_UNACCEPTABLE',
      (text) => text.replaceAll('hello_1.0.orig.tar.gz', 'hello_1.0.orig.tar.xz'),
    ],
    [
      'a frame without a signature',
      'PACKAGE_MALFORMED',
      (text) => `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${text}`,
    ],
    [
      'text before a frame',
      'PACKAGE_MALFORMED',
      (text) => `${text}\n-----BEGIN PGP SIGNED MESSAGE-----\n`,
    ],
  ];
  it.each(damaged)('is refused whole with %s: %s', async (_name, code, damage) => {
    const [paper = Buffer.alloc(0), ...files] = build({ name: 'hello' }).changes;
    const text = damage(paper.toString());
    expect(text).not.toBe(paper.toString());
    await expect(ingest(parts, [Buffer.from(text), ...files])).rejects.toMatchObject({ code });
    expect(await listLeftovers()).toEqual([]);
  });

  it('is refused whole with a file that nothing names', async () => {
    const { changes } = build({ name: 'hello' });
    await expect(ingest(parts, [...changes, Buffer.from('more')])).rejects.toMatchObject({
      code: 'PACKAGE_MALFORMED',
    });
    expect(await listLeftovers()).toEqual([]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7])('leaves nothing where write %i fails', async (write) => {
    disk.writes = 0;
    disk.failAt = write;
    await expect(ingest(parts, build({ name: 'hello' }).changes)).rejects.toThrow('EIO');
    disk.failAt = Number.POSITIVE_INFINITY;
    expect(await listLeftovers()).toEqual([]);
    await ingest(parts, build({ name: 'hello' }).changes);
  });

  it('is limited to the package names that its sender may add', async () => {
    const { changes } = build({ name: 'hello', extras: true });
    await expect(ingest(parts, changes, { names: ['hello'] })).rejects.toMatchObject({
      code: 'PACKAGE_FORBIDDEN',
    });
    await ingest(parts, changes, { names: ['hello*'] });
  });
});

describe('a .dsc with all that it names', () => {
  const sources = (wanted: WantedSource) => {
    const files = buildSource({ flags: ['-S'], ...wanted });
    return { files, dsc: filesOf(files, fileOf(files, '.dsc')) };
  };

  it.each(['1.0', '3.0 (native)', '3.0 (quilt)'] as const)('of format %s', async (format) => {
    const version = format === '3.0 (native)' ? '2:1.0' : '2:1.0-1';
    const { dsc } = sources({ name: 'libhello', version, format });
    const [added] = await ingest(parts, dsc);
    expect(added).toMatchObject({ package: 'libhello', version, architecture: 'source' });
    expect(added?.filename).toBe(`pool/main/libh/libhello/libhello_${version.slice(2)}.dsc`);
    expect(await ingest(parts, dsc)).toEqual([{ ...added, isNew: false }]);
    expect(await ingest(parts, dsc.slice(0, 1))).toEqual([{ ...added, isNew: false }]);
  });

  it('shares the tarball of upstream with another version, and does not ask for it again', async () => {
    await ingest(parts, sources({ name: 'hello' }).dsc);
    const { files } = sources({ name: 'hello', version: '1.0-2' });
    const [added] = await ingest(parts, [fileOf(files, '.dsc'), fileOf(files, '.debian.tar.xz')]);
    expect(added).toMatchObject({ version: '1.0-2', isNew: true });
    const stored = await listKeys(parts.storage, 'pool/main/h/hello/');
    expect(stored).toHaveLength(5);
    const index = await readIndex('main/source/Sources');
    expect(index.match(/^Version: .*$/gm)).toEqual(['Version: 1.0-1', 'Version: 1.0-2']);
    for (const filename of stored) {
      expect(await listSuitesOfFile(parts.catalog, filename)).toEqual(['stable']);
    }
  });

  it('does not bring into a suite what its sender does not have', async () => {
    await publishFirst(parts, { name: 'testing', codename: 'testing' });
    const first = sources({ name: 'hello' });
    await ingest(parts, first.dsc);
    const { files } = sources({ name: 'hello', version: '1.0-2' });
    for (const sent of [
      [fileOf(files, '.dsc'), fileOf(files, '.debian.tar.xz')],
      first.dsc.slice(0, 1),
    ]) {
      await expect(ingest(parts, sent, { suite: 'testing' })).rejects.toMatchObject({
        code: 'UPLOAD_INCOMPLETE',
        message: expect.stringContaining('hello_1.0'),
      });
    }
    await ingest(parts, first.dsc, { suite: 'testing' });
    expect(await listKeys(parts.storage, 'pool/main/h/hello/')).toHaveLength(3);
  });

  it('is refused where a file of its name has other bytes, both hashes named', async () => {
    const first = sources({ name: 'hello' });
    await ingest(parts, first.dsc);
    const second = sources({ name: 'hello', version: '1.0-2', upstream: 'another' });
    const hashes = [first, second].map(({ files }) =>
      createHash('sha256').update(fileOf(files, '.orig.tar.gz')).digest('hex'),
    );
    const refusal = await ingest(parts, second.dsc).catch((error: unknown) => error as Error);
    expect(refusal).toMatchObject({ code: 'PACKAGE_CONFLICT' });
    for (const hash of hashes) expect((refusal as Error).message).toContain(hash);
    const same = sources({ name: 'hello', upstream: 'another' });
    await expect(ingest(parts, same.dsc)).rejects.toMatchObject({ code: 'PACKAGE_CONFLICT' });
    const epoch = sources({ name: 'hello', version: '3:1.0-1' });
    await expect(ingest(parts, epoch.dsc)).rejects.toMatchObject({ code: 'PACKAGE_CONFLICT' });
    expect(await listKeys(parts.storage, 'pool/main/h/hello/')).toHaveLength(3);
  });

  it('is refused where two of one upload bring other bytes for one name', async () => {
    const first = sources({ name: 'hello' });
    const second = sources({ name: 'hello', version: '1.0-2', upstream: 'another' });
    await expect(ingest(parts, [...first.dsc, ...second.dsc])).rejects.toMatchObject({
      code: 'PACKAGE_CONFLICT',
    });
    expect(await listLeftovers()).toEqual([]);
  });

  it('comes twice at the same time, and is there once', async () => {
    const { dsc } = sources({ name: 'hello' });
    const next = sources({ name: 'hello', version: '1.0-2' });
    const uploads = [dsc, dsc, next.dsc, next.dsc].map((files) => ingest(parts, files));
    const results = (await Promise.all(uploads)).flat();
    expect(results.filter((one) => one.isNew)).toHaveLength(2);
    expect(await listKeys(parts.storage, 'pool/main/h/hello/')).toHaveLength(5);
  });
});

describe('binary packages of other kinds', () => {
  it('one for the installer may have the name of another one', async () => {
    const deb = createPackage({ name: 'hello' });
    const udeb = createPackage({ name: 'hello', fields: 'Package-Type: udeb\n' });
    const results = await ingest(parts, [deb, udeb]);
    expect(results.map((one) => one.filename)).toEqual([
      'pool/main/h/hello/hello_1.0_all.deb',
      'pool/main/h/hello/hello_1.0_all.udeb',
    ]);
    const again = await ingest(parts, [udeb, deb]);
    expect(again.map((one) => one.isNew)).toEqual([false, false]);
    const common = await readIndex('main/binary-amd64/Packages');
    expect(common.match(/^Filename: .*$/gm)).toEqual([
      'Filename: pool/main/h/hello/hello_1.0_all.deb',
    ]);
  });

  it('one of debugging symbols stands in the common index, and may not be another of its name', async () => {
    await publishFirst(parts, { name: 'plain', codename: 'plain' });
    const ddeb = createPackage({ name: 'hello-dbgsym', fields: 'Package-Type: ddeb\n' });
    const [added] = await ingest(parts, [ddeb], { suite: 'plain' });
    expect(added?.filename).toBe('pool/main/h/hello-dbgsym/hello-dbgsym_1.0_all.ddeb');
    await parts.mirror.flush();
    const index = (
      await readKey(parts.storage, 'dists/plain/main/binary-arm64/Packages')
    ).toString();
    expect(index).toContain('Filename: pool/main/h/hello-dbgsym/hello-dbgsym_1.0_all.ddeb\n');
    const deb = createPackage({ name: 'hello-dbgsym' });
    await expect(ingest(parts, [deb])).rejects.toMatchObject({ code: 'PACKAGE_CONFLICT' });
  });
});
