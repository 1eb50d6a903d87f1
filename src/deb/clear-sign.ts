/**
 * The cleartext signature framework, as .dsc and .changes are signed: nothing but the framed text,
 * or no frame at all. What stands outside the frame is signed by nobody, so it is refused. Whether
 * the signature counts is signing/'s to say. Source of truth: RFC 9580 section 7; dpkg's
 * Dpkg::Control::HashCore, which looks for the same lines. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';

/** `content` is the text inside, its dash-escapes undone; a signature does not cover line ends' blanks. */
export interface ClearSigned {
  content: Buffer;
  isSigned: boolean;
}

const BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----';
const SIGNATURE = '-----BEGIN PGP SIGNATURE-----';
const END = '-----END PGP SIGNATURE-----';
const MAX_HEADERS = 8;

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `the OpenPGP frame ${detail}`);
}

/** The first line of the text inside: behind the headers, of which only Hash may stand there. */
function findTextStart(lines: readonly string[]): number {
  for (let at = 1; at <= MAX_HEADERS + 1; at += 1) {
    const line = lines[at];
    if (line === '') return at + 1;
    if (line === undefined || !/^Hash: [A-Za-z0-9, -]{1,80}$/.test(line)) {
      throw malformed(`has ${quoteText(line ?? '')} where only Hash may stand`);
    }
  }
  throw malformed(`has more than ${MAX_HEADERS} headers`);
}

function undoEscape(line: string): string {
  if (line.startsWith('- ')) return line.slice(2);
  if (line.startsWith('-')) throw malformed(`holds an unescaped line: ${quoteText(line)}`);
  return line;
}

const trimBlanks = (line: string): string => {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end -= 1;
  return line.slice(0, end);
};

/** Armour: base64, its checksum, headers that gpg writes; another frame would be a second message. */
function checkSignatureBlock(lines: readonly string[]): void {
  if (lines.length === 0) throw malformed('holds no signature');
  const odd = lines.find(
    (line) => !/^([A-Za-z0-9+/=]{0,76}|(Version|Comment|Hash): .{0,200})$/.test(line),
  );
  if (odd !== undefined) throw malformed(`has ${quoteText(odd)} in its signature`);
}

/**
 * The text of a .dsc or .changes, signed or not.
 * @throws RefusalError PACKAGE_MALFORMED a frame that is broken, or text outside of it
 */
export function readClearSigned(input: Uint8Array): ClearSigned {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  // One character a byte: whatever encoding it is in comes out as it went in.
  const text = bytes.toString('latin1');
  if (!text.startsWith(BEGIN)) {
    if (/^-----BEGIN PGP/m.test(text)) throw malformed('does not begin with the first line');
    return { content: bytes, isSigned: false };
  }
  if (text.includes('\r')) throw malformed('has a carriage return (a DOS line ending?)');
  const lines = text.split('\n');
  if (lines[0] !== BEGIN) throw malformed(`begins with ${quoteText(lines[0] ?? '')}`);
  const start = findTextStart(lines);
  const signature = lines.indexOf(SIGNATURE, start);
  if (signature < 0) throw malformed('has no signature behind its text');
  const end = lines.indexOf(END, signature);
  if (end < 0) throw malformed('is cut off in its signature');
  const behind = lines.slice(end + 1).find((line) => line !== '');
  if (behind !== undefined) throw malformed(`is followed by ${quoteText(behind)}`);
  checkSignatureBlock(lines.slice(signature + 1, end));
  const inside = lines.slice(start, signature).map((line) => trimBlanks(undoEscape(line)));
  return { content: Buffer.from(`${inside.join('\n')}\n`, 'latin1'), isSigned: true };
}
