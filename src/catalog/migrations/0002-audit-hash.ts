/**
 * Migration 2: the audit log is chained (audit-chain.ts); the rows there are get their hashes as
 * they stand. Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */
import { pageAudit } from '../audit.ts';
import { EMPTY_HEAD, hashRow } from '../audit-chain.ts';
import type { SqlExecutor } from '../sql.ts';

const PAGE_ROWS = 1000;

async function hashRows(sql: SqlExecutor): Promise<void> {
  let head = EMPTY_HEAD;
  for (;;) {
    const rows = await pageAudit(sql, head.number, PAGE_ROWS);
    for (const row of rows) {
      const hash = hashRow(head.hash, row);
      await sql.run('update audit set hash = $1 where number = $2', hash, row.number);
      head = { number: row.number, hash };
    }
    if (rows.length < PAGE_ROWS) return;
  }
}

export const AUDIT_HASH_STEPS = [
  "alter table audit add column hash text not null default ''",
  hashRows,
];
