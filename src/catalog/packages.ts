/** Questions about packages and about which suite lists them since when. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `stanza` is the rendered Packages paragraph; `filename` its key in the pool. */
export interface PackageRow {
  id: string;
  name: string;
  version: string;
  architecture: string;
  kind: string;
  source: string;
  component: string;
  stanza: Uint8Array;
  filename: string;
  size: number;
  sha256: string;
  uploaded_at: string;
  uploaded_by: string;
}

/** A package in a suite: from publication `added_in` on, up to before `removed_in`. */
export interface ListingRow {
  suite: string;
  component: string;
  package_id: string;
  added_in: number;
  /** Phased-Update-Percentage there; null for everybody at once. */
  phased: number | null;
}

export type ListedPackage = Omit<PackageRow, 'stanza'> & { suite: string; listed_in: string };

export function findPackage(
  sql: SqlExecutor,
  name: string,
  version: string,
  architecture: string,
): Promise<PackageRow | undefined> {
  return sql.get(
    'SELECT * FROM package WHERE name = $1 AND version = $2 AND architecture = $3',
    name,
    version,
    architecture,
  );
}

export async function insertPackage(sql: SqlExecutor, row: PackageRow): Promise<void> {
  await sql.run(
    `INSERT INTO package (id, name, version, architecture, kind, source, component, stanza,
       filename, size, sha256, uploaded_at, uploaded_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
    row.id,
    row.name,
    row.version,
    row.architecture,
    row.kind,
    row.source,
    row.component,
    row.stanza,
    row.filename,
    row.size,
    row.sha256,
    row.uploaded_at,
    row.uploaded_by,
  );
}

export async function insertListing(sql: SqlExecutor, row: ListingRow): Promise<void> {
  await sql.run(
    `INSERT INTO listing (suite, component, package_id, added_in, phased)
     VALUES ($1, $2, $3, $4, $5)`,
    row.suite,
    row.component,
    row.package_id,
    row.added_in,
    row.phased,
  );
}

/** Ends a package's time in a suite; resolves with the number of listings that ended. */
export function endListing(
  sql: SqlExecutor,
  suite: string,
  component: string,
  packageId: string,
  removedIn: number,
): Promise<number> {
  return sql.run(
    `UPDATE listing SET removed_in = $4
     WHERE suite = $1 AND component = $2 AND package_id = $3 AND removed_in IS NULL`,
    suite,
    component,
    packageId,
    removedIn,
  );
}

export async function isListed(
  sql: SqlExecutor,
  suite: string,
  component: string,
  packageId: string,
): Promise<{ added_in: number } | undefined> {
  return sql.get(
    `SELECT added_in FROM listing
     WHERE suite = $1 AND component = $2 AND package_id = $3 AND removed_in IS NULL`,
    suite,
    component,
    packageId,
  );
}

/** Where packages stand; `architecture` also brings `all`, and null every one. */
export interface ListingPlace {
  suite: string;
  component: string;
  kinds: readonly string[];
  architecture: string | null;
}

/** The packages of one index in the order they came in. */
export function listPackagesOf(sql: SqlExecutor, place: ListingPlace): Promise<PackageRow[]> {
  const { suite, component, kinds, architecture } = place;
  const names = kinds.map((_, i) => `$${i + 3}`).join(', ');
  const given = architecture === null ? [] : [architecture];
  const matching = given.map(() => `AND p.architecture IN ($${kinds.length + 3}, 'all')`).join('');
  return sql.all(
    `SELECT p.* FROM listing l JOIN package p ON p.id = l.package_id
     WHERE l.suite = $1 AND l.component = $2 AND l.removed_in IS NULL
       AND p.kind IN (${names}) ${matching}
     ORDER BY l.added_in, p.id`,
    suite,
    component,
    ...kinds,
    ...given,
  );
}

const LISTED = `SELECT p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component,
    p.filename, p.size, p.sha256, p.uploaded_at, p.uploaded_by, l.suite, l.component AS listed_in
  FROM listing l JOIN package p ON p.id = l.package_id WHERE l.removed_in IS NULL`;

/** Listed packages whose name contains `part`; '' for all. */
export function searchPackages(sql: SqlExecutor, part: string): Promise<ListedPackage[]> {
  return sql.all(
    `${LISTED} AND p.name LIKE $1 ESCAPE '!' ORDER BY p.name, p.version, p.architecture, l.suite`,
    `%${part.replace(/[!%_]/g, '!$&')}%`,
  );
}

export function findListedPackages(sql: SqlExecutor, name: string): Promise<ListedPackage[]> {
  return sql.all(`${LISTED} AND p.name = $1 ORDER BY p.version, p.architecture, l.suite`, name);
}

/** The suites that list a file of the pool or ever did, as long as that is written down. */
export async function listSuitesOfFile(sql: SqlExecutor, filename: string): Promise<string[]> {
  const rows = await sql.all<{ suite: string }>(
    `SELECT DISTINCT l.suite FROM package p JOIN listing l ON l.package_id = p.id
     WHERE p.filename = $1 ORDER BY l.suite`,
    filename,
  );
  return rows.map((row) => row.suite);
}

/** What a suite lists, without the stanzas; `phased` as there. */
export type StandingPackage = Omit<PackageRow, 'stanza'> & {
  listed_in: string;
  phased: number | null;
};

/** What a suite listed in one of its publications, as long as that is written down. */
export function listPackagesAt(
  sql: SqlExecutor,
  suite: string,
  publication: number,
): Promise<StandingPackage[]> {
  return sql.all(
    `SELECT p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component, p.filename,
       p.size, p.sha256, p.uploaded_at, p.uploaded_by, l.component AS listed_in, l.phased
     FROM listing l JOIN package p ON p.id = l.package_id
     WHERE l.suite = $1 AND l.added_in <= $2 AND (l.removed_in IS NULL OR l.removed_in > $2)
     ORDER BY p.name, l.component, p.architecture, p.version`,
    suite,
    publication,
  );
}

export async function countPackages(sql: SqlExecutor, suite: string): Promise<number> {
  const row = await sql.get<{ count: number }>(
    'SELECT count(*) AS count FROM listing WHERE suite = $1 AND removed_in IS NULL',
    suite,
  );
  return Number(row?.count ?? 0);
}
