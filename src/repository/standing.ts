/**
 * What a suite lists in a publication, and the words by which somebody names a part of it. Floor 3.
 */
import { findPackages, type PackageRow } from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { listNamedAt, type StandingPackage } from '../catalog/standing.ts';
import { compareVersions } from '../deb/version.ts';
import { RefusalError } from '../errors.ts';
import type { Addition, Removal } from './change.ts';

/** A package by its name; the newest version and every architecture where none is named. */
export interface Wanted {
  package: string;
  version?: string | undefined;
  architecture?: string | undefined;
}

export const spellWanted = ({ package: name, version, architecture }: Wanted): string =>
  `${name}${version === undefined ? '' : `=${version}`}${architecture === undefined ? '' : `:${architecture}`}`;

export const spellStanding = ({
  name,
  version,
  architecture,
}: Pick<StandingPackage, 'name' | 'version' | 'architecture'>): string =>
  `${name} ${version} ${architecture}`;

const MAX_NAMED = 10;

/** The first of many, and how many more there are. */
export function nameSome(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** The newest version of each package, component and architecture alone. */
function keepNewest(found: readonly StandingPackage[]): StandingPackage[] {
  const newest = new Map<string, StandingPackage>();
  for (const one of found) {
    const key = `${one.listed_in} ${one.kind} ${one.architecture}`;
    const known = newest.get(key);
    if (!known || compareVersions(one.version, known.version) > 0) newest.set(key, one);
  }
  return [...newest.values()];
}

/** A source may have the name of a package: it is meant where it is named as one, or alone. */
function preferBinaries(found: StandingPackage[]): StandingPackage[] {
  const binaries = found.filter(({ kind }) => kind !== 'dsc');
  return binaries.length > 0 ? binaries : found;
}

/**
 * What a suite lists now of what is wanted, in one component or in all.
 * @throws RefusalError PACKAGE_UNKNOWN naming what it does not list.
 */
export async function pickWanted(
  sql: SqlExecutor,
  suite: { name: string; publication: number },
  wanted: readonly Wanted[],
  component?: string,
): Promise<StandingPackage[]> {
  const names = wanted.map((one) => one.package);
  const standing = await listNamedAt(sql, suite.name, suite.publication, names);
  const byName = Map.groupBy(
    standing.filter(({ listed_in }) => component === undefined || component === listed_in),
    ({ name }) => name,
  );
  const picked = new Set<StandingPackage>();
  for (const one of wanted) {
    const { version, architecture } = one;
    const found = preferBinaries(
      (byName.get(one.package) ?? []).filter(
        (row) =>
          (version === undefined || row.version === version) &&
          (architecture === undefined || row.architecture === architecture),
      ),
    );
    if (found.length === 0) {
      const word = JSON.stringify(spellWanted(one).slice(0, 160));
      throw new RefusalError('PACKAGE_UNKNOWN', `suite ${suite.name} does not list ${word}`);
    }
    for (const row of version === undefined ? keepNewest(found) : found) picked.add(row);
  }
  return [...picked];
}

export const toRemoval = ({ listed_in, phased: _phased, ...row }: StandingPackage): Removal => ({
  component: listed_in,
  row,
});

/** With the stanzas. @throws RefusalError PACKAGE_UNKNOWN where the catalog has one no more. */
export async function toAdditions(
  sql: SqlExecutor,
  standing: readonly StandingPackage[],
): Promise<Addition[]> {
  const rows = await findPackages(
    sql,
    standing.map(({ id }) => id),
  );
  const byId = new Map<string, PackageRow>(rows.map((row) => [row.id, row]));
  return standing.map((one) => {
    const row = byId.get(one.id);
    if (row) return { component: one.listed_in, row, isNew: false, phased: one.phased };
    throw new RefusalError('PACKAGE_UNKNOWN', `${spellStanding(one)} is not there any more`);
  });
}
