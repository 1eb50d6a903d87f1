/** Questions about publications. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `files` is JSON: what Release lists, with the key each stands under. */
export interface PublicationRow {
  suite: string;
  number: number;
  date: string;
  valid_until: string;
  reason: string;
  actor: string;
  in_release: string;
  release: string;
  release_gpg: string;
  files: string;
  created_at: string;
}

export type PublicationSummary = Pick<
  PublicationRow,
  'suite' | 'number' | 'date' | 'valid_until' | 'reason' | 'actor' | 'created_at'
>;

export async function insertPublication(sql: SqlExecutor, row: PublicationRow): Promise<void> {
  await sql.run(
    `INSERT INTO publication (suite, number, date, valid_until, reason, actor, in_release, release,
       release_gpg, files, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    row.suite,
    row.number,
    row.date,
    row.valid_until,
    row.reason,
    row.actor,
    row.in_release,
    row.release,
    row.release_gpg,
    row.files,
    row.created_at,
  );
}

export function findPublication(
  sql: SqlExecutor,
  suite: string,
  number: number,
): Promise<PublicationRow | undefined> {
  return sql.get('SELECT * FROM publication WHERE suite = $1 AND number = $2', suite, number);
}

/** The publication of a suite that was in force at a time; ISO-8601 UTC. */
export function findPublicationAt(
  sql: SqlExecutor,
  suite: string,
  at: string,
): Promise<PublicationRow | undefined> {
  return sql.get(
    `SELECT * FROM publication WHERE suite = $1 AND created_at <= $2
     ORDER BY number DESC LIMIT 1`,
    suite,
    at,
  );
}

/** Newest first. */
export function listPublications(
  sql: SqlExecutor,
  suite: string,
  limit: number,
): Promise<PublicationSummary[]> {
  return sql.all(
    `SELECT suite, number, date, valid_until, reason, actor, created_at FROM publication
     WHERE suite = $1 ORDER BY number DESC LIMIT $2`,
    suite,
    limit,
  );
}

/** The publications of a suite that are not swept and whose numbers follow `after`, in order. */
export function pagePublications(
  sql: SqlExecutor,
  suite: string,
  after: number,
  limit: number,
): Promise<PublicationRow[]> {
  return sql.all(
    `SELECT suite, number, date, valid_until, reason, actor, in_release, release, release_gpg,
       files, created_at
     FROM publication WHERE suite = $1 AND number > $2 AND swept_at IS NULL
     ORDER BY number LIMIT $3`,
    suite,
    after,
    limit,
  );
}
