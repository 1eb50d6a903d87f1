/** Publications, judged by gpgv, sqv, gzip and apt-ftparchive. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadLivePublications } from '../../src/repository/live.ts';
import {
  getPublication,
  isDueForSigning,
  listPublications,
  signSuiteAgain,
} from '../../src/repository/publications.ts';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import { createSuite } from '../../src/repository/suites.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import { checkListedFiles, readField, readListedFiles } from '../e2e/signatures.ts';
import { compareIndexes, indexPool, readIndex } from '../e2e/stanzas.ts';
import {
  type Clock,
  createKey,
  createPackage,
  FailingDisk,
  ingest,
  listKeys,
  type OpenRepository,
  openRepository,
  publishFirst,
  readByHash,
  STABLE,
  START_MS,
  signAgain,
  verifyMirror,
} from './open.ts';

const DAY_MS = 86_400_000;
const ARCHITECTURES = ['amd64', 'arm64'];

let key: SecretKey;
let root: string;
let clock: Clock;
let parts: OpenRepository;
beforeAll(async () => {
  key = await createKey();
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-publish-'));
  clock = { now: START_MS };
  parts = await openRepository(root, { clock, key });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

/** What the mirror holds once it has followed. */
async function onDisk(path: string): Promise<Buffer> {
  await parts.mirror.flush();
  return readFile(join(root, 'dists/stable', path));
}
const dateOf = (release: string): number => Date.parse(readField(release, 'Date') ?? '');
const liveRelease = (suite = 'stable'): string => parts.live.get(suite)?.release.toString() ?? '';

describe('a publication', () => {
  it('is signed twice over the same bytes, as gpgv and sqv find', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    const release = await verifyMirror(root, parts);
    expect(release).toBe(liveRelease());
    expect(readField(release, 'Suite')).toBe('stable');
  });

  it('names every file with the size and hash of its bytes, in the mirror and as served', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    await ingest(parts, [createPackage({ name: 'libx1', architecture: 'arm64' })]);
    const files = readListedFiles(liveRelease());
    expect(files.map((file) => file.path).sort()).toEqual(
      ARCHITECTURES.flatMap((one) => [
        `main/binary-${one}/Packages`,
        `main/binary-${one}/Packages.gz`,
      ]),
    );
    expect(await checkListedFiles(files, onDisk)).toEqual([]);
    const live = parts.live.get('stable');
    const served = async (path: string): Promise<Buffer> => {
      const file = live?.files.get(path);
      if (!live || !file) throw new Error(`${path} is not published`);
      return buffer(await readPublishedFile(parts.storage, file));
    };
    expect(await checkListedFiles(files, served)).toEqual([]);
  });

  it('holds its compressed indexes under their hashes, and gzip unpacks them to the plain ones', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    for (const { path, sha256 } of readListedFiles(liveRelease())) {
      if (!path.endsWith('.gz')) continue;
      const stored = await readByHash(parts, path, sha256);
      const plain = execFileSync('gzip', ['-dc'], { input: stored });
      expect(plain.equals(await onDisk(path.replace('.gz', '')))).toBe(true);
    }
  });

  it('lists what apt-ftparchive lists', async () => {
    await publishFirst(parts);
    await ingest(parts, [
      createPackage({ name: 'hello', fields: 'Depends: libc6 (>= 2.36) | other\nX-Odd: ä\n' }),
      createPackage({ name: 'hello', version: '1:2~rc1-1' }),
    ]);
    await ingest(parts, [createPackage({ name: 'only-amd', architecture: 'amd64' })]);
    const amd64 = readIndex((await onDisk('main/binary-amd64/Packages')).toString());
    expect(compareIndexes(amd64, await indexPool(root, 'pool'))).toEqual([]);
    const arm64 = readIndex((await onDisk('main/binary-arm64/Packages')).toString());
    expect([...arm64.keys()].sort()).toEqual(['hello 1.0 all', 'hello 1:2~rc1-1 all']);
  });

  it('of nothing has indexes of no bytes', async () => {
    await publishFirst(parts);
    const files = readListedFiles(await verifyMirror(root, parts));
    expect(files.filter((file) => !file.path.endsWith('.gz')).map((file) => file.size)).toEqual([
      0, 0,
    ]);
    expect(await checkListedFiles(files, onDisk)).toEqual([]);
  });

  it('makes only the touched indexes again', async () => {
    await publishFirst(parts, { components: ['main', 'extra'] });
    await ingest(parts, [createPackage({ name: 'hello' })]);
    await parts.mirror.flush();
    const gz = (component: string, one: string): string =>
      join(root, 'dists/stable', component, `binary-${one}`, 'Packages.gz');
    const places = ['main', 'extra'].flatMap((c) => ARCHITECTURES.map((a) => gz(c, a)));
    const inodes = places.map((path) => statSync(path).ino);
    await ingest(parts, [createPackage({ name: 'libx', architecture: 'arm64' })]);
    await parts.mirror.flush();
    // A file that was written again is another file.
    const written = places.filter((path, i) => statSync(path).ino !== inodes[i]);
    expect(written).toEqual([gz('main', 'arm64')]);
  });

  it('of no change has other dates and the same files', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    const before = liveRelease();
    await parts.mirror.flush();
    const keys = await listKeys(parts.storage, 'dists/');
    const { number } = await signAgain(parts);
    expect(number).toBe(3);
    const after = liveRelease();
    const undated = (text: string): string => text.replace(/^(Date|Valid-Until): .*\n/gm, '');
    expect(undated(after)).toBe(undated(before));
    expect(dateOf(after)).toBeGreaterThan(dateOf(before));
    expect(await listKeys(parts.storage, 'dists/')).toEqual(keys);
  });

  it('of a suite nobody made is refused', async () => {
    await expect(signSuiteAgain(parts, 'nowhere', 'test', 'x')).rejects.toMatchObject({
      code: 'SUITE_UNKNOWN',
    });
    await expect(signAgain(parts, 'nowhere')).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
  });

  it('stays as it was when later ones are made', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    const second = await getPublication(parts, 'stable', 2);
    await ingest(parts, [createPackage({ name: 'other' })]);
    expect(await getPublication(parts, 'stable', 2)).toEqual(second);
    for (const { path, sha256 } of JSON.parse(second.files)) {
      const bytes = await readByHash(parts, path, sha256);
      expect(execFileSync('sha256sum', { input: bytes }).toString()).toContain(sha256);
    }
    const numbers = (await listPublications(parts, 'stable')).map((row) => row.number);
    expect(numbers).toEqual([3, 2, 1]);
    await expect(getPublication(parts, 'stable', 9)).rejects.toMatchObject({
      code: 'PUBLICATION_UNKNOWN',
    });
  });
});

describe('Date', () => {
  /** Of so many publications, one after another, the clock set before each. */
  async function dates(times: readonly number[]): Promise<number[]> {
    await publishFirst(parts);
    const found = [dateOf(liveRelease())];
    for (const time of times) {
      clock.now = time;
      await signAgain(parts);
      found.push(dateOf(liveRelease()));
    }
    return found;
  }
  const grows = (found: readonly number[]): boolean =>
    found.every((date, i) => i === 0 || date >= (found[i - 1] ?? 0) + 1000);

  it('grows by a second at least while the clock stands still, and is never ahead of it', async () => {
    const found = await dates(Array.from({ length: 30 }, () => START_MS));
    expect(grows(found)).toBe(true);
    expect(Math.max(...found)).toBeLessThanOrEqual(START_MS);
  });

  it.each([
    ['a second', 1000],
    ['half an hour', 1_800_000],
    ['a year', 365 * DAY_MS],
  ])('grows when the clock was set back by %s, and nobody waits for it', async (_name, back) => {
    const started = performance.now();
    expect(grows(await dates([START_MS, START_MS - back, START_MS - back]))).toBe(true);
    expect(performance.now() - started).toBeLessThan(4000);
  });

  it('grows after the program was started again', async () => {
    await publishFirst(parts);
    await signAgain(parts);
    const before = dateOf(liveRelease());
    await parts.close();
    parts = await openRepository(root, { clock, key });
    await signAgain(parts);
    expect(dateOf(liveRelease())).toBeGreaterThan(before);
  });

  it('is followed by Valid-Until by what the suite was made with', async () => {
    await publishFirst(parts, { validFor: 3 * DAY_MS });
    const release = liveRelease();
    expect(Date.parse(readField(release, 'Valid-Until') ?? '')).toBe(dateOf(release) + 3 * DAY_MS);
    for (const field of ['Date', 'Valid-Until']) {
      // As RFC 1123 in UTC, which date(1) reads back to the same text.
      const text = readField(release, field) ?? '';
      const read = execFileSync('date', ['-u', '-R', '-d', text]).toString();
      expect(text).toMatch(/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} UTC$/);
      expect(Date.parse(read)).toBe(Date.parse(text));
    }
  });

  it('is due for signing when a third of the span is over, and not before', async () => {
    await publishFirst(parts, { validFor: 3 * DAY_MS });
    const live = parts.live.get('stable');
    if (!live) throw new Error('nothing is live');
    expect(isDueForSigning(live, live.date + DAY_MS)).toBe(false);
    expect(isDueForSigning(live, live.date + DAY_MS + 1)).toBe(true);
    clock.now = live.date + DAY_MS + 1;
    await signSuiteAgain(parts, 'stable', 'timer', 'sign again before Valid-Until');
    const next = parts.live.get('stable');
    expect(next?.validUntil).toBeGreaterThan(live.validUntil);
    expect(next && isDueForSigning(next, clock.now)).toBe(false);
  });
});

describe('the mirror', () => {
  it('is repaired where a crash left an older one', async () => {
    await publishFirst(parts);
    await ingest(parts, [createPackage({ name: 'hello' })]);
    await parts.mirror.flush();
    const release = liveRelease();
    for (const name of ['InRelease', 'Release', 'main/binary-amd64/Packages']) {
      writeFileSync(join(root, 'dists/stable', name), 'torn');
    }
    await parts.close();
    parts = await openRepository(root, { clock, key });
    for (const live of parts.live.values()) parts.mirror.follow(live);
    expect(await verifyMirror(root, parts)).toBe(release);
    expect(await checkListedFiles(readListedFiles(release), onDisk)).toEqual([]);
  });

  it('is whole again with the next publication after one that the disk kept out', async () => {
    await parts.close();
    const disk = new FailingDisk();
    parts = await openRepository(root, { clock, key, wrap: disk.wrap });
    await publishFirst(parts);
    await parts.mirror.flush();
    await ingest(parts, [createPackage({ name: 'hello' })]);
    disk.watched = /\/binary-amd64\/Packages$/;
    disk.failAt = disk.writes + 1;
    await parts.mirror.flush();
    const mirrored = await readFile(join(root, 'dists/stable/Release'), 'utf8');
    expect(liveRelease()).not.toBe(mirrored);
    await ingest(parts, [createPackage({ name: 'libx', architecture: 'arm64' })]);
    const release = await verifyMirror(root, parts);
    expect(await checkListedFiles(readListedFiles(release), onDisk)).toEqual([]);
  });
});

describe('live publications', () => {
  it('are the same after a start', async () => {
    await publishFirst(parts);
    await publishFirst(parts, { name: 'testing', codename: 'testing' });
    await ingest(parts, [createPackage({ name: 'hello' })], { suite: 'testing' });
    expect(await loadLivePublications(parts.catalog)).toEqual(parts.live);
    expect([...parts.live.keys()].sort()).toEqual(['stable', 'testing']);
  });

  it('do not hold a suite that was never published', async () => {
    await createSuite(parts, STABLE);
    expect((await loadLivePublications(parts.catalog)).size).toBe(0);
  });
});

describe('a suite', () => {
  it.each<[string, Partial<typeof STABLE>, string]>([
    ['a name that is a path', { name: '../x' }, 'suite "../x"'],
    ['no name', { name: '' }, 'suite ""'],
    ['an Origin of two lines', { origin: 'a\nSuite: forged' }, 'Origin'],
    ['an Origin that ends in a blank', { origin: 'Uni ' }, 'Origin'],
    ['an empty Label', { label: '' }, 'Label'],
    ['a line separator in the Description', { description: 'a \u2028b' }, 'Description'],
    ['no component', { components: [] }, 'component'],
    ['a component that is a path', { components: ['main/../x'] }, 'component'],
    ['no architecture', { architectures: [] }, 'architecture'],
    ['architecture all', { architectures: ['all'] }, '"all"'],
    ['an architecture of other letters', { architectures: ['AMD 64'] }, 'architecture'],
  ])('with %s is refused and not recorded', async (_name, wrong, named) => {
    await expect(createSuite(parts, { ...STABLE, ...wrong })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(named),
    });
    expect(await parts.catalog.all('SELECT name FROM suite')).toEqual([]);
  });

  it('of a name that is taken is refused and changes nothing', async () => {
    const first = await createSuite(parts, STABLE);
    await expect(createSuite(parts, { ...STABLE, origin: 'Other' })).rejects.toMatchObject({
      code: 'SUITE_EXISTS',
    });
    expect(await parts.catalog.all('SELECT origin FROM suite')).toEqual([{ origin: first.origin }]);
  });
});
