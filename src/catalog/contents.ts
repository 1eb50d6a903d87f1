/** Questions about what packages contain, and since when Contents says so. Floor 2. */
import type { PackageRow } from './packages.ts';
import type { SqlExecutor } from './sql.ts';

/** `paths`: the files of data.tar, one a line, gzip; `size`: their bytes uncompressed. */
export interface PackedPaths {
  paths: Uint8Array;
  size: number;
}

export interface PackageContents extends PackedPaths {
  package_id: string;
}

/** More than any suite lists. */
const MOST_ROWS = 2 ** 31 - 1;

/** Ids that one statement names; SQLite and PostgreSQL take far more. */
const IDS_AT_ONCE = 500;

const slots = (ids: readonly string[], first: number): string =>
  ids.map((_, i) => `$${first + i}`).join(', ');

function* chunk(ids: readonly string[]): Generator<readonly string[]> {
  for (let at = 0; at < ids.length; at += IDS_AT_ONCE) yield ids.slice(at, at + IDS_AT_ONCE);
}

/** What is known already stays: the paths of a package never change. */
export async function insertContents(sql: SqlExecutor, row: PackageContents): Promise<void> {
  await sql.run(
    `INSERT INTO package_contents (package_id, paths, size) VALUES ($1, $2, $3)
     ON CONFLICT (package_id) DO NOTHING`,
    row.package_id,
    row.paths,
    row.size,
  );
}

/** Of those that are known, in no order. */
export async function findContents(
  sql: SqlExecutor,
  ids: readonly string[],
): Promise<PackageContents[]> {
  const found: PackageContents[] = [];
  for (const some of chunk(ids)) {
    const query = `SELECT package_id, paths, size FROM package_contents
      WHERE package_id IN (${slots(some, 1)})`;
    found.push(...(await sql.all<PackageContents>(query, ...some)));
  }
  return found;
}

/** The lines of a listed package stand in the suite's Contents from a publication on, in a place. */
export async function enterContents(
  sql: SqlExecutor,
  listing: { suite: string; component: string; package_id: string },
  place: { publication: number; ordinal: number },
): Promise<void> {
  await sql.run(
    `UPDATE listing SET contents_in = $4, contents_ordinal = $5
     WHERE suite = $1 AND component = $2 AND package_id = $3 AND removed_in IS NULL`,
    listing.suite,
    listing.component,
    listing.package_id,
    place.publication,
    place.ordinal,
  );
}

export type LateContents = PackageRow & { listed_in: string; contents_size: number };

/**
 * Listed packages whose paths are known and not in the suite's Contents yet, oldest first.
 * @param window of so many, the oldest that are not in Contents; others are not looked at.
 */
export function listLateContents(
  sql: SqlExecutor,
  suite: string,
  limit: number,
  window = MOST_ROWS,
): Promise<LateContents[]> {
  return sql.all(
    `SELECT p.*, l.component AS listed_in, c.size AS contents_size
     FROM (SELECT component, package_id, added_in FROM listing
         WHERE suite = $1 AND contents_in IS NULL AND removed_in IS NULL
         ORDER BY added_in, package_id LIMIT $3) l
       JOIN package_contents c ON c.package_id = l.package_id
       JOIN package p ON p.id = l.package_id
     ORDER BY l.added_in, l.package_id LIMIT $2`,
    suite,
    limit,
    window,
  );
}

/** A listing in the order in which they came. */
export interface ListingCursor {
  added_in: number;
  id: string;
}

/** Packages of a suite whose paths nobody has read, oldest first, from behind `after` on. */
export function listUnreadPackages(
  sql: SqlExecutor,
  suite: string,
  after: ListingCursor,
  limit: number,
): Promise<(ListingCursor & { filename: string })[]> {
  return sql.all(
    `SELECT l.added_in, p.id, p.filename
     FROM listing l JOIN package p ON p.id = l.package_id
     WHERE l.suite = $1 AND l.contents_in IS NULL AND l.removed_in IS NULL AND p.kind <> 'dsc'
       AND (l.added_in, l.package_id) > ($2, $3)
       AND NOT EXISTS (SELECT 1 FROM package_contents c WHERE c.package_id = p.id)
     ORDER BY l.added_in, l.package_id LIMIT $4`,
    suite,
    after.added_in,
    after.id,
    limit,
  );
}
