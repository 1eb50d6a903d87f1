/** Questions about packages and about which suite lists them since when. Floor 2. */
import { setImmediate } from 'node:timers/promises';
import { insertRows } from './rows.ts';
import type { SqlExecutor } from './sql.ts';

/**
 * `stanza` is the rendered Packages paragraph; `filename` its key in the pool; `hashes` JSON of those
 * besides SHA256 that were computed, by their names in a stanza.
 */
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
  hashes: string;
}

/**
 * A package in a suite: from publication `added_in` on, up to before `removed_in`. `ordinal` is its
 * place among all that this publication added.
 */
export interface ListingRow {
  suite: string;
  component: string;
  package_id: string;
  added_in: number;
  ordinal: number;
  /** Phased-Update-Percentage there; null for everybody at once. */
  phased: number | null;
  /** Since when its lines stand in Contents, null while they do not; and its place there. */
  contents_in: number | null;
  contents_ordinal: number;
}

export type ListedPackage = Omit<PackageRow, 'stanza' | 'hashes'> & {
  suite: string;
  listed_in: string;
  phased: number | null;
};

/**
 * `kinds` tells apart what stands in different indexes: an installer's package may have the name,
 * version and architecture of another one.
 */
export function findPackage(
  sql: SqlExecutor,
  name: string,
  version: string,
  architecture: string,
  kinds: readonly string[] = ['deb', 'ddeb'],
): Promise<PackageRow | undefined> {
  const places = kinds.map((_, i) => `$${i + 4}`).join(', ');
  return sql.get(
    `SELECT * FROM package
     WHERE name = $1 AND version = $2 AND architecture = $3 AND kind IN (${places})`,
    name,
    version,
    architecture,
    ...kinds,
  );
}

/** The package of exactly these bytes that a suite lists, and where; undefined for none. */
export function findListedBytes(
  sql: SqlExecutor,
  suite: string,
  sha256: string,
): Promise<(PackageRow & { listed_in: string; added_in: number }) | undefined> {
  return sql.get(
    `SELECT p.*, l.component AS listed_in, l.added_in FROM package p
     JOIN listing l ON l.package_id = p.id
     WHERE p.sha256 = $1 AND l.suite = $2 AND l.removed_in IS NULL ORDER BY l.component LIMIT 1`,
    sha256,
    suite,
  );
}

const NAMES_AT_ONCE = 500;

/** Every version of the packages named. */
export async function findPackagesNamed(
  sql: SqlExecutor,
  names: readonly string[],
): Promise<PackageRow[]> {
  const found: PackageRow[] = [];
  for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
    const some = names.slice(at, at + NAMES_AT_ONCE);
    const places = some.map((_, i) => `$${i + 1}`).join(', ');
    found.push(
      ...(await sql.all<PackageRow>(`SELECT * FROM package WHERE name IN (${places})`, ...some)),
    );
  }
  return found;
}

/** What a suite lists now. */
export function listListings(
  sql: SqlExecutor,
  suite: string,
): Promise<{ component: string; package_id: string }[]> {
  return sql.all(
    'SELECT component, package_id FROM listing WHERE suite = $1 AND removed_in IS NULL',
    suite,
  );
}

const PACKAGE_COLUMNS = [
  ...(['id', 'name', 'version', 'architecture', 'kind', 'source', 'component', 'stanza'] as const),
  ...(['filename', 'size', 'sha256', 'uploaded_at', 'uploaded_by', 'hashes'] as const),
];

export const insertPackages = (sql: SqlExecutor, rows: readonly PackageRow[]): Promise<void> =>
  insertRows(sql, 'package', PACKAGE_COLUMNS, rows);

const LISTING_COLUMNS = [
  ...(['suite', 'component', 'package_id', 'added_in', 'ordinal', 'phased'] as const),
  ...(['contents_in', 'contents_ordinal'] as const),
];

export const insertListings = (sql: SqlExecutor, rows: readonly ListingRow[]): Promise<void> =>
  insertRows(sql, 'listing', LISTING_COLUMNS, rows);

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

const LISTED = `SELECT p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component,
    p.filename, p.size, p.sha256, p.uploaded_at, p.uploaded_by, l.suite, l.component AS listed_in,
    l.phased
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
    `SELECT l.suite FROM package p JOIN listing l ON l.package_id = p.id
     WHERE p.filename = $1
     UNION SELECT l.suite FROM package_file f JOIN listing l ON l.package_id = f.package_id
     WHERE f.filename = $1 ORDER BY suite`,
    filename,
  );
  return rows.map((row) => row.suite);
}

/** The files beside the .dsc of what a suite listed in one of its publications. */
export function listPackageFilesOf(
  sql: SqlExecutor,
  suite: string,
  publication: number,
): Promise<{ filename: string; size: number; sha256: string }[]> {
  return sql.all(
    `SELECT DISTINCT f.filename, f.size, f.sha256
     FROM listing l JOIN package_file f ON f.package_id = l.package_id
     WHERE l.suite = $1 AND l.added_in <= $2 AND (l.removed_in IS NULL OR l.removed_in > $2)`,
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

/** More would not fit into one statement everywhere. */
const IDS_AT_ONCE = 500;

/** Whole packages by their ids, in no order; an id without a package brings none. */
export async function findPackages(
  sql: SqlExecutor,
  ids: readonly string[],
): Promise<PackageRow[]> {
  const rows: PackageRow[] = [];
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const some = ids.slice(from, from + IDS_AT_ONCE);
    const places = some.map((_, i) => `$${i + 1}`).join(', ');
    const text = `SELECT * FROM package WHERE id IN (${places})`;
    for (const row of await sql.all<PackageRow>(text, ...some)) rows.push(row);
    await setImmediate();
  }
  return rows;
}

/** A binary package made of a source, and a suite that lists it or ever did. */
export type SourcePackage = Pick<PackageRow, 'name' | 'version' | 'stanza' | 'filename'> & {
  suite: string;
};

/** The binary packages of a source that stand in a component, whatever their versions. */
export function findPackagesOfSource(
  sql: SqlExecutor,
  { source, component }: { source: string; component: string },
): Promise<SourcePackage[]> {
  return sql.all(
    `SELECT DISTINCT p.name, p.version, p.stanza, p.filename, l.suite
     FROM package p JOIN listing l ON l.package_id = p.id
     WHERE p.source = $1 AND p.kind = 'deb' AND l.component = $2`,
    source,
    component,
  );
}
