/**
 * The hashes of packages that a suite asks for besides SHA256: computed from the pool's bytes, once
 * for each package, and written down. Floor 3.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { listUnhashedPackages, recordHashes } from '../catalog/hashes.ts';
import type { PackageRow } from '../catalog/packages.ts';
import type { Change } from './change.ts';
import type { Repository } from './repository.ts';
import type { ExtraHash } from './suite-options.ts';

type Hashes = Partial<Record<ExtraHash, string>>;

const ALGORITHMS: Readonly<Record<ExtraHash, string>> = { SHA512: 'sha512', MD5sum: 'md5' };
const PACKAGES_AT_ONCE = 200;

/** Lower-case hexadecimal by name; read in chunks, so that others get their turns. */
export async function hashStream(
  input: AsyncIterable<Uint8Array>,
  names: readonly ExtraHash[],
): Promise<Hashes> {
  const states = names.map((name) => [name, createHash(ALGORITHMS[name])] as const);
  for await (const chunk of input) for (const [, state] of states) state.update(chunk);
  return Object.fromEntries(states.map(([name, state]) => [name, state.digest('hex')]));
}

const missingOf = (json: string, wanted: readonly ExtraHash[]): ExtraHash[] => {
  const known = JSON.parse(json) as Hashes;
  return wanted.filter((name) => known[name] === undefined);
};

/** The row's hashes with those that are wanted, read from the pool where they are not known. */
async function completeRow(
  parts: Pick<Repository, 'storage'>,
  row: Pick<PackageRow, 'filename' | 'hashes'>,
  wanted: readonly ExtraHash[],
): Promise<string> {
  const missing = missingOf(row.hashes, wanted);
  if (missing.length === 0) return row.hashes;
  const stored: Readable = await parts.storage.read(row.filename);
  const more = await hashStream(stored, missing);
  return JSON.stringify({ ...(JSON.parse(row.hashes) as Hashes), ...more });
}

/**
 * Every package that a suite lists gets the hashes that are wanted; safe to repeat, and quick where
 * nothing is missing. Called before a suite asks for them, so that no publication waits for it.
 */
export async function completeHashes(
  parts: Pick<Repository, 'catalog' | 'storage'>,
  suite: string,
  wanted: readonly ExtraHash[],
): Promise<void> {
  for (const name of wanted) {
    for (;;) {
      const some = await listUnhashedPackages(parts.catalog, suite, name, PACKAGES_AT_ONCE);
      if (some.length === 0) break;
      const rows: { id: string; hashes: string }[] = [];
      for (const row of some) {
        rows.push({ id: row.id, hashes: await completeRow(parts, row, wanted) });
      }
      await parts.catalog.transaction((sql) => recordHashes(sql, rows));
    }
  }
}

/** The change with the hashes that are wanted in every row that it adds; the pool has its bytes. */
export async function hashAdditions(
  parts: Pick<Repository, 'catalog' | 'storage'>,
  wanted: readonly ExtraHash[],
  change: Change,
): Promise<Change> {
  if (wanted.length === 0 || change.additions.length === 0) return change;
  const additions = [];
  const known: { id: string; hashes: string }[] = [];
  for (const addition of change.additions) {
    const { row, isNew } = addition;
    const hashes = await completeRow(parts, row, row.kind === 'dsc' ? [] : wanted);
    additions.push({ ...addition, row: { ...row, hashes } });
    if (!isNew && hashes !== row.hashes) known.push({ id: row.id, hashes });
  }
  if (known.length > 0) await parts.catalog.transaction((sql) => recordHashes(sql, known));
  return { ...change, additions };
}
