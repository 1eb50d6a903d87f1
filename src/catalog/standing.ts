/**
 * Questions about what a suite lists, now or in one of its publications, and about how two of them
 * differ. Each costs what it answers, not what the suite lists, but for the one that answers
 * everything. Floor 2.
 */
import { setImmediate } from 'node:timers/promises';
import type { PackageRow } from './packages.ts';
import type { SqlExecutor, SqlValue } from './sql.ts';

/** What a suite lists, without the stanzas; `phased` as there. */
export type StandingPackage = Omit<PackageRow, 'stanza' | 'hashes'> & {
  listed_in: string;
  phased: number | null;
};

/** More would not fit into one statement everywhere. */
const VALUES_AT_ONCE = 500;
const PAGE_PACKAGES = 2000;

const COLUMNS = `p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component, p.filename,
  p.size, p.sha256, p.uploaded_at, p.uploaded_by, l.component AS listed_in, l.phased`;

/**
 * In publication $2 of suite $1, for packages that are known already: SQLite, which keeps no
 * statistics, would look through all listings of the suite for each, if it saw an index of suites.
 */
const STANDS = `l.suite || '' = $1 AND l.added_in <= $2
  AND (l.removed_in IS NULL OR l.removed_in > $2)`;

/**
 * One answer for many values, a part of them at a time, so that others have their turn.
 * @param from the number of the first parameter that stands for one.
 */
async function askInParts<Row extends object>(
  values: readonly string[],
  from: number,
  ask: (list: string, some: readonly string[]) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let at = 0; at < values.length; at += VALUES_AT_ONCE) {
    const some = values.slice(at, at + VALUES_AT_ONCE);
    // One by one: spread, a large answer would be more arguments than a call takes.
    for (const row of await ask(some.map((_, i) => `$${from + i}`).join(', '), some)) {
      rows.push(row);
    }
    await setImmediate();
  }
  return rows;
}

/** Listed packages that a condition holds for, a page at a time, so that others have their turn. */
async function listPaged(
  sql: SqlExecutor,
  suite: string,
  publication: number,
  condition: string,
  values: readonly SqlValue[],
): Promise<StandingPackage[]> {
  const rows: StandingPackage[] = [];
  for (let after = ''; ; ) {
    // A package may stand in several components: a page ends with the last of one.
    const page = await sql.all<{ last: string | null }>(
      `SELECT max(id) AS last FROM (SELECT package_id AS id FROM listing l
         WHERE ${STANDS} AND package_id > $3 ORDER BY package_id LIMIT ${PAGE_PACKAGES}) page`,
      suite,
      publication,
      after,
    );
    const last = page[0]?.last ?? null;
    if (last === null) return rows;
    const some = await sql.all<StandingPackage>(
      `SELECT ${COLUMNS} FROM listing l JOIN package p ON p.id = l.package_id
       WHERE ${STANDS} AND l.package_id > $3 AND l.package_id <= $4 ${condition}`,
      suite,
      publication,
      after,
      last,
      ...values,
    );
    for (const row of some) rows.push(row);
    after = last;
    await setImmediate();
  }
}

/** Everything that a suite lists in a publication, as long as that is written down. */
export async function listPackagesAt(
  sql: SqlExecutor,
  suite: string,
  publication: number,
): Promise<StandingPackage[]> {
  return (await listPaged(sql, suite, publication, '', [])).sort(byName);
}

const byName = (a: StandingPackage, b: StandingPackage): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1;

/** The same of packages of these names alone. */
export function listNamedAt(
  sql: SqlExecutor,
  suite: string,
  publication: number,
  names: readonly string[],
): Promise<StandingPackage[]> {
  // CROSS JOIN has SQLite begin with the names, where the listings of a suite may be many.
  return askInParts([...new Set(names)], 3, (list, some) =>
    sql.all(
      `SELECT ${COLUMNS} FROM package p CROSS JOIN listing l
       WHERE p.name IN (${list}) AND l.package_id = p.id AND ${STANDS}
       ORDER BY p.name, l.component, p.architecture, p.version`,
      suite,
      publication,
      ...some,
    ),
  );
}

/** A package that one of two publications lists otherwise than the other. */
export type DifferingPackage = StandingPackage & { added_in: number; removed_in: number | null };

/** The listings that began or ended between two publications of a suite, `low` before `high`. */
export function listDifferences(
  sql: SqlExecutor,
  suite: string,
  low: number,
  high: number,
): Promise<DifferingPackage[]> {
  return sql.all(
    `SELECT ${COLUMNS}, l.added_in, l.removed_in
     FROM listing l JOIN package p ON p.id = l.package_id
     WHERE (l.suite = $1 AND l.added_in > $2 AND l.added_in <= $3)
        OR (l.suite = $1 AND l.removed_in > $2 AND l.removed_in <= $3)
     ORDER BY p.name, l.component, p.architecture, p.version`,
    suite,
    low,
    high,
  );
}

/** Where a suite lists packages now: of these, by id. */
export function findListings(
  sql: SqlExecutor,
  suite: string,
  ids: readonly string[],
): Promise<{ package_id: string; component: string }[]> {
  return askInParts(ids, 2, (list, some) =>
    sql.all(
      `SELECT package_id, component FROM listing
       WHERE package_id IN (${list}) AND suite || '' = $1 AND removed_in IS NULL`,
      suite,
      ...some,
    ),
  );
}

/** What a suite lists in a publication outside of these components and architectures. */
export async function listOutside(
  sql: SqlExecutor,
  suite: string,
  publication: number,
  {
    components,
    architectures,
  }: { components: readonly string[]; architectures: readonly string[] },
): Promise<StandingPackage[]> {
  const spell = (some: readonly string[], from: number): string =>
    some.map((_, i) => `$${from + i}`).join(', ');
  const condition = `AND (l.component NOT IN (${spell(components, 5)})
    OR p.architecture NOT IN (${spell(architectures, 5 + components.length)}))`;
  const values = [...components, ...architectures];
  return (await listPaged(sql, suite, publication, condition, values)).sort(byName);
}

/** How many packages stand in each component of a publication. */
export async function countByComponent(
  sql: SqlExecutor,
  suite: string,
  publication: number,
): Promise<{ component: string; packages: number }[]> {
  const rows = await sql.all<{ component: string; packages: number }>(
    `SELECT l.component, count(*) AS packages FROM listing l
     WHERE l.suite = $1 AND l.added_in <= $2 AND (l.removed_in IS NULL OR l.removed_in > $2)
     GROUP BY l.component ORDER BY l.component`,
    suite,
    publication,
  );
  return rows.map((row) => ({ ...row, packages: Number(row.packages) }));
}
