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

/** Entries that somebody wants added, and what became of them. */
interface Waiting {
  entries: readonly AuditEntry[];
  outcome?: { head: AuditHead } | { error: unknown };
}

const waitingFor = new WeakMap<Catalog, Waiting[]>();

/**
 * Adds entries under the next numbers, all or none; texts are cut to 1000 characters and made
 * printable. Durable when it resolves. Whoever else appends, on any node, waits for its end; what
 * waits here is added in one transaction, because each makes the disk work.
 * @throws Error inside a transaction, as `Catalog.transaction` does.
 */
export async function appendAudit(
  catalog: Catalog,
  entries: readonly AuditEntry[],
): Promise<AuditHead> {
  const mine: Waiting = { entries };
  const waiting = waitingFor.get(catalog) ?? [];
  waitingFor.set(catalog, waiting);
  waiting.push(mine);
  return catalog.lock('audit', async () => {
    if (mine.outcome === undefined) await appendWaiting(catalog, waiting.splice(0));
    if (mine.outcome === undefined) throw new Error('an audit entry was not waited for');
    if ('error' in mine.outcome) throw mine.outcome.error;
    return mine.outcome.head;
  });
}

async function appendWaiting(catalog: Catalog, batch: readonly Waiting[]): Promise<void> {
  try {
    const heads = await catalog.transaction(async (sql) => {
      let head = await findAuditHead(sql);
      const heads: AuditHead[] = [];
      for (const { entries } of batch) {
        for (const entry of entries) head = await insertAfter(sql, head, entry);
        heads.push(head);
      }
      return heads;
    });
    for (const [at, one] of batch.entries()) one.outcome = { head: heads[at] ?? EMPTY_HEAD };
  } catch (error) {
    const [first, ...others] = batch;
    if (first && others.length === 0) first.outcome = { error };
    // One that cannot be written keeps nobody else's out.
    else for (const one of batch) await appendWaiting(catalog, [one]);
  }
}

/** An entry that a change brings with it, to be written in the same transaction. */
export interface AuditNote {
  /** Asked for when it is written. */
  entry: () => AuditEntry;
  isWritten: boolean;
}

/**
 * A transaction that ends with the entries of what it does: both are durable or neither is, and the
 * disk works once.
 */
export async function transactWithNotes(
  catalog: Catalog,
  notes: readonly AuditNote[],
  work: (sql: SqlExecutor) => Promise<void>,
): Promise<void> {
  if (notes.length === 0) return catalog.transaction(work);
  await catalog.lock('audit', () =>
    catalog.transaction(async (sql) => {
      await work(sql);
      let head = await findAuditHead(sql);
      for (const { entry } of notes) head = await insertAfter(sql, head, entry());
    }),
  );
  for (const note of notes) note.isWritten = true;
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
