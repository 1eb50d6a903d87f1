/** From received bytes to a listed package, or to nothing at all. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RefusalError } from '../../src/errors.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import {
  buildAr,
  buildPackage,
  buildTar,
  CONTROL,
  controlMember,
  dataMember,
  runDpkgDeb,
  VERSION_MEMBER,
} from '../deb/build.ts';
import { checkListedFiles, readListedFiles } from '../e2e/signatures.ts';
import { listFiles } from '../e2e/site.ts';
import {
  createKey,
  createPackage,
  FailingDisk,
  hashBytes,
  ingest,
  listKeys,
  listRecorded,
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
  root = mkdtempSync(join(tmpdir(), 'aptkeep-ingest-'));
  disk.failAt = Number.POSITIVE_INFINITY;
  parts = await openRepository(root, { key, wrap: disk.wrap });
  await publishFirst(parts);
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const HELLO = createPackage({ name: 'hello' });
const HELLO_KEY = 'pool/main/h/hello/hello_1.0_all.deb';

/** What a refused package may have left: files of the pool and rows of the catalog. */
async function listLeftovers(): Promise<unknown[]> {
  const tables = ['package', 'listing'].map((table) => parts.catalog.all(`SELECT * FROM ${table}`));
  const rows = (await Promise.all(tables)).flat();
  return [...(await listFiles(join(root, 'pool'))), ...rows];
}

const withControl = (control: string | Buffer): Buffer =>
  buildPackage({ control: controlMember(buildTar([{ name: './control', content: control }])) });

const withoutChecksum = gzipSync(buildTar([{ content: 'x' }]));
withoutChecksum.fill(0, withoutChecksum.length - 8);

/** One of each kind; the parsers have tables of their own. */
const HOSTILE: Record<string, { bytes: Buffer; code?: string }> = {
  'an empty file': { bytes: Buffer.alloc(0) },
  'no ar archive': { bytes: Buffer.from('PK\x03\x04 a zip file') },
  'a package cut short': { bytes: HELLO.subarray(0, HELLO.length - 40) },
  'no control member': { bytes: buildAr([VERSION_MEMBER, dataMember()]) },
  'no data member': { bytes: buildAr([VERSION_MEMBER, controlMember()]) },
  'a data.tar that is not what its checksum says': {
    bytes: buildPackage({ data: { name: 'data.tar.gz', content: withoutChecksum } }),
  },
  'a control.tar that is a bomb': {
    bytes: buildPackage({
      control: { name: 'control.tar.gz', content: gzipSync(Buffer.alloc(64 * 1024 ** 2)) },
    }),
  },
  'no Package field': { bytes: withControl(CONTROL.replace(/^Package: .*\n/m, '')) },
  'a name that is a path': { bytes: withControl(CONTROL.replace('sample', '../../etc/x')) },
  'a version with a slash': { bytes: withControl(CONTROL.replace('1.0-1', '1/../../2')) },
  'a field twice': { bytes: withControl(`Version: 2\n${CONTROL}`) },
  'a stanza that forges another': { bytes: withControl(`${CONTROL}\nPackage: forged\n`) },
  'a NUL in a field': { bytes: withControl(CONTROL.replace('a sample', 'a\0sample')) },
  'a relation that no apt can read': { bytes: withControl(`${CONTROL}Depends: foo (>> )\n`) },
  'a stanza of more than a mebibyte': {
    bytes: withControl(`${CONTROL}X-Long: ${'x'.repeat(1_100_000)}\n`),
  },
  'an architecture the suite does not hold': {
    bytes: createPackage({ name: 'hello', architecture: 'riscv64' }),
    code: 'PACKAGE_UNACCEPTABLE',
  },
};

describe('a package that is not accepted', () => {
  it.each(Object.entries(HOSTILE))('leaves nothing behind: %s', async (_name, { bytes, code }) => {
    const before = await verifyMirror(root, parts);
    const refusal = await ingest(parts, [bytes]).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(RefusalError);
    expect((refusal as RefusalError).code).toMatch(code ?? /^PACKAGE_(MALFORMED|UNACCEPTABLE)$/);
    expect((refusal as RefusalError).message).not.toContain(root);
    expect(await listLeftovers()).toEqual([]);
    expect(await verifyMirror(root, parts)).toBe(before);
  });

  it('takes the good ones of its upload with it', async () => {
    await expect(ingest(parts, [HELLO, Buffer.from('bad')])).rejects.toThrow(RefusalError);
    expect(await listLeftovers()).toEqual([]);
  });

  it('is one for a suite or a component that nobody made', async () => {
    await expect(ingest(parts, [HELLO], { suite: 'nowhere' })).rejects.toMatchObject({
      code: 'SUITE_UNKNOWN',
    });
    await expect(ingest(parts, [HELLO], { component: 'extra' })).rejects.toMatchObject({
      code: 'COMPONENT_UNKNOWN',
      message: expect.stringContaining('main'),
    });
    expect(await listLeftovers()).toEqual([]);
  });

  it('is one whose sender is not admitted any more', async () => {
    const confirm = (): void => {
      throw new RefusalError('CERTIFICATE_REVOKED', 'revoked in mid-upload');
    };
    await expect(ingest(parts, [HELLO], { confirm })).rejects.toMatchObject({
      code: 'CERTIFICATE_REVOKED',
    });
    expect(await listLeftovers()).toEqual([]);
  });
});

describe('a package that is accepted', () => {
  it('is named by what is inside it, and stands whole in the pool', async () => {
    const control = CONTROL.replace('sample', 'libfoo2').replace('1.0-1', '2:1.0-1');
    const bytes = runDpkgDeb(`${control}Source: foo (1.0)\n`);
    const [added] = await ingest(parts, [bytes]);
    expect(added).toMatchObject({
      ...{ package: 'libfoo2', version: '2:1.0-1', architecture: 'amd64', suite: 'stable' },
      ...{ filename: 'pool/main/f/foo/libfoo2_2%3a1.0-1_amd64.deb', component: 'main' },
      ...{ publication: 2, isNew: true, size: bytes.length, sha256: hashBytes(bytes) },
    });
    expect((await readKey(parts.storage, added?.filename ?? '')).equals(bytes)).toBe(true);
    expect(readdirSync(parts.staging)).toEqual([]);
  });

  it('changes nothing the second time', async () => {
    const [first] = await ingest(parts, [HELLO]);
    const before = await verifyMirror(root, parts);
    expect(await ingest(parts, [HELLO])).toEqual([{ ...first, isNew: false }]);
    expect(await verifyMirror(root, parts)).toBe(before);
    expect(readdirSync(parts.staging)).toEqual([]);
  });

  it('is not replaced by other bytes; both hashes are named', async () => {
    await ingest(parts, [HELLO]);
    const other = createPackage({ name: 'hello', content: 'other' });
    const refusal = await ingest(parts, [other]).catch((error: unknown) => error as RefusalError);
    expect(refusal).toMatchObject({ code: 'PACKAGE_CONFLICT' });
    for (const bytes of [HELLO, other]) {
      expect((refusal as RefusalError).message).toContain(hashBytes(bytes));
    }
    expect(hashBytes(await readKey(parts.storage, HELLO_KEY))).toBe(hashBytes(HELLO));
  });

  it('is not one where two files of an upload differ under one name', async () => {
    const other = createPackage({ name: 'hello', content: 'other' });
    await expect(ingest(parts, [HELLO, other])).rejects.toMatchObject({ code: 'PACKAGE_CONFLICT' });
    expect(await listLeftovers()).toEqual([]);
  });

  it('comes into a second suite with the same bytes only, and stands once in the pool', async () => {
    await publishFirst(parts, { name: 'testing', codename: 'testing' });
    await ingest(parts, [HELLO]);
    const other = createPackage({ name: 'hello', content: 'other' });
    await expect(ingest(parts, [other], { suite: 'testing' })).rejects.toMatchObject({
      code: 'PACKAGE_CONFLICT',
    });
    const [added] = await ingest(parts, [HELLO], { suite: 'testing' });
    expect(added).toMatchObject({ suite: 'testing', isNew: true, filename: HELLO_KEY });
    expect(await listKeys(parts.storage, 'pool/')).toEqual([HELLO_KEY]);
  });

  it('is added once where two uploads bring it at the same time', async () => {
    const results = (await Promise.all([1, 2, 3].map(() => ingest(parts, [HELLO])))).flat();
    expect(results.filter((one) => one.isNew)).toHaveLength(1);
    expect(new Set(results.map((one) => one.publication))).toEqual(new Set([2]));
  });

  it('is one of two that differ under one name and come at the same time', async () => {
    const uploads = ['a', 'b', 'c'].map((content) =>
      ingest(parts, [createPackage({ name: 'hello', content })]),
    );
    const settled = await Promise.allSettled(uploads);
    const winner = settled.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    expect(winner).toHaveLength(1);
    expect(hashBytes(await readKey(parts.storage, HELLO_KEY))).toBe(winner[0]?.sha256);
    const release = await verifyMirror(root, parts);
    const read = (path: string): Promise<Buffer> => readFile(join(root, 'dists/stable', path));
    expect(await checkListedFiles(readListedFiles(release), read)).toEqual([]);
  });
});

describe('a disk that fails', () => {
  const batch = ['one', 'two'].map((name) => createPackage({ name }));

  /** Every write an ingest of that batch makes, counted on a disk that does not fail. */
  async function countWrites(): Promise<number> {
    const before = disk.writes;
    await ingest(
      parts,
      ['three', 'four'].map((name) => createPackage({ name })),
    );
    return disk.writes - before;
  }

  it('at any write leaves a right publication, and nothing in the pool that is not listed', async () => {
    const count = await countWrites();
    expect(count).toBeGreaterThanOrEqual(3); // two packages, one segment for both indexes
    const outcomes: string[] = [];
    for (let n = 1; n <= count; n += 1) {
      disk.failAt = disk.writes + n;
      const packages = batch.map((_, i) => createPackage({ name: `p${n}-${i}` }));
      outcomes.push(
        await ingest(parts, packages).then(
          () => 'added',
          () => 'failed',
        ),
      );
      expect(disk.writes).toBeGreaterThanOrEqual(disk.failAt);
      // A write that came after its publication had failed would meet the next one's.
      expect(disk.pending).toBe(0);
      const recorded = await listRecorded(parts.catalog);
      expect(await listKeys(parts.storage, 'pool/')).toEqual([...recorded.keys()].sort());
      expect(await listFiles(parts.staging)).toEqual([]);
      // The next publication is right, whatever the failure left behind.
      await ingest(parts, [createPackage({ name: `after${n}` })]);
      const release = await verifyMirror(root, parts);
      const read = (path: string): Promise<Buffer> => readFile(join(root, 'dists/stable', path));
      expect(await checkListedFiles(readListedFiles(release), read)).toEqual([]);
      const index = (await read('main/binary-amd64/Packages')).toString();
      const listed = [...index.matchAll(/^SHA256: (.*)$/gm)].map((match) => match[1]).sort();
      const now = await listRecorded(parts.catalog);
      expect(listed).toEqual([...now.values()].sort());
    }
    expect(new Set(outcomes)).toEqual(new Set(['failed']));
  });

  it('takes a package again that it lost, and a suite whose first publication failed', async () => {
    disk.failAt = disk.writes + 2;
    await expect(ingest(parts, [HELLO])).rejects.toThrow('EIO');
    const [added] = await ingest(parts, [HELLO]);
    expect(added).toMatchObject({ isNew: true, publication: 2 });
    disk.failAt = disk.writes + 1;
    const testing = { name: 'testing', codename: 'testing', origin: 'Other' };
    await expect(publishFirst(parts, testing)).rejects.toThrow('EIO');
    const [listed] = await ingest(parts, [HELLO], { suite: 'testing' });
    expect(listed).toMatchObject({ isNew: true, publication: 1 });
  });
});
