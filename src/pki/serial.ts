/**
 * Serial numbers in one canonical spelling: lower-case hexadecimal without leading zeros, so that
 * two spellings of one number are one string. Integers of DER are converted here and nowhere else.
 * Source of truth: RFC 5280 section 4.1.2.2, X.690 section 8.3. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { createNode, type Node } from './asn1.ts';
import { type Element, expectTag, MalformedDer, TAG } from './der.ts';

/** RFC 5280: no longer than 20 octets, the sign bit included. */
const MAX_SERIAL_BYTES = 20;
const MAX_SPELLING = 128;
const PLAIN = /^[0-9a-f]+$/;
const COLONS = /^[0-9a-f]{2}(:[0-9a-f]{2})*$/;

/** Bytes of randomness in a serial of ours. */
export const SERIAL_BYTES = 16;

/**
 * Accepts what openssl, certtool and browsers print: upper case, colons between bytes, leading
 * zeros. Zero is '0': some old authorities bear it.
 * @throws RefusalError INPUT_INVALID
 */
export function canonicalSerial(spelling: string): string {
  const lower = spelling.length > MAX_SPELLING ? '' : spelling.toLowerCase();
  if (!PLAIN.test(lower) && !COLONS.test(lower)) {
    throw new RefusalError(
      'INPUT_INVALID',
      `${JSON.stringify(spelling.slice(0, MAX_SPELLING))} is not a serial number in hexadecimal.`,
    );
  }
  const serial = stripZeros(lower.replaceAll(':', ''));
  if (integerBytes(serial).length > MAX_SERIAL_BYTES) {
    throw new RefusalError('INPUT_INVALID', `The serial number ${serial} is longer than 20 bytes.`);
  }
  return serial;
}

/** @param random 16 bytes from a source fit for keys. @throws RangeError on a broken source. */
export function createSerial(random: Uint8Array): string {
  const serial = stripZeros(Buffer.from(random).toString('hex'));
  // A source that yields nothing but zeros would yield the same serial again.
  if (random.length !== SERIAL_BYTES || serial === '0') throw new RangeError('not 16 random bytes');
  return serial;
}

const stripZeros = (hex: string): string => hex.replace(/^0+(?=.)/, '');

/** Contents octets of a non-negative integer, minimal, the sign bit clear. */
export function integerBytes(hex: string): Buffer {
  const even = hex.length % 2 === 0 ? hex : `0${hex}`;
  const first = Number.parseInt(even.slice(0, 2), 16);
  return Buffer.from(first >= 0x80 ? `00${even}` : even, 'hex');
}

/** @param hex a non-negative integer in canonical spelling. */
export const createInteger = (hex: string): Node => createNode(TAG.integer, integerBytes(hex));

/** @throws RefusalError INPUT_INVALID unless it is a positive serial in canonical spelling. */
export function checkSerial(serial: string): void {
  if (serial === '0' || canonicalSerial(serial) !== serial) {
    throw new RefusalError('INPUT_INVALID', `${JSON.stringify(serial)} is not a serial number.`);
  }
}

/**
 * A non-negative integer of at most 20 octets, in canonical spelling.
 * @param what names it in the message.
 * @throws MalformedDer
 */
export function readInteger(element: Element, what: string): string {
  const { source, body, end } = expectTag(element, TAG.integer, what);
  const first = source[body] ?? 0;
  if (end === body) throw new MalformedDer(`the ${what} is empty`);
  if (first >= 0x80) throw new MalformedDer(`the ${what} is negative`);
  if (end - body > MAX_SERIAL_BYTES) throw new MalformedDer(`the ${what} is longer than 20 bytes`);
  if (first === 0 && end - body > 1 && (source[body + 1] ?? 0) < 0x80) {
    throw new MalformedDer(`the ${what} has leading zeros`);
  }
  return stripZeros(
    Buffer.from(source.buffer, source.byteOffset + body, end - body).toString('hex'),
  );
}
