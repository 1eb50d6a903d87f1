/**
 * Extended headers of the pax interchange format: the records that change how the next tar member
 * is read. Source of truth: POSIX.1-2024, pax(1), "pax Extended Header". Floor 1.
 */
import { RefusalError } from '../errors.ts';

/** What pax and GNU headers say in place of the next member's own header. */
export interface Overrides {
  path?: string;
  linkpath?: string;
  size?: number;
}

const ZERO = 0x30;
const NINE = 0x39;
const BLANK = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
/** Longer keys than any that is looked for. */
const MAX_KEY_BYTES = 32;

function malformed(): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', 'tar: a pax header does not parse');
}

function applyRecord(overrides: Overrides, key: string, value: Buffer): void {
  if (key.startsWith('GNU.sparse.')) {
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      'tar: it has a sparse file, which dpkg cannot unpack',
    );
  }
  if (key === 'path' || key === 'linkpath') {
    if (value.includes(0)) throw malformed();
    overrides[key] = value.toString('latin1');
  } else if (key === 'size') {
    const digits = value.toString('latin1');
    if (!/^[0-9]{1,15}$/.test(digits)) throw malformed();
    overrides.size = Number(digits);
  }
}

/** The decimal length that begins a record, and where the blank behind it stands. */
function readLength(bytes: Buffer, start: number): { length: number; blank: number } {
  let length = 0;
  let at = start;
  for (let digit = bytes[at] ?? 0; digit >= ZERO && digit <= NINE; digit = bytes[at] ?? 0) {
    length = length * 10 + digit - ZERO;
    at += 1;
    // Larger than anything that is read; and no number grows past exactness.
    if (length > bytes.length) throw malformed();
  }
  if (at === start || bytes[at] !== BLANK) throw malformed();
  return { length, blank: at };
}

/**
 * Records `LENGTH KEY=VALUE\n`; times, owners and extended attributes are passed over.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE a sparse file
 */
export function parsePax(bytes: Buffer): Overrides {
  const overrides: Overrides = {};
  for (let start = 0; start < bytes.length; ) {
    const { length, blank } = readLength(bytes, start);
    const end = start + length;
    const equals = bytes.indexOf(EQUALS, blank);
    if (end > bytes.length || bytes[end - 1] !== NEWLINE || equals <= blank + 1 || equals >= end) {
      throw malformed();
    }
    const key = bytes.toString('latin1', blank + 1, Math.min(equals, blank + 1 + MAX_KEY_BYTES));
    applyRecord(overrides, key, bytes.subarray(equals + 1, end - 1));
    start = end;
  }
  return overrides;
}
