/** Two publications of a suite side by side: what came, what went, what hosts are offered. Floor 3. */
import type { SqlExecutor } from '../catalog/sql.ts';
import {
  type DifferingPackage,
  listDifferences,
  listNamedAt,
  type StandingPackage,
} from '../catalog/standing.ts';
import { compareVersions } from '../deb/version.ts';
import { getWholePublication } from './publications.ts';
import type { Repository } from './repository.ts';

/** The newest version of a package, as each of the two offers it. */
export interface OfferChange {
  package: string;
  architecture: string;
  component: string;
  from: string;
  to: string;
}

export interface PhaseChange {
  row: StandingPackage;
  from: number | null;
  to: number | null;
}

export interface Comparison {
  /** In the later one and not in the earlier. */
  added: StandingPackage[];
  removed: StandingPackage[];
  /** Packages that both have, with another newest version. */
  upgraded: OfferChange[];
  downgraded: OfferChange[];
  phased: PhaseChange[];
}

const keyOf = ({ listed_in, id }: StandingPackage): string => `${listed_in} ${id}`;
const offerOf = ({ listed_in, kind, name, architecture }: StandingPackage): string =>
  `${name} ${listed_in} ${kind} ${architecture}`;

function findOffers(standing: readonly StandingPackage[]): Map<string, StandingPackage> {
  const offers = new Map<string, StandingPackage>();
  for (const one of standing) {
    const known = offers.get(offerOf(one));
    if (!known || compareVersions(one.version, known.version) > 0) offers.set(offerOf(one), one);
  }
  return offers;
}

function compareOffers(before: readonly StandingPackage[], after: readonly StandingPackage[]) {
  const old = findOffers(before);
  const changes = [...findOffers(after)].flatMap(([key, { name, version, ...rest }]) => {
    const from = old.get(key)?.version;
    if (from === undefined || from === version) return [];
    const { architecture, listed_in: component } = rest;
    return [{ package: name, architecture, component, from, to: version }];
  });
  return {
    upgraded: changes.filter(({ from, to }) => compareVersions(from, to) < 0),
    downgraded: changes.filter(({ from, to }) => compareVersions(from, to) > 0),
  };
}

function compareListings(before: readonly StandingPackage[], after: readonly StandingPackage[]) {
  const old = new Map(before.map((one) => [keyOf(one), one]));
  const young = new Map(after.map((one) => [keyOf(one), one]));
  return {
    added: after.filter((one) => !old.has(keyOf(one))),
    removed: before.filter((one) => !young.has(keyOf(one))),
    phased: after.flatMap((row) => {
      const was = old.get(keyOf(row));
      return was && was.phased !== row.phased ? [{ row, from: was.phased, to: row.phased }] : [];
    }),
  };
}

const standsIn = ({ added_in, removed_in }: DifferingPackage, publication: number): boolean =>
  added_in <= publication && (removed_in === null || removed_in > publication);

/**
 * What one publication of a suite lists otherwise than another, whichever of them is the older.
 * Costs the difference, not what they list.
 */
export async function compareListed(
  sql: SqlExecutor,
  suite: string,
  { from, to }: { from: number; to: number },
): Promise<Comparison> {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  const differing = await listDifferences(sql, suite, low, high);
  const listings = compareListings(
    differing.filter((one) => standsIn(one, from)),
    differing.filter((one) => standsIn(one, to)),
  );
  // Which version is the newest depends on those that both of them list, too.
  const names = [...listings.added, ...listings.removed].map(({ name }) => name);
  const before = await listNamedAt(sql, suite, from, names);
  const after = await listNamedAt(sql, suite, to, names);
  return { ...listings, ...compareOffers(before, after) };
}

/** @throws RefusalError SUITE_UNKNOWN, PUBLICATION_UNKNOWN, CONTENTS_GONE */
export async function comparePublications(
  repository: Repository,
  suite: string,
  { from, to }: { from: number; to: number },
): Promise<Comparison> {
  await getWholePublication(repository, suite, from);
  await getWholePublication(repository, suite, to);
  return compareListed(repository.catalog, suite, { from, to });
}
