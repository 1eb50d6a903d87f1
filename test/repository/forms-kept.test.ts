/** Patches and .xz as the rest of the house sees them: check, repair, backup, sweep. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listStoredObjects } from '../../src/catalog/stored-objects.ts';
import { checkRepository } from '../../src/repository/check.ts';
import type { Check } from '../../src/repository/check-parts.ts';
import { Findings } from '../../src/repository/findings.ts';
import { repairFindings } from '../../src/repository/repair.ts';
import {
  createKey,
  createPackage,
  hashBytes,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  readKey,
} from './open.ts';

const INDEX = 'main/binary-amd64/Packages';
const data = mkdtempSync(join(tmpdir(), 'aptkeep-forms-kept-'));
const key = await createKey();
let parts: OpenRepository;

const add = (...names: string[]) =>
  ingest(
    parts,
    names.map((name) => createPackage({ name, fields: `Homepage: https://${name}.example\n` })),
  );

beforeAll(async () => {
  parts = await openRepository(data, { clock: { now: Date.now() }, key });
  await publishFirst(parts, { options: { xz: true, pdiffs: true, hashes: ['SHA512'] } });
  await add(...Array.from({ length: 40 }, (_, i) => `base-${i}`));
  for (const name of ['one', 'two', 'three']) await add(name);
  await parts.mirror.flush();
});
afterAll(async () => {
  await parts.close();
  rmSync(data, { recursive: true });
});

async function check(repair = false): Promise<string[]> {
  const findings = new Findings();
  const { signal } = new AbortController();
  const one: Check = {
    parts,
    findings,
    quick: false,
    signal,
    damaged: [],
    mirrors: [],
    broken: [],
  };
  await checkRepository(one);
  if (repair) await repairFindings(one, parts.publisher, data);
  return findings.report().findings.map(({ code, why }) => `${code} ${why}`);
}

const listPatches = (): string[] =>
  [...(parts.live.get('stable')?.files.keys() ?? [])].filter((path) => /Packages\.diff/.test(path));

describe('a suite with patches and .xz', () => {
  it('lists Index in Release, with the hashes of the suite, and no patch', () => {
    const release = parts.live.get('stable')?.release.toString() ?? '';
    const lines = release.split('\n').filter((line) => line.includes(`${INDEX}.diff/`));
    expect(lines.map((line) => line.split(' ').at(-1))).toEqual([
      `${INDEX}.diff/Index`,
      `${INDEX}.diff/Index`,
    ]);
    expect(listPatches()).toHaveLength(2 * 4);
  });

  it('has no fault for a check', async () => {
    expect(await check()).toEqual([]);
  });

  it('is backed up object by object', async () => {
    const keys: string[] = [];
    for await (const { key, size, sha256 } of listStoredObjects(parts.catalog)) {
      const bytes = await readKey(parts.storage, key);
      expect({ size: bytes.length, sha256: hashBytes(bytes) }, key).toEqual({ size, sha256 });
      keys.push(key);
    }
    expect(new Set(keys).size).toBe(keys.length);
    const files = [...(parts.live.get('stable')?.files.values() ?? [])];
    const needed = files.flatMap((file) => (file.parts ?? []).map(({ key }) => key));
    expect(needed.filter((key) => !keys.includes(key))).toEqual([]);
  });

  it('has in its mirror what it has, and no patch of before', async () => {
    await add('four');
    await parts.mirror.flush();
    const mirrored: string[] = [];
    for await (const key of parts.storage.list('dists/stable/main/binary-amd64/Packages.diff')) {
      mirrored.push(key.replace('dists/stable/', ''));
    }
    expect(mirrored.sort()).toEqual(
      listPatches()
        .filter((path) => path.startsWith(INDEX))
        .sort(),
    );
  });

  it('is put right where a patch is damaged', async () => {
    const index = parts.live.get('stable')?.files.get(`${INDEX}.diff/Index`);
    const object = index?.parts?.[0]?.key ?? '';
    const bytes = await readKey(parts.storage, object);
    bytes.fill(0, bytes.length - 60);
    writeFileSync(join(data, object), bytes);
    // What was written a moment ago is remembered.
    await parts.close();
    parts = await openRepository(data, { clock: { now: Date.now() }, key });
    const fault = expect.stringMatching(/^index\.bytes main\S+\.diff\/\w+\.gz: /);
    // Both architectures have the same packages, and so the same object.
    expect(await check()).toEqual([fault, fault]);
    await add('five');
    expect(listPatches().filter((path) => path.startsWith(INDEX))).toHaveLength(2);
    await check(true);
    await add('six');
    expect(listPatches().filter((path) => path.startsWith(INDEX)).length).toBeGreaterThan(1);
  });
});
