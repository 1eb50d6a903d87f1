/**
 * The retention of a suite: of each package the newest versions stay, and what came in the last
 * days, and what a host reports; the rest leaves the suite by a publication like any other.
 * Versions are compared as dpkg compares them. Floor 3.
 */
import { type ListedSince, listListedSince } from '../catalog/sweeping.ts';
import { compareVersions } from '../deb/version.ts';
import type { Needs } from './horizon.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import type { Retention } from './suite-options.ts';
import { getSuite } from './suites.ts';

const DAY_MS = 86_400_000;
/** A reason is read by people. */
const MAX_NAMED = 20;

/** A listed package that its suite's retention lets go; `newer` versions of it stay or are newer. */
export interface Expired extends ListedSince {
  newer: number;
}

const groupOf = (row: ListedSince): string =>
  [row.listed_in, row.kind, row.architecture, row.name].join(' ');

/** A binary package rebuilt without a change of its source says so at its end (Policy 5.6.12). */
const sourceVersion = (version: string): string => version.replace(/\+b\d+$/, '');

/** What retention lets go, newest first of each package. Pure: `now` in milliseconds. */
export function findExpired(
  rows: readonly ListedSince[],
  retention: Retention,
  now: number,
  needed: ReadonlySet<string>,
): Expired[] {
  const { days } = retention;
  if (retention.newest === null && days === null) return [];
  // Nothing vanishes from a suite because it is good enough not to change.
  const newest = retention.newest ?? 1;
  const since = days === null ? Number.POSITIVE_INFINITY : now - days * DAY_MS;
  const groups = new Map<string, ListedSince[]>();
  for (const row of rows) {
    const group = groups.get(groupOf(row)) ?? [];
    group.push(row);
    groups.set(groupOf(row), group);
  }
  const old = [...groups.values()].flatMap((group) =>
    group
      .sort((a, b) => compareVersions(b.version, a.version))
      .map((row, newer) => ({ ...row, newer }))
      .filter((row) => row.newer >= newest && Date.parse(row.listed_at) < since)
      .filter((row) => !needed.has(row.id)),
  );
  return keepSources(rows, old);
}

/** The source of a binary package that stays, stays with it. */
function keepSources(rows: readonly ListedSince[], old: readonly Expired[]): Expired[] {
  const going = new Set(old.map((row) => `${row.listed_in} ${row.id}`));
  const built = new Set(
    rows
      .filter((row) => row.kind !== 'dsc' && !going.has(`${row.listed_in} ${row.id}`))
      .map((row) => `${row.source} ${sourceVersion(row.version)}`),
  );
  return old.filter((row) => row.kind !== 'dsc' || !built.has(`${row.name} ${row.version}`));
}

/** What the retention of a suite lets go now. @throws RefusalError SUITE_UNKNOWN */
export async function listExpired(
  repository: Pick<Repository, 'catalog' | 'now'>,
  name: string,
  needs: Needs,
): Promise<Expired[]> {
  const { options } = await getSuite(repository, name);
  if (options.retention === null) return [];
  const rows = await listListedSince(repository.catalog, name);
  return findExpired(rows, options.retention, repository.now(), await needs.listNeeded());
}

const describe = (expired: readonly Expired[]): string => {
  const named = expired
    .slice(0, MAX_NAMED)
    .map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
  const more = expired.length - named.length;
  return `retention: remove ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/** Takes out of a suite what its retention lets go; resolves with the publication without it. */
export async function applyRetention(
  parts: { publisher: Publisher },
  name: string,
  expired: readonly Expired[],
  actor: string,
): Promise<number> {
  const removals = expired.map((row) => ({ component: row.listed_in, row }));
  const change = { additions: [], removals, reason: describe(expired), actor };
  return (await parts.publisher.submit(name, change)).number;
}
