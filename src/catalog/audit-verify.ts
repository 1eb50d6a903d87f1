/**
 * Proving the audit log: every row read again, in pages, against the chain. A tail that was cut off
 * leaves a shorter chain that is whole; only a head noted before shows that. Floor 2.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pageAudit } from './audit.ts';
import { type AuditHead, type AuditRow, EMPTY_HEAD, hashRow } from './audit-chain.ts';
import type { SqlExecutor } from './sql.ts';

const PAGE_ROWS = 1000;

export interface AuditVerdict {
  /** Rows that were found whole, from the first on. */
  entries: number;
  /** The last of them: to be noted down elsewhere, and asked for the next time. */
  head: AuditHead;
  /** The first row that is not what it was, and why. */
  fault: { number: number; why: string } | null;
}

/** @param noted a head of an earlier day, which must be in the chain still. */
export async function verifyAudit(sql: SqlExecutor, noted?: AuditHead): Promise<AuditVerdict> {
  let head: AuditHead = EMPTY_HEAD;
  const judge = (why: string | undefined): AuditVerdict['fault'] =>
    why === undefined ? null : { number: head.number + 1, why };
  // Below the first number, so that a row put in front of it is read too.
  for (let after = Number.MIN_SAFE_INTEGER; ; after = head.number) {
    const rows = await pageAudit(sql, after, PAGE_ROWS);
    for (const row of rows) {
      const fault = judge(findRowFault(head, row, noted));
      if (fault) return { entries: head.number, head, fault };
      head = { number: row.number, hash: row.hash };
    }
    if (rows.length < PAGE_ROWS) break;
    // The driver answers at once: without this, nobody else were served until the end.
    await nextTurn();
  }
  return { entries: head.number, head, fault: judge(findTailFault(head, noted)) };
}

function findRowFault(head: AuditHead, row: AuditRow, noted?: AuditHead): string | undefined {
  const expected = head.number + 1;
  if (row.number !== expected) {
    return row.number > expected
      ? `the entry is missing: ${row.number} follows ${head.number}`
      : `an entry numbered ${row.number} stands where ${expected} belongs`;
  }
  if (row.hash !== hashRow(head.hash, row)) {
    return 'its hash is not that of its contents and of the entry before: one of them was changed';
  }
  if (noted?.number === row.number && noted.hash !== row.hash) {
    return 'its hash is another than the one noted: it, or an entry before, was written anew';
  }
  return undefined;
}

function findTailFault(head: AuditHead, noted: AuditHead = EMPTY_HEAD): string | undefined {
  if (noted.number > head.number) {
    return `the entry is missing: the log ends at ${head.number}, but ${noted.number} was noted`;
  }
  const isOther = noted.number === 0 && noted.hash !== EMPTY_HEAD.hash;
  return isOther ? 'the noted hash of entry 0 is not the one every log begins with' : undefined;
}
