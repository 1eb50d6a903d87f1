/** Questions of a check, in pages: it holds neither all rows nor the event loop. Floor 2. */
import type { PackageRow } from './packages.ts';
import type { SqlExecutor } from './sql.ts';

/** The packages whose ids follow `after`, with their stanzas. */
export function pagePackages(
  sql: SqlExecutor,
  after: string,
  limit: number,
): Promise<PackageRow[]> {
  return sql.all('SELECT * FROM package WHERE id > $1 ORDER BY id LIMIT $2', after, limit);
}

/** The bytes that a package was recorded with; undefined where it is not recorded any more. */
export function findRecordedBytes(
  sql: SqlExecutor,
  id: string,
): Promise<Pick<PackageRow, 'filename' | 'size' | 'sha256'> | undefined> {
  return sql.get('SELECT filename, size, sha256 FROM package WHERE id = $1', id);
}

/** How much there is to read. */
export async function measurePackages(
  sql: SqlExecutor,
): Promise<{ packages: number; bytes: number }> {
  const row = await sql.get<{ packages: number; bytes: number }>(
    'SELECT count(*) AS packages, coalesce(sum(size), 0) AS bytes FROM package',
  );
  return { packages: Number(row?.packages ?? 0), bytes: Number(row?.bytes ?? 0) };
}

/** A listing that cannot be: of no package, of no suite, or from and to publications there are not. */
export interface ListingFault {
  suite: string;
  component: string;
  package_id: string;
  added_in: number;
  removed_in: number | null;
  /** The current publication of the suite; null where there is no such suite. */
  publication: number | null;
  /** Null where there is no such package. */
  name: string | null;
}

export function listListingFaults(sql: SqlExecutor, limit: number): Promise<ListingFault[]> {
  return sql.all(
    `SELECT l.suite, l.component, l.package_id, l.added_in, l.removed_in, s.publication, p.name
     FROM listing l LEFT JOIN package p ON p.id = l.package_id LEFT JOIN suite s ON s.name = l.suite
     WHERE p.id IS NULL OR s.name IS NULL OR l.added_in > s.publication
       OR l.removed_in <= l.added_in OR l.removed_in > s.publication + 1
     ORDER BY l.suite, l.component, l.package_id, l.added_in LIMIT $1`,
    limit,
  );
}

/** Packages that no listing names, and how many bytes they are. */
export async function measureUnlisted(sql: SqlExecutor): Promise<{ count: number; bytes: number }> {
  const row = await sql.get<{ count: number; bytes: number }>(
    `SELECT count(*) AS count, coalesce(sum(p.size), 0) AS bytes FROM package p
     WHERE NOT EXISTS (SELECT 1 FROM listing l WHERE l.package_id = p.id)`,
  );
  return { count: Number(row?.count ?? 0), bytes: Number(row?.bytes ?? 0) };
}

/** How many publications of a suite are not swept. */
export async function countKept(sql: SqlExecutor, suite: string): Promise<number> {
  const row = await sql.get<{ count: number }>(
    'SELECT count(*) AS count FROM publication WHERE suite = $1 AND swept_at IS NULL',
    suite,
  );
  return Number(row?.count ?? 0);
}

export interface PublicationDates {
  number: number;
  date: string;
  valid_until: string;
}

/** The dates of a suite's publications whose numbers follow `after`, in order; swept ones too. */
export function pageDates(
  sql: SqlExecutor,
  suite: string,
  after: number,
  limit: number,
): Promise<PublicationDates[]> {
  return sql.all(
    `SELECT number, date, valid_until FROM publication
     WHERE suite = $1 AND number > $2 ORDER BY number LIMIT $3`,
    suite,
    after,
    limit,
  );
}

/** Whether anything of a suite ended between two publications: after `from`, up to `to`. */
export async function hasEnded(
  sql: SqlExecutor,
  suite: string,
  from: number,
  to: number,
): Promise<boolean> {
  const row = await sql.get(
    `SELECT 1 AS one FROM listing
     WHERE suite = $1 AND removed_in > $2 AND removed_in <= $3 LIMIT 1`,
    suite,
    from,
    to,
  );
  return row !== undefined;
}
