/**
 * Paragraphs of fields, as bytes: what stands in a control file, byte for byte, in whatever
 * encoding. Source of truth: deb822(5), Policy 5.1, and what ends a stanza for apt: a line of
 * blanks, or a carriage return, would let a package forge the next one. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';

export interface Field {
  /** In the spelling of the file. */
  name: string;
  /** Everything after the colon, continuation lines included, without the last newline. */
  value: Buffer;
}

export type Paragraph = Field[];

const NEWLINE = 0x0a;
const FIELD_NAME = /^[\x21\x22\x24-\x2c\x2e-\x39\x3b-\x7e][\x21-\x39\x3b-\x7e]*$/;
const MAX_FIELD_NAME_BYTES = 256;

function malformed(line: number, why: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `line ${line} of the control file ${why}`);
}

function lineAt(bytes: Buffer, offset: number): number {
  let line = 1;
  for (let at = bytes.indexOf(NEWLINE); at >= 0 && at < offset; line += 1) {
    at = bytes.indexOf(NEWLINE, at + 1);
  }
  return line;
}

function checkBytes(bytes: Buffer): void {
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw malformed(lineAt(bytes, nul), 'has a NUL byte');
  const carriageReturn = bytes.indexOf(0x0d);
  if (carriageReturn >= 0) {
    throw malformed(lineAt(bytes, carriageReturn), 'has a carriage return (a DOS line ending?)');
  }
  if (bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE) {
    throw malformed(lineAt(bytes, bytes.length), 'does not end in a newline');
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}

/** One paragraph in the making: field names seen, and where the open field's value begins. */
class ParagraphBuilder {
  readonly #bytes: Buffer;
  /** The same, one character a byte. */
  readonly #text: string;
  readonly #names = new Set<string>();
  readonly fields: Paragraph = [];
  #valueStart = 0;

  constructor(bytes: Buffer, text: string) {
    this.#bytes = bytes;
    this.#text = text;
  }

  continueField(line: number, start: number, end: number): void {
    let at = start;
    while (at < end && isBlank(this.#bytes[at])) at += 1;
    if (at === end) throw malformed(line, 'has nothing but blanks, which would end the stanza');
    const open = this.fields.at(-1);
    if (open === undefined) throw malformed(line, 'continues a field, but none stands before it');
    open.value = this.#bytes.subarray(this.#valueStart, end);
  }

  openField(line: number, start: number, end: number): void {
    const colon = this.#text.indexOf(':', start);
    if (colon < 0 || colon >= end) {
      const text = this.#bytes.subarray(start, end);
      throw malformed(line, `has no colon after the field name: ${quoteText(text)}`);
    }
    const name = this.#text.slice(start, Math.min(colon, start + MAX_FIELD_NAME_BYTES + 1));
    if (name.length > MAX_FIELD_NAME_BYTES || !FIELD_NAME.test(name)) {
      const text = this.#bytes.subarray(start, colon);
      throw malformed(line, `has a bad field name: ${quoteText(text)}`);
    }
    const folded = name.toLowerCase();
    if (this.#names.has(folded)) throw malformed(line, `has field ${quoteText(name)} once more`);
    this.#names.add(folded);
    this.#valueStart = colon + 1;
    this.fields.push({ name, value: this.#bytes.subarray(this.#valueStart, end) });
  }
}

/**
 * Every paragraph, separated by empty lines. Values share the memory of `input`.
 * @throws RefusalError PACKAGE_MALFORMED naming the line
 */
export function parseParagraphs(input: Uint8Array): Paragraph[] {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  checkBytes(bytes);
  const text = bytes.toString('latin1');
  const paragraphs: Paragraph[] = [];
  let builder = new ParagraphBuilder(bytes, text);
  let line = 1;
  for (let start = 0; start < bytes.length; line += 1) {
    const end = bytes.indexOf(NEWLINE, start);
    if (end === start) {
      if (builder.fields.length > 0) paragraphs.push(builder.fields);
      builder = new ParagraphBuilder(bytes, text);
    } else if (isBlank(bytes[start])) {
      builder.continueField(line, start, end);
    } else {
      builder.openField(line, start, end);
    }
    start = end + 1;
  }
  if (builder.fields.length > 0) paragraphs.push(builder.fields);
  return paragraphs;
}
