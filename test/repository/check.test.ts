/** A check: what is whole has no fault, and every fault that is put in is found and named. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkRepository } from '../../src/repository/check.ts';
import type { Check } from '../../src/repository/check-parts.ts';
import { type CheckReport, Findings } from '../../src/repository/findings.ts';
import { repairFindings } from '../../src/repository/repair.ts';
import {
  type Clock,
  createKey,
  createPackage,
  ingest,
  listKeys,
  type OpenRepository,
  openRepository,
  publishFirst,
  readKey,
  signAgain,
} from './open.ts';

const root = mkdtempSync(join(tmpdir(), 'aptkeep-check-'));
const key = await createKey();
let data: string;
let parts: OpenRepository;
let clock: Clock;

beforeEach(async () => {
  data = mkdtempSync(join(root, 'data-'));
  clock = { now: Date.now() };
  parts = await openRepository(data, { clock, key });
  await publishFirst(parts);
  await ingest(parts, [createPackage({ name: 'a' }), createPackage({ name: 'b' })]);
  await ingest(parts, [createPackage({ name: 'c', architecture: 'amd64' })]);
  await parts.mirror.flush();
});
afterEach(() => parts.close());
afterAll(() => rmSync(root, { recursive: true }));

async function check({ quick = false, repair = false } = {}): Promise<CheckReport> {
  const findings = new Findings();
  const { signal } = new AbortController();
  const one: Check = { parts, findings, quick, signal, damaged: [], mirrors: [], broken: [] };
  await checkRepository(one);
  if (repair) await repairFindings(one, parts.publisher, data);
  return findings.report();
}

const codesOf = ({ findings }: CheckReport): string[] => findings.map(({ code }) => code);

const onDisk = (path: string): string => join(data, path);

/** Statements that the catalog itself would not allow. */
async function tamper(...statements: string[]): Promise<void> {
  await parts.catalog.run('PRAGMA foreign_keys = off');
  for (const statement of statements) await parts.catalog.run(statement);
  await parts.catalog.run('PRAGMA foreign_keys = on');
}

const POOLED = 'pool/main/a/a/a_1.0_all.deb';

describe('a repository that is whole', () => {
  it('has no fault, and everything was read', async () => {
    await signAgain(parts);
    const report = await check();
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ faults: 0, garbage: { files: 0, packages: 0, bytes: 0 } });
    expect(report.read).toMatchObject({ packages: 3, publications: 4 });
    expect(report.read.bytes).toBeGreaterThan(1000);
    expect(await check({ quick: true })).toMatchObject({ faults: 0 });
  });

  it('stays so while packages come and publications are made', async () => {
    let running = true;
    const checking = (async () => {
      const codes: string[] = [];
      while (running) codes.push(...codesOf(await check()));
      return codes;
    })();
    for (let round = 0; round < 20; round += 1) {
      await ingest(parts, [createPackage({ name: `p${round}` })]);
    }
    running = false;
    expect(await checking).toEqual([]);
  });

  it('counts what nothing refers to as garbage', async () => {
    await parts.storage.write('pool/main/o/o/o_1_all.deb', Buffer.from('1234'));
    expect(await check()).toMatchObject({ faults: 0, garbage: { files: 0 } });
    clock.now += 7_200_000;
    expect(await check()).toMatchObject({ faults: 0, garbage: { files: 1, bytes: 4 } });
  });
});

describe('a fault in the pool', () => {
  it.each([
    ['a file that is gone', () => rmSync(onDisk(POOLED)), 'package.missing'],
    ['one of another size', () => writeFileSync(onDisk(POOLED), 'short'), 'package.size'],
  ])('is found also without reading: %s', async (_, damage, code) => {
    damage();
    for (const quick of [true, false]) {
      const report = await check({ quick });
      expect(report.findings).toMatchObject([{ kind: 'fault', code, subject: 'a 1.0 all' }]);
    }
  });

  it('is found by reading: one bit', async () => {
    const bytes = await readKey(parts.storage, POOLED);
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    writeFileSync(onDisk(POOLED), bytes);
    expect((await check()).findings).toMatchObject([
      { code: 'package.bytes', subject: 'a 1.0 all', why: expect.stringContaining(POOLED) },
    ]);
    const repaired = await check({ repair: true });
    expect(repaired.repaired).toEqual([expect.stringContaining(`${POOLED}: moved to damaged/`)]);
    expect((await check()).findings).toMatchObject([{ code: 'package.missing' }]);
    // The same package again makes it whole.
    await ingest(parts, [createPackage({ name: 'a' })]);
    expect((await check()).findings).toEqual([]);
  });

  it('is found by reading: bytes whose hash was recorded, of another package', async () => {
    const other = createPackage({ name: 'other' });
    writeFileSync(onDisk(POOLED), other);
    const sha256 = createHash('sha256').update(other).digest('hex');
    await tamper(
      `UPDATE package SET sha256 = '${sha256}', size = ${other.length} WHERE name = 'a'`,
    );
    expect(codesOf(await check())).toContain('package.stanza');
  });
});

describe('a fault in the catalog', () => {
  it.each([
    ['package.stanza', ["UPDATE package SET stanza = x'00' WHERE name = 'a'"]],
    [
      'index.contents',
      ["DELETE FROM listing WHERE package_id = (SELECT id FROM package WHERE name = 'a')"],
    ],
    [
      'listing',
      [
        "UPDATE listing SET added_in = 99 WHERE package_id = (SELECT id FROM package WHERE name = 'a')",
      ],
    ],
    ['listing', ["DELETE FROM package WHERE name = 'c'"]],
    ['publication.pointer', ['UPDATE suite SET publication = 77']],
    [
      'publication.date',
      ["UPDATE publication SET date = '2001-01-01T00:00:00.000Z' WHERE number = 2"],
    ],
    ['publication.release', ["UPDATE publication SET files = '[]' WHERE number = 3"]],
    [
      'publication.signature',
      ["UPDATE publication SET in_release = replace(in_release, 'Uni', 'Uno')"],
    ],
    [
      'publication.signature',
      [
        'UPDATE publication SET release_gpg = (SELECT release_gpg FROM publication WHERE number = 1) WHERE number = 3',
      ],
    ],
    [
      'index.missing',
      [
        'DELETE FROM index_file_hash',
        "DELETE FROM index_file WHERE path = 'main/binary-amd64/Packages.gz'",
      ],
    ],
  ])('is found: %s', async (code, statements) => {
    await tamper(...statements);
    const report = await check();
    expect(codesOf(report)).toContain(code);
    expect(report.faults).toBeGreaterThan(0);
  });
});

describe('a fault under dists/', () => {
  const segments = (): Promise<string[]> => listKeys(parts.storage, 'dists/stable/.segments/');

  it.each([
    ['index.missing', (key: string) => rmSync(onDisk(key))],
    ['index.bytes', (key: string) => writeFileSync(onDisk(key), 'not gzip')],
  ])('is found and put right: %s', async (code, damage) => {
    for (const segment of await segments()) damage(segment);
    const report = await check({ repair: true });
    expect(codesOf(report)).toContain(code);
    expect(report.repaired).toContainEqual(expect.stringContaining('indexes of stable'));
    await parts.mirror.flush();
    const faults = (await check()).findings.filter(({ subject }) => subject === 'stable 4');
    expect(faults).toEqual([]);
  });

  it('is found and put right: the mirror', async () => {
    writeFileSync(onDisk('dists/stable/main/binary-amd64/Packages'), 'Package: forged\n');
    const report = await check({ repair: true });
    expect(report.findings).toMatchObject([{ code: 'mirror', subject: 'stable' }]);
    expect(report.repaired).toEqual(['mirror of stable: written again']);
    expect((await check()).findings).toEqual([]);
  });
});

describe('a key that was rotated away', () => {
  it('is no fault of past publications, and one of the current', async () => {
    const { signingKeys } = parts;
    const [old] = signingKeys;
    const other = await openRepository(mkdtempSync(join(root, 'other-')), { clock });
    signingKeys.splice(0, 1, ...other.signingKeys);
    await other.close();
    expect(codesOf(await check())).toEqual(['publication.signature']);
    await signAgain(parts);
    expect((await check()).findings).toEqual([]);
    expect(old).toBeDefined();
  });
});
