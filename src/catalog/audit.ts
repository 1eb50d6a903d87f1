/** The audit log: rows are added, never changed. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export interface AuditRow {
  number: number;
  at: string;
  actor: string;
  role: string;
  serial: string | null;
  address: string | null;
  operation: string;
  subject: string;
  outcome: string;
  detail: string;
}

/** Adds a row under the next number, counted without gaps. */
export async function appendAudit(sql: SqlExecutor, row: Omit<AuditRow, 'number'>): Promise<void> {
  await sql.run(
    `INSERT INTO audit (number, at, actor, role, serial, address, operation, subject, outcome, detail)
     SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM audit`,
    row.at,
    row.actor,
    row.role,
    row.serial,
    row.address,
    row.operation,
    row.subject,
    row.outcome,
    row.detail,
  );
}

/** In the order they happened, from a time on. */
export function listAudit(sql: SqlExecutor, since: string, limit: number): Promise<AuditRow[]> {
  return sql.all('SELECT * FROM audit WHERE at >= $1 ORDER BY number DESC LIMIT $2', since, limit);
}
