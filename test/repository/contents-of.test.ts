/**
 * What stands in an index follows from the catalog: of every publication that there ever was, after
 * any history, gzip(1) finds in the published file what the catalog says.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findListedPackages } from '../../src/catalog/packages.ts';
import type { Change } from '../../src/repository/change.ts';
import { readContentsOf } from '../../src/repository/contents-of.ts';
import { defineIndexes } from '../../src/repository/index-definitions.ts';
import { getPublication } from '../../src/repository/publications.ts';
import { getSuite } from '../../src/repository/suites.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import {
  createKey,
  createPackage,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  readByHash,
} from './open.ts';

/** So short that a few packages make several segments. */
const limits = { segmentBytes: 1500, growth: 4, memberBytes: 1000 };

let key: SecretKey;
let root: string;
let parts: OpenRepository;
beforeEach(async () => {
  key ??= await createKey();
  root = mkdtempSync(join(tmpdir(), 'aptkeep-contents-of-'));
  parts = await openRepository(root, { key, limits });
  await publishFirst(parts);
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

async function remove(names: readonly string[]): Promise<void> {
  const rows = (
    await Promise.all(names.map((name) => findListedPackages(parts.catalog, name)))
  ).flat();
  const removals = rows.map((row) => ({ component: 'main', row })) as unknown as Change['removals'];
  const change = { additions: [], removals, reason: 'remove', actor: 'test' };
  await parts.publisher.submit('stable', change);
}

/** Every index of every publication, as published and as the catalog says. */
async function compareAll(): Promise<string[]> {
  const suite = await getSuite(parts, 'stable');
  const wrong: string[] = [];
  for (let number = 1; number <= suite.publication; number += 1) {
    const { files } = await getPublication(parts, 'stable', number);
    const listed = JSON.parse(files) as { path: string; sha256: string }[];
    for (const definition of defineIndexes(suite)) {
      const { path } = definition;
      const file = listed.find((one) => one.path === `${path}.gz`);
      if (!file) continue;
      const stored = await readByHash(parts, file.path, file.sha256);
      const published = execFileSync('gzip', ['-dc'], { input: stored });
      const said: Buffer[] = [];
      for await (const bytes of readContentsOf(parts.catalog, 'stable', definition, number)) {
        said.push(bytes);
      }
      if (!published.equals(Buffer.concat(said))) wrong.push(`${number} ${path}`);
    }
  }
  return wrong;
}

describe('the catalog', () => {
  it.each([3, 11, 29])(
    'says what every publication lists, in its order (seed %i)',
    async (seed) => {
      let state = seed;
      const next = (limit: number): number => {
        state = (state * 48_271) % 2_147_483_647; // Lehmer's generator: the same history every run
        return state % limit;
      };
      const listed = new Set<string>();
      for (let step = 0; step < 25; step += 1) {
        const names = Array.from({ length: 1 + next(4) }, () => `p${next(30)}`);
        const [present, absent] = [true, false].map((is) =>
          [...new Set(names)].filter((name) => listed.has(name) === is),
        ) as [string[], string[]];
        const packages = absent.map((name) =>
          createPackage({
            name,
            architecture: ['all', 'amd64', 'arm64'][name.length % 3] ?? 'all',
          }),
        );
        if (packages.length > 0) await ingest(parts, packages);
        if (present.length > 0) await remove(present);
        for (const name of absent) listed.add(name);
        for (const name of present) listed.delete(name);
        if (step % 8 !== 7) continue;
        await parts.close();
        parts = await openRepository(root, { key, limits });
      }
      expect(await compareAll()).toEqual([]);
    },
  );
});
