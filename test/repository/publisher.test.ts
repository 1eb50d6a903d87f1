/** Publications in line: what comes together is published together, and nobody is answered early. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findListedPackages, type PackageRow } from '../../src/catalog/packages.ts';
import { getPublication } from '../../src/repository/publications.ts';
import {
  createPackage,
  ingest,
  listRecorded,
  type OpenRepository,
  openRepository,
  publishFirst,
  readByHash,
  signAgain,
} from './open.ts';

let root: string;
let parts: OpenRepository;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-publisher-'));
  parts = await openRepository(root);
  await publishFirst(parts);
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

/** The names that one publication lists for amd64, unpacked by gzip from where Release says. */
async function listNames(number: number): Promise<string[]> {
  const row = await getPublication(parts, 'stable', number);
  const files = JSON.parse(row.files) as { path: string; sha256: string }[];
  const index = files.find((file) => file.path === 'main/binary-amd64/Packages.gz');
  const bytes = await readByHash(parts, index?.path ?? '', index?.sha256 ?? '');
  const plain = execFileSync('gzip', ['-dc'], { input: bytes }).toString();
  return [...plain.matchAll(/^Package: (.*)$/gm)].map((match) => match[1] ?? '');
}

describe('a hundred submits at once', () => {
  it('make few publications, and each answer names one that holds its package', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `p${i}`);
    const results = await Promise.all(
      names.map((name) => ingest(parts, [createPackage({ name })])),
    );
    const numbers = results.map(([added]) => added?.publication ?? 0);
    expect(new Set(numbers).size).toBeLessThanOrEqual(20);
    const listed = new Map<number, string[]>();
    for (const number of new Set(numbers)) listed.set(number, await listNames(number));
    const early = names.filter((name, i) => !listed.get(numbers[i] ?? 0)?.includes(name));
    expect(early).toEqual([]);
    // Each publication holds all of the ones before it.
    expect(listed.get(Math.max(...numbers))?.sort()).toEqual([...names].sort());
    expect((await listRecorded(parts.catalog)).size).toBe(names.length);
  });
});

describe('a batch', () => {
  const submit = (suite: string): Promise<number> =>
    signAgain(parts, suite).then(({ number }) => number);

  it('is one for each suite, in any order', async () => {
    await publishFirst(parts, { name: 'testing', codename: 'testing' });
    const suites = ['stable', 'testing', 'stable', 'testing'];
    expect(await Promise.all(suites.map(submit))).toEqual([2, 2, 2, 2]);
    expect(await Promise.all(suites.map(submit))).toEqual([3, 3, 3, 3]);
  });

  it('that fails is refused to all of its callers, and the next one succeeds', async () => {
    const outcomes = await Promise.allSettled(['nowhere', 'nowhere', 'stable'].map(submit));
    expect(outcomes.map((one) => one.status)).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(await submit('stable')).toBe(3);
  });

  it('is over when settle resolves', async () => {
    const pending = Promise.all([submit('stable'), submit('stable')]);
    await parts.publisher.settle();
    expect(parts.live.get('stable')?.number).toBe(2);
    await pending;
  });
});

describe('a removal', () => {
  const remove = (
    name: string,
    row: Omit<PackageRow, 'stanza' | 'hashes'>,
  ): Promise<{ number: number }> =>
    parts.publisher.submit('stable', {
      ...{ additions: [], removals: [{ component: 'main', row }] },
      ...{ reason: `remove ${name}`, actor: 'test' },
    });

  it('takes a package out of the next publication and leaves the one before as it was', async () => {
    for (const name of ['a', 'b', 'c']) await ingest(parts, [createPackage({ name })]);
    const [row] = await findListedPackages(parts.catalog, 'b');
    if (!row) throw new Error('b is not listed');
    const { number } = await remove('b', row);
    expect((await listNames(number)).sort()).toEqual(['a', 'c']);
    expect((await listNames(number - 1)).sort()).toEqual(['a', 'b', 'c']);
    await ingest(parts, [createPackage({ name: 'd' })]);
    expect((await listNames(number + 1)).sort()).toEqual(['a', 'c', 'd']);
    // Withdrawn is not forbidden: the same bytes come back as the package they were.
    const [again] = await ingest(parts, [createPackage({ name: 'b' })]);
    expect(again).toMatchObject({ isNew: true, publication: number + 2 });
    expect((await listNames(number + 2)).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each([1, 7, 23])('and additions in any order keep the index right (seed %i)', async (seed) => {
    const listed = new Set<string>();
    let state = seed;
    const next = (limit: number): number => {
      state = (state * 48_271) % 2_147_483_647; // Lehmer's generator: the same history every run
      return state % limit;
    };
    for (let step = 0; step < 12; step += 1) {
      const name = `p${next(6)}`;
      const [row] = await findListedPackages(parts.catalog, name);
      if (row) {
        await remove(name, row);
        listed.delete(name);
      } else {
        await ingest(parts, [createPackage({ name })]);
        listed.add(name);
      }
      const number = parts.live.get('stable')?.number ?? 0;
      expect((await listNames(number)).sort()).toEqual([...listed].sort());
    }
  });
});
