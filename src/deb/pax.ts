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

const BLANK = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
/** A length of more digits could not be inside any header that is read. */
const MAX_LENGTH_DIGITS = 8;

function malformed(): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', 'tar: a pax header does not parse');
}

function applyRecord(overrides: Overrides, key: string, value: string): void {
  if (key.startsWith('GNU.sparse.')) {
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      'tar: it has a sparse file, which dpkg cannot unpack',
    );
  }
  if (key === 'path' || key === 'linkpath') {
    if (value.includes('\0')) throw malformed();
    overrides[key] = value;
  } else if (key === 'size') {
    if (!/^[0-9]{1,15}$/.test(value)) throw malformed();
    overrides.size = Number(value);
  }
}

/**
 * Records `LENGTH KEY=VALUE\n`; times, owners and extended attributes are passed over.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE a sparse file
 */
export function parsePax(bytes: Buffer): Overrides {
  const overrides: Overrides = {};
  for (let start = 0; start < bytes.length; ) {
    const blank = bytes.subarray(start, start + MAX_LENGTH_DIGITS + 1).indexOf(BLANK);
    const digits = bytes.toString('latin1', start, start + Math.max(blank, 0));
    const end = start + Number(digits);
    if (!/^[0-9]+$/.test(digits) || end > bytes.length || bytes[end - 1] !== NEWLINE) {
      throw malformed();
    }
    const record = bytes.subarray(start + blank + 1, end - 1);
    const equals = record.indexOf(EQUALS);
    if (end <= start + blank + 1 || equals < 1) throw malformed();
    applyRecord(
      overrides,
      record.toString('latin1', 0, Math.min(equals, 64)),
      record.toString('latin1', equals + 1),
    );
    start = end;
  }
  return overrides;
}
