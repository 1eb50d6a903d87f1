/**
 * Questions and deletions of a sweep: what no kept publication needs any more. A page at a time, so
 * that neither memory nor the writer belongs to a sweep. Floor 2.
 */
import type { PackageRow } from './packages.ts';
import type { SqlExecutor, SqlValue } from './sql.ts';

/** A publication that a newer one has taken the place of, and when. */
export interface SupersededPublication {
  suite: string;
  number: number;
  date: string;
  superseded_at: string;
}

/** A suite with a past, also one that was removed: its packages are freed as any other's. */
export interface PastSuite {
  name: string;
  publication: number;
  options: string;
  removed_at: string | null;
}

export function listPastSuites(sql: SqlExecutor): Promise<PastSuite[]> {
  return sql.all('SELECT name, publication, options, removed_at FROM suite ORDER BY name');
}

/**
 * Those of a suite that are not swept yet, oldest first; also the last one where the suite was
 * removed.
 */
export function listSuperseded(sql: SqlExecutor, suite: string): Promise<SupersededPublication[]> {
  return sql.all(
    `SELECT p.suite, p.number, p.date, coalesce((
       SELECT n.created_at FROM publication n WHERE n.suite = p.suite AND n.number > p.number
       ORDER BY n.number LIMIT 1), s.removed_at) AS superseded_at
     FROM publication p JOIN suite s ON s.name = p.suite
     WHERE p.suite = $1 AND p.swept_at IS NULL
       AND (p.number < s.publication OR s.removed_at IS NOT NULL) ORDER BY p.number`,
    suite,
  );
}

/** Takes the texts and the indexes of a publication; that there was one stays. */
export async function markSwept(
  sql: SqlExecutor,
  suite: string,
  number: number,
  at: string,
): Promise<void> {
  await sql.run(
    `UPDATE publication SET in_release = '', release = '', release_gpg = '', files = '[]',
       swept_at = $3 WHERE suite = $1 AND number = $2`,
    suite,
    number,
    at,
  );
}

/**
 * Which publications of a suite are kept: all from `oldest` on, and those pinned before it.
 */
export interface Horizon {
  suite: string;
  oldest: number;
  pinned: readonly number[];
}

/** SQL that is true of a listing `l` that a kept publication of its suite holds. */
function writeNeeded(
  horizons: readonly Horizon[],
  from: number,
): { text: string; values: SqlValue[] } {
  const values: SqlValue[] = [];
  const add = (value: SqlValue): string => {
    values.push(value);
    return `$${from + values.length}`;
  };
  const perSuite = horizons.map(({ suite, oldest, pinned }) => {
    const within = pinned.map((number) => {
      const at = add(number);
      return ` OR (l.added_in <= ${at} AND l.removed_in > ${at})`;
    });
    return `(l.suite = ${add(suite)} AND (l.removed_in > ${add(oldest)}${within.join('')}))`;
  });
  return { text: ['l.removed_in IS NULL', ...perSuite].join(' OR '), values };
}

export interface EndedListing {
  suite: string;
  component: string;
  package_id: string;
  added_in: number;
}

/** Listings that no kept publication holds, at most `limit` of them. */
export function listEndedListings(
  sql: SqlExecutor,
  horizon: Horizon,
  limit: number,
): Promise<EndedListing[]> {
  const needed = writeNeeded([horizon], 2);
  return sql.all(
    `SELECT l.suite, l.component, l.package_id, l.added_in FROM listing l
     WHERE l.suite = $1 AND NOT (${needed.text}) LIMIT $2`,
    horizon.suite,
    limit,
    ...needed.values,
  );
}

export async function deleteListing(sql: SqlExecutor, row: EndedListing): Promise<void> {
  await sql.run(
    `DELETE FROM listing WHERE suite = $1 AND component = $2 AND package_id = $3 AND added_in = $4`,
    row.suite,
    row.component,
    row.package_id,
    row.added_in,
  );
}

export type UnneededPackage = Omit<PackageRow, 'stanza'>;

/** The last id of the next `limit` packages after one; undefined where there are none. */
export async function findPageEnd(
  sql: SqlExecutor,
  after: string,
  limit: number,
): Promise<string | undefined> {
  const row = await sql.get<{ last: string | null }>(
    `SELECT max(id) AS last FROM (SELECT id FROM package WHERE id > $1 ORDER BY id LIMIT $2) page`,
    after,
    limit,
  );
  return row?.last ?? undefined;
}

/** Packages with an id after `after` up to `last` that no kept publication of any suite lists. */
export function listUnneeded(
  sql: SqlExecutor,
  horizons: readonly Horizon[],
  after: string,
  last: string,
): Promise<UnneededPackage[]> {
  const needed = writeNeeded(horizons, 2);
  return sql.all(
    `SELECT p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component, p.filename,
       p.size, p.sha256, p.uploaded_at, p.uploaded_by
     FROM package p WHERE p.id > $1 AND p.id <= $2 AND NOT EXISTS (
       SELECT 1 FROM listing l WHERE l.package_id = p.id AND (${needed.text}))
     ORDER BY p.id`,
    after,
    last,
    ...needed.values,
  );
}

/** Deletes a package that nothing lists; false where something does, and then nothing is changed. */
export async function deletePackage(sql: SqlExecutor, id: string): Promise<boolean> {
  const listed = await sql.get('SELECT 1 AS one FROM listing WHERE package_id = $1 LIMIT 1', id);
  if (listed) return false;
  await sql.run('DELETE FROM host_package WHERE package_id = $1', id);
  await sql.run('DELETE FROM package_contents WHERE package_id = $1', id);
  await sql.run('DELETE FROM package_file WHERE package_id = $1', id);
  await sql.run('DELETE FROM package WHERE id = $1', id);
  return true;
}

/** Those of the keys that a package, or a source package's further file, has as its own. */
export async function findRecordedFiles(
  sql: SqlExecutor,
  keys: readonly string[],
): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const list = keys.map((_, i) => `$${i + 1}`).join(', ');
  const rows = await sql.all<{ filename: string }>(
    `SELECT filename FROM package WHERE filename IN (${list})
     UNION SELECT filename FROM package_file WHERE filename IN (${list})`,
    ...keys,
  );
  return new Set(rows.map((row) => row.filename));
}

/** What a retention rule judges: a listed package, where, and since when. */
export type ListedSince = Omit<PackageRow, 'stanza'> & { listed_in: string; listed_at: string };

/** What a suite lists now. */
export function listListedSince(sql: SqlExecutor, suite: string): Promise<ListedSince[]> {
  return sql.all(
    `SELECT p.id, p.name, p.version, p.architecture, p.kind, p.source, p.component, p.filename,
       p.size, p.sha256, p.uploaded_at, p.uploaded_by, l.component AS listed_in,
       n.created_at AS listed_at
     FROM listing l JOIN package p ON p.id = l.package_id
     JOIN publication n ON n.suite = l.suite AND n.number = l.added_in
     WHERE l.suite = $1 AND l.removed_in IS NULL`,
    suite,
  );
}

/** When the first suite was made; a file that is older is none of this repository. */
export async function findFirstSuiteTime(sql: SqlExecutor): Promise<string | undefined> {
  const row = await sql.get<{ first: string | null }>('SELECT min(created_at) AS first FROM suite');
  return row?.first ?? undefined;
}
