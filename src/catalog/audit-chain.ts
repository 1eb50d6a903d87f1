/**
 * The chain of the audit log: the hash of a row covers all that the row says and the hash of the
 * row before, so that none can be changed, taken out or put in without all that follow it.
 * Source of truth: SHA-256 (FIPS 180-4) of JSON as RFC 8785 writes it; told to others in
 * docs/operate.md, and never changed, because rows outlive programs. Floor 2.
 */
import { createHash } from 'node:crypto';

/** What is told to the log; all of it is text, `at` an ISO-8601 time in UTC. */
export interface AuditEntry {
  at: string;
  actor: string;
  role: string;
  /** Of the actor's certificate; null where it has none. */
  serial: string | null;
  /** Null for the local command line. */
  address: string | null;
  operation: string;
  subject: string;
  outcome: string;
  detail: string;
}

/** A row without its hash; rows are numbered 1, 2, 3 without a gap. */
export interface NumberedEntry extends AuditEntry {
  number: number;
}

export interface AuditRow extends NumberedEntry {
  hash: string;
}

/** What names a row and, with it, all rows before. */
export interface AuditHead {
  number: number;
  hash: string;
}

/** The order in which they are hashed. */
const HASHED_FIELDS = [
  ...(['number', 'at', 'actor', 'role', 'serial'] as const),
  ...(['address', 'operation', 'subject', 'outcome', 'detail'] as const),
];

/** Before the first row. */
export const EMPTY_HEAD: Readonly<AuditHead> = { number: 0, hash: '0'.repeat(64) };

/**
 * The hash of a row, 64 hexadecimal digits in lower case: SHA-256 over the hash of the row before,
 * a newline, and the row's fields as a JSON array without blanks, in UTF-8.
 */
export function hashRow(previous: string, row: NumberedEntry): string {
  // ECMAScript's JSON.stringify is what RFC 8785, 3.2.2 asks for.
  const fields = JSON.stringify(HASHED_FIELDS.map((field) => row[field]));
  return createHash('sha256').update(`${previous}\n${fields}`).digest('hex');
}
