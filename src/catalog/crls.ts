/** Questions about issued revocation lists. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export interface CrlRow {
  number: number;
  this_update: string;
  next_update: string;
  pem: string;
  issued_at: string;
}

export function findLatestCrl(sql: SqlExecutor): Promise<CrlRow | undefined> {
  return sql.get('SELECT * FROM crl ORDER BY number DESC LIMIT 1');
}

/** Keeps the newest ten: older lists prove nothing that the certificates' rows do not. */
export async function insertCrl(sql: SqlExecutor, row: CrlRow): Promise<void> {
  await sql.run(
    'INSERT INTO crl (number, this_update, next_update, pem, issued_at) VALUES ($1, $2, $3, $4, $5)',
    row.number,
    row.this_update,
    row.next_update,
    row.pem,
    row.issued_at,
  );
  await sql.run('DELETE FROM crl WHERE number <= $1', row.number - 10);
}
