/**
 * PEM: the textual encoding of certificates, requests and revocation lists. Text outside the
 * blocks is ignored, as `openssl -text` writes some. Source of truth: RFC 7468. Floor 1.
 */
import { type RefusalCode, RefusalError } from '../errors.ts';

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const DER_SEQUENCE = 0x30;

/** What is read, for the refusals: labels allowed, the largest size, the words, the code. */
export interface PemKind {
  labels: readonly string[];
  maxBytes: number;
  what: string;
  code: RefusalCode;
}

/** Base64 in lines of 64 characters, a newline at the end. */
export function writePem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/**
 * The DER of the one block in PEM text, or the bytes themselves where they are DER already.
 * @throws RefusalError the kind's code: no such block, several, not base64, too large.
 */
export function readDer(input: string | Uint8Array, kind: PemKind): Uint8Array {
  if (input.length > kind.maxBytes * 2) throw tooLarge(kind);
  if (typeof input !== 'string' && input[0] === DER_SEQUENCE) {
    if (input.length > kind.maxBytes) throw tooLarge(kind);
    return input;
  }
  const blocks = readPemBlocks(input, kind);
  const [block] = blocks;
  if (block === undefined) {
    throw new RefusalError(kind.code, `No ${kind.what} found: neither PEM nor DER.`);
  }
  if (blocks.length > 1) {
    throw new RefusalError(kind.code, `One ${kind.what} expected, ${blocks.length} found.`);
  }
  return block;
}

/**
 * The DER of every block of that kind, in order; blocks of other kinds are passed over.
 * @throws RefusalError the kind's code
 */
export function readPemBlocks(input: string | Uint8Array, kind: PemKind): Uint8Array[] {
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('latin1');
  const blocks: Uint8Array[] = [];
  let at = 0;
  for (;;) {
    const begin = text.indexOf('-----BEGIN ', at);
    if (begin < 0) return blocks;
    const labelStart = begin + '-----BEGIN '.length;
    const labelEnd = text.indexOf('-----', labelStart);
    const label = text.slice(labelStart, labelEnd);
    const footer = `-----END ${label}-----`;
    const end = labelEnd < 0 ? -1 : text.indexOf(footer, labelEnd);
    if (end < 0 || label.length > 64) {
      throw new RefusalError(kind.code, `The PEM block of the ${kind.what} has no end.`);
    }
    if (kind.labels.includes(label)) {
      blocks.push(readBase64(text.slice(labelEnd + '-----'.length, end), kind));
    }
    at = end + footer.length;
  }
}

function readBase64(text: string, kind: PemKind): Uint8Array {
  const packed = text.replaceAll(/[\t\n\r ]/g, '');
  if (packed.length % 4 !== 0 || !BASE64.test(packed)) {
    throw new RefusalError(kind.code, `The PEM block of the ${kind.what} is not base64.`);
  }
  const der = Buffer.from(packed, 'base64');
  if (der.length > kind.maxBytes) throw tooLarge(kind);
  return der;
}

const tooLarge = (kind: PemKind): RefusalError =>
  new RefusalError(kind.code, `The ${kind.what} is larger than ${kind.maxBytes} bytes.`);
