/**
 * The audit log: rows are added at the end, each chained to the one before (audit-chain.ts), and
 * never changed. Floor 2.
 */
import {
  type AuditEntry,
  type AuditHead,
  type AuditRow,
  EMPTY_HEAD,
  hashRow,
} from './audit-chain.ts';
import type { Catalog, SqlExecutor } from './sql.ts';

const MAX_TEXT_CHARACTERS = 1000;
/** Controls, invisible marks, line separators, halves of characters: what could deceive who reads. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Much of it is a stranger's: bounded, and printable on any terminal. */
function printable(text: string): string {
  return text
    .slice(0, MAX_TEXT_CHARACTERS)
    .replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .slice(0, MAX_TEXT_CHARACTERS)
    .toWellFormed();
}

/** The newest row; EMPTY_HEAD where there is none. */
export async function findAuditHead(sql: SqlExecutor): Promise<AuditHead> {
  const last = await sql.get<AuditHead>(
    'SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1',
  );
  return last ?? EMPTY_HEAD;
}

/**
 * Adds entries under the next numbers, all or none; texts are cut to 1000 characters and made
 * printable. Durable when it resolves. Whoever else appends, on any node, waits for its end.
 * @throws Error inside a transaction, as `Catalog.transaction` does.
 */
export async function appendAudit(
  catalog: Catalog,
  entries: readonly AuditEntry[],
): Promise<AuditHead> {
  return catalog.lock('audit', () =>
    catalog.transaction(async (sql) => {
      let head = await findAuditHead(sql);
      for (const entry of entries) head = await insertAfter(sql, head, entry);
      return head;
    }),
  );
}

async function insertAfter(
  sql: SqlExecutor,
  previous: AuditHead,
  entry: AuditEntry,
): Promise<AuditHead> {
  const row = {
    number: previous.number + 1,
    at: entry.at,
    actor: printable(entry.actor),
    role: printable(entry.role),
    serial: entry.serial === null ? null : printable(entry.serial),
    address: entry.address === null ? null : printable(entry.address),
    operation: printable(entry.operation),
    subject: printable(entry.subject),
    outcome: printable(entry.outcome),
    detail: printable(entry.detail),
  };
  const hash = hashRow(previous.hash, row);
  await sql.run(
    `INSERT INTO audit
     (number, at, actor, role, serial, address, operation, subject, outcome, detail, hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    row.number,
    row.at,
    row.actor,
    row.role,
    row.serial,
    row.address,
    row.operation,
    row.subject,
    row.outcome,
    row.detail,
    hash,
  );
  return { number: row.number, hash };
}

/** From a time on, newest first. */
export function listAudit(sql: SqlExecutor, since: string, limit: number): Promise<AuditRow[]> {
  return sql.all('SELECT * FROM audit WHERE at >= $1 ORDER BY number DESC LIMIT $2', since, limit);
}

/** The rows that follow a number, oldest first. */
export function pageAudit(sql: SqlExecutor, after: number, limit: number): Promise<AuditRow[]> {
  return sql.all('SELECT * FROM audit WHERE number > $1 ORDER BY number LIMIT $2', after, limit);
}

/** The number of the first row from a time on, or undefined where nothing is so new. */
export async function findAuditSince(sql: SqlExecutor, since: string): Promise<number | undefined> {
  const row = await sql.get<{ number: number }>(
    'SELECT number FROM audit WHERE at >= $1 ORDER BY number LIMIT 1',
    since,
  );
  return row?.number;
}
