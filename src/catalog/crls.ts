/** Questions about issued revocation lists. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `authority` is the SHA-256 fingerprint of its issuer; numbers grow over all of them. */
export interface CrlRow {
  number: number;
  authority: string;
  this_update: string;
  next_update: string;
  pem: string;
  issued_at: string;
}

/** Of one authority; a list from before there were several counts for each. */
export function findLatestCrl(sql: SqlExecutor, authority: string): Promise<CrlRow | undefined> {
  return sql.get(
    "SELECT * FROM crl WHERE authority IN ($1, '') ORDER BY number DESC LIMIT 1",
    authority,
  );
}

/** 0 before the first. */
export async function findLastCrlNumber(sql: SqlExecutor): Promise<number> {
  const row = await sql.get<{ number: number }>(
    'SELECT coalesce(max(number), 0) AS number FROM crl',
  );
  return Number(row?.number ?? 0);
}

/** Keeps the newest ten of each authority: older lists prove nothing that the certificates' rows do not. */
export async function insertCrl(sql: SqlExecutor, row: CrlRow): Promise<void> {
  await sql.run(
    `INSERT INTO crl (number, authority, this_update, next_update, pem, issued_at)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    row.number,
    row.authority,
    row.this_update,
    row.next_update,
    row.pem,
    row.issued_at,
  );
  await sql.run(
    `DELETE FROM crl WHERE authority IN ($1, '') AND number NOT IN
       (SELECT number FROM crl WHERE authority IN ($1, '') ORDER BY number DESC LIMIT 10)`,
    row.authority,
  );
}

/** Lets the next list lie that much beyond the last: lists after it were issued and are unknown. */
export async function raiseCrlNumber(sql: SqlExecutor, by: number): Promise<void> {
  const last = await findLastCrlNumber(sql);
  await sql.run('UPDATE crl SET number = $2 WHERE number = $1', last, last + by);
}
