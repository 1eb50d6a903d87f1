/**
 * The sweep: what it takes, what it leaves, that it says beforehand exactly what it takes, and that
 * neither an upload nor a publication beside it loses a byte. What is kept is read back and hashed.
 */
import { mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPublication } from '../../src/catalog/publications.ts';
import { markSwept } from '../../src/catalog/sweeping.ts';
import type { Change } from '../../src/repository/change.ts';
import { NO_NEEDS } from '../../src/repository/horizon.ts';
import {
  loadFiles,
  readFileNames,
  readPublishedFile,
} from '../../src/repository/published-files.ts';
import { removeSuite } from '../../src/repository/suite-end.ts';
import type { Retention } from '../../src/repository/suite-options.ts';
import { getSuite } from '../../src/repository/suites.ts';
import { type SweepReport, sweepRepository } from '../../src/repository/sweep.ts';
import type { SweepRequest } from '../../src/repository/sweep-parts.ts';
import {
  type Clock,
  createKey,
  createPackage,
  hashBytes,
  ingest,
  listKeys,
  listRecorded,
  type OpenRepository,
  openRepository,
  publishFirst,
  readKey,
  signAgain,
} from './open.ts';

const DAY_MS = 86_400_000;
const RULES = { publications: 3, keepFor: 7 * DAY_MS, snapshotsFor: 30 * DAY_MS };

const root = mkdtempSync(join(tmpdir(), 'aptkeep-sweep-'));
const key = await createKey();
let data: string;
let parts: OpenRepository;
let clock: Clock;

beforeEach(async () => {
  data = mkdtempSync(join(root, 'data-'));
  // Of now, because a file carries the date of the day on which it was written.
  clock = { now: Date.now() };
  parts = await openRepository(data, { clock, key });
});
afterEach(() => parts.close());
afterAll(() => rmSync(root, { recursive: true }));

/** As after a restart: what is there was not written by this process. */
async function restart(): Promise<void> {
  await parts.close();
  parts = await openRepository(data, { clock, key });
}

const sweep = (request: Partial<SweepRequest> = {}): Promise<SweepReport> =>
  sweepRepository(parts, {
    ...{ rules: RULES, needs: NO_NEEDS, dryRun: false, foreign: false, actor: 'test' },
    ...request,
  });

const add = (name: string, version = '1.0'): Promise<unknown> =>
  ingest(parts, [createPackage({ name, version })]);

async function remove(...names: string[]): Promise<void> {
  const rows = await parts.catalog.all<{ name: string }>('SELECT * FROM package');
  const removals = rows
    .filter((row) => names.includes(row.name))
    .map((row) => ({ component: 'main', row })) as unknown as Change['removals'];
  const change = { additions: [], removals, reason: 'remove', actor: 'test' };
  await parts.publisher.submit('stable', change);
}

async function setOptions(options: object): Promise<void> {
  await parts.catalog.run('UPDATE suite SET options = $1', JSON.stringify(options));
}

const setRetention = (retention: Retention): Promise<void> => setOptions({ retention });

/** Past what keeps a publication: three newer ones, and seven days. */
async function age(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await signAgain(parts);
  clock.now += 8 * DAY_MS;
}

const countsOf = ({ totals }: SweepReport): Record<string, number> =>
  Object.fromEntries(
    Object.entries(totals)
      .filter(([, { count }]) => count > 0)
      .map(([kind, { count }]) => [kind, count]),
  );

/** Every index of every publication that has its texts still, and every listed package. */
async function readEverything(): Promise<void> {
  const { publication } = await getSuite(parts, 'stable');
  for (let number = 1; number <= publication; number += 1) {
    const row = await findPublication(parts.catalog, 'stable', number);
    const signed = [...(row?.release ?? '').matchAll(/^ (\w{64}) \d+ (\S+)$/gm)];
    const files = await loadFiles(parts.catalog, 'stable', row?.files ?? '[]');
    expect(files).toHaveLength(signed.length);
    for (const [, sha256, path] of signed) {
      const file = files.find((one) => one.path === path);
      if (!file) throw new Error(`${path} is not recorded`);
      const bytes = await buffer(await readPublishedFile(parts.storage, file));
      expect(hashBytes(bytes)).toBe(sha256);
      if (!path?.endsWith('/Packages')) continue;
      for (const stanza of bytes.toString().split('\n\n').filter(Boolean)) {
        const filename = /^Filename: (.*)$/m.exec(stanza)?.[1] ?? '';
        const stated = /^SHA256: (.*)$/m.exec(stanza)?.[1];
        expect(hashBytes(await readKey(parts.storage, filename))).toBe(stated);
      }
    }
  }
  for (const [filename, sha256] of await listRecorded(parts.catalog)) {
    expect(hashBytes(await readKey(parts.storage, filename))).toBe(sha256);
  }
}

describe('publications', () => {
  it('are kept for three newer ones and seven days, both', async () => {
    await publishFirst(parts);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await add(name);
    expect(countsOf(await sweep())).toEqual({});
    clock.now += 8 * DAY_MS;
    // 6 is current; 5, 4 and 3 are the newest three that were superseded.
    expect(countsOf(await sweep())).toEqual({ publication: 2, index: 2 });
    expect(countsOf(await sweep())).toEqual({});
    const [first, third] = await Promise.all(
      [1, 3].map((number) => findPublication(parts.catalog, 'stable', number)),
    );
    expect(first).toMatchObject({ in_release: '', release: '', release_gpg: '', files: '[]' });
    expect(first).toMatchObject({ number: 1, reason: 'sign again', actor: 'test' });
    expect(third?.in_release).toMatch(/^-----BEGIN PGP SIGNED MESSAGE-----/);
    await readEverything();
  });

  it('that were superseded a moment ago stay, however many follow', async () => {
    await publishFirst(parts);
    clock.now += 30 * DAY_MS;
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await add(name);
    expect(countsOf(await sweep())).toEqual({});
  });

  it('stay longer in a suite that serves its past', async () => {
    await publishFirst(parts);
    await add('a');
    await setOptions({ snapshots: true });
    await age();
    expect(countsOf(await sweep())).toEqual({});
    clock.now += 30 * DAY_MS;
    expect(countsOf(await sweep())).toMatchObject({ publication: 2 });
  });

  it('that somebody still needs stay, with what they list', async () => {
    await publishFirst(parts);
    await add('a');
    await add('b');
    await remove('b');
    await age();
    const needs = { ...NO_NEEDS, listPinned: async () => [3] };
    expect(countsOf(await sweep({ needs }))).toEqual({ publication: 3, index: 1 });
    await readEverything();
    expect((await listRecorded(parts.catalog)).size).toBe(2);
    // Nobody needs it any more.
    expect(countsOf(await sweep())).toMatchObject({ publication: 1, package: 1 });
    expect((await listRecorded(parts.catalog)).size).toBe(1);
  });
});

describe('packages', () => {
  it('go when no kept publication lists them, the facts and the bytes', async () => {
    await publishFirst(parts);
    await add('gone');
    await add('stays');
    await remove('gone');
    expect(countsOf(await sweep())).toEqual({});
    await age();
    const report = await sweep();
    expect(countsOf(report)).toMatchObject({ package: 1 });
    expect(report.bytes).toBeGreaterThan(createPackage({ name: 'gone' }).length);
    expect(await listKeys(parts.storage, 'pool/')).toEqual(['pool/main/s/stays/stays_1.0_all.deb']);
    expect(await parts.catalog.all('SELECT name FROM package')).toEqual([{ name: 'stays' }]);
    await readEverything();
    // And may come back, with other bytes too.
    await ingest(parts, [createPackage({ name: 'gone', content: 'other' })]);
    await readEverything();
  });
});

describe('retention', () => {
  it('keeps the newest versions, as dpkg orders them, and what is young', async () => {
    await publishFirst(parts);
    for (const version of ['1.9', '1.10~rc1', '1.10', '1:0.1']) await add('a', version);
    await add('b');
    await setRetention({ newest: 2, days: 3 });
    expect(countsOf(await sweep())).toEqual({});
    clock.now += 4 * DAY_MS;
    await add('a', '0.1');
    const report = await sweep();
    expect(report.things).toMatchObject([
      { kind: 'listing', name: 'a 1.10~rc1 all', why: expect.stringMatching(/2 newer versions/) },
      { kind: 'listing', name: 'a 1.9 all', why: expect.stringMatching(/3 newer versions/) },
    ]);
    expect(report.published).toEqual([{ suite: 'stable', publication: 8 }]);
    await parts.mirror.flush();
    expect(await readFileSync(join(data, 'dists/stable/main/binary-amd64/Packages'), 'utf8')).toBe(
      gunzipSync(readFileSync(join(data, 'dists/stable/main/binary-amd64/Packages.gz'))).toString(),
    );
    expect(countsOf(await sweep())).toEqual({});
    await readEverything();
  });

  it('keeps what a host has installed', async () => {
    await publishFirst(parts);
    for (const version of ['1', '2', '3']) await add('a', version);
    await setRetention({ newest: 1, days: null });
    const [row] = await parts.catalog.all<{ id: string }>(
      "SELECT id FROM package WHERE version = '1'",
    );
    const needs = { ...NO_NEEDS, listNeeded: async () => new Set([row?.id ?? '']) };
    expect((await sweep({ needs })).things.map(({ name }) => name)).toEqual(['a 2 all']);
  });

  it('makes one publication a suite for all that goes', async () => {
    await publishFirst(parts);
    for (let version = 1; version <= 30; version += 1) await add('a', String(version));
    await setRetention({ newest: 5, days: null });
    const { published } = await sweep();
    expect(published).toEqual([{ suite: 'stable', publication: 32 }]);
    const row = await findPublication(parts.catalog, 'stable', 32);
    expect(row?.reason).toMatch(/^retention: remove a 25 all, .* and 5 more$/);
  });
});

describe('files without facts', () => {
  const orphans = [
    'pool/main/o/orphan/orphan_1.0_all.deb',
    'pool/main/o/orphan/orphan_1.0.orig.tar.xz',
    `dists/stable/main/binary-amd64/by-hash/SHA256/${'a'.repeat(64)}`,
    'dists/elsewhere/main/binary-amd64/Packages',
  ];

  it('are taken once nobody can be about to refer to them', async () => {
    await publishFirst(parts);
    await add('a');
    for (const path of orphans) await parts.storage.write(path, Buffer.from('left by a crash'));
    expect(countsOf(await sweep())).toEqual({});
    clock.now += 7_200_000;
    expect(countsOf(await sweep())).toEqual({ orphan: 4 });
    expect(countsOf(await sweep())).toEqual({});
    await readEverything();
  });

  it('are taken at once after a restart: who wrote them is dead', async () => {
    await publishFirst(parts);
    const past = new Date(clock.now + 1);
    for (const path of orphans) {
      await parts.storage.write(path, Buffer.from('left by a crash'));
      utimesSync(join(data, path), past, past);
    }
    await expect.poll(() => Date.now(), { timeout: 10_000 }).toBeGreaterThan(past.getTime() + 1100);
    await restart();
    expect(countsOf(await sweep())).toEqual({ orphan: 4 });
  });

  it('are left alone where they are older than the repository', async () => {
    await publishFirst(parts);
    for (const path of orphans) {
      await parts.storage.write(path, Buffer.from('of somebody else'));
      utimesSync(join(data, path), 1_000_000, 1_000_000);
    }
    expect(await sweep()).toMatchObject({ things: [], foreign: { count: 4, bytes: 64 } });
    expect(countsOf(await sweep({ foreign: true }))).toEqual({ orphan: 4 });
  });
});

describe('a dry run', () => {
  it('names exactly what the sweep then takes, and changes nothing', async () => {
    await publishFirst(parts);
    for (const version of ['1', '2', '3']) await add('a', version);
    await add('b');
    await remove('b');
    await age();
    await parts.storage.write('pool/main/o/orphan/orphan_1.0_all.deb', Buffer.from('crash'));
    await setRetention({ newest: 1, days: 1 });
    clock.now += 7_200_000;
    const keys = await listKeys(parts.storage, 'pool/');
    const [said, again] = [await sweep({ dryRun: true }), await sweep({ dryRun: true })];
    expect(again).toEqual(said);
    expect(await listKeys(parts.storage, 'pool/')).toEqual(keys);
    const done = await sweep();
    expect(done.things).toEqual(said.things);
    expect(done.totals).toEqual(said.totals);
    expect(countsOf(done)).toMatchObject({ listing: 2, package: 1, orphan: 1 });
    expect(done.published).toHaveLength(1);
  });
});

describe('beside a server', () => {
  it('takes nothing of uploads, publications and copies that come meanwhile', async () => {
    await publishFirst(parts);
    // Everything that nothing refers to yet is old enough to be taken, but for the locks.
    clock.now += 7_200_000;
    const old = new Date(clock.now - 7_000_000);
    const write = parts.storage.write;
    parts.storage.write = async (key, source) => {
      await write.call(parts.storage, key, source);
      utimesSync(join(data, key), old, old);
    };
    let running = true;
    const sweeping = (async () => {
      let count = 0;
      for (; running; count += 1) await sweep();
      return count;
    })();
    for (let round = 0; round < 15; round += 1) {
      const names = [0, 1, 2].map((lane) => `p${round}l${lane}`);
      await Promise.all(names.map((name) => add(name)));
      if (round % 5 === 4) {
        await remove(...names);
        await age();
      }
    }
    running = false;
    expect(await sweeping).toBeGreaterThan(5);
    await readEverything();
    expect((await listRecorded(parts.catalog)).size).toBeGreaterThanOrEqual(36);
  });
});

describe('a suite that was removed', () => {
  it('is freed as its past is, a week later', async () => {
    await publishFirst(parts);
    await publishFirst(parts, { name: 'other', codename: 'other' });
    await add('a');
    await ingest(parts, [createPackage({ name: 'b' })], { suite: 'other' });
    await removeSuite(parts, 'stable', { force: true }, async () => {});
    expect(countsOf(await sweep())).toEqual({});
    clock.now += 8 * DAY_MS;
    expect(countsOf(await sweep())).toEqual({ publication: 2, index: 2, package: 1 });
    expect(await listKeys(parts.storage, 'pool/')).toEqual(['pool/main/b/b/b_1.0_all.deb']);
    expect(await listKeys(parts.storage, 'dists/stable/')).toEqual([]);
  });
});

describe('a sweep that was killed', () => {
  it('between the facts of a publication and those of its files is ended by the next one', async () => {
    await publishFirst(parts);
    for (const name of ['a', 'b', 'c', 'd', 'e']) await add(name);
    clock.now += 8 * DAY_MS;
    const at = new Date(clock.now).toISOString();
    for (const number of [1, 2]) await markSwept(parts.catalog, 'stable', number, at);
    await restart();
    await sweep();
    await readEverything();
    const listed = await parts.catalog.all<{ files: string }>('SELECT files FROM publication');
    const needed = listed.flatMap(({ files }) => readFileNames(files).map(({ sha256 }) => sha256));
    const rows = await parts.catalog.all<{ sha256: string }>('SELECT sha256 FROM index_file');
    expect(rows.filter(({ sha256 }) => !needed.includes(sha256))).toEqual([]);
    const segments = await parts.catalog.all<{ key: string }>('SELECT key FROM segment');
    for (const { key } of segments) expect(await parts.storage.stat(key)).toBeDefined();
  });
});
