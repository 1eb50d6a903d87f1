/**
 * Reads DER element by element, strictly, without copying: what a signature covers has to be the
 * very bytes that arrived, so an element knows where it stands in its source. Nothing here
 * recurses, so depth costs nothing. Source of truth: X.690 section 8 and 10. Floor 1.
 */
import { type RefusalCode, RefusalError } from '../errors.ts';

/** Identifier octets, with the constructed bit. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Context-specific identifier octets: `[number]`, primitive or constructed. */
export const contextTag = (number: number, constructed: boolean): number =>
  0x80 | (constructed ? 0x20 : 0) | number;

/** One element of `source`: header from `start`, contents from `body` up to `end` (exclusive). */
export interface Element {
  tag: number;
  source: Uint8Array;
  start: number;
  body: number;
  end: number;
}

/** Bytes that are not the DER they ought to be; the readers turn it into their own refusal. */
export class MalformedDer extends Error {}

/** An OID longer than this is nobody's; it bounds the work of `readOid`. */
const MAX_OID_BYTES = 64;

/**
 * @param limit the first offset that the element may not reach.
 * @throws MalformedDer on a truncated element, an indefinite or non-minimal length, a long tag.
 */
export function readElement(source: Uint8Array, start: number, limit: number): Element {
  const tag = source[start];
  const first = source[start + 1];
  if (tag === undefined || first === undefined || start + 2 > limit) {
    throw new MalformedDer(`it ends early, at byte ${start}`);
  }
  if ((tag & 0x1f) === 0x1f) throw new MalformedDer(`unknown tag at byte ${start}`);
  let body = start + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new MalformedDer(`impossible length at byte ${start}`);
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (source[body + i] ?? 0);
    body += count;
    const minimal = count === 1 ? 0x80 : 256 ** (count - 1);
    if (length < minimal) throw new MalformedDer(`length not in DER at byte ${start}`);
  }
  if (body + length > limit) throw new MalformedDer(`it ends early, at byte ${start}`);
  return { tag, source, start, body, end: body + length };
}

/** The one element that fills `source`. @throws MalformedDer also on bytes that follow it. */
export function readWhole(source: Uint8Array, tag: number, what: string): Element {
  const element = expectTag(readElement(source, 0, source.length), tag, what);
  if (element.end !== source.length) throw new MalformedDer(`bytes follow the ${what}`);
  return element;
}

/** @throws MalformedDer naming `what` was expected. */
export function expectTag(element: Element, tag: number, what: string): Element {
  if (element.tag !== tag) throw new MalformedDer(`no ${what} at byte ${element.start}`);
  return element;
}

export const bytesOf = (element: Element): Uint8Array =>
  element.source.subarray(element.start, element.end);

export const bodyOf = (element: Element): Uint8Array =>
  element.source.subarray(element.body, element.end);

/** Walks the elements inside a constructed one, in order. */
export class Children {
  readonly #source: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(parent: Element) {
    this.#source = parent.source;
    this.#at = parent.body;
    this.#end = parent.end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** @throws MalformedDer where the next element is missing or another than `what`. */
  next(what: string, tag?: number): Element {
    if (this.done) throw new MalformedDer(`no ${what} at byte ${this.#at}`);
    const element = readElement(this.#source, this.#at, this.#end);
    if (tag !== undefined) expectTag(element, tag, what);
    this.#at = element.end;
    return element;
  }

  /** The next element if it has one of these tags, else undefined. */
  optional(...tags: number[]): Element | undefined {
    const tag = this.#source[this.#at];
    if (this.done || tag === undefined || !tags.includes(tag)) return undefined;
    return this.next('element');
  }

  finish(what: string): void {
    if (!this.done) throw new MalformedDer(`something follows the ${what} at byte ${this.#at}`);
  }
}

/** X.690 section 11.1: TRUE is 0xff. */
export function readBoolean(element: Element): boolean {
  const value = element.source[element.body];
  if (element.tag !== TAG.boolean || element.end - element.body !== 1) {
    throw new MalformedDer(`no boolean at byte ${element.start}`);
  }
  if (value !== 0 && value !== 0xff) throw new MalformedDer(`boolean at byte ${element.start}`);
  return value === 0xff;
}

/** Dotted; arcs of any size are kept exact (2.25.UUID has 128 bits). X.690 section 8.19. */
export function readOid(element: Element): string {
  const body = bodyOf(expectTag(element, TAG.oid, 'object identifier'));
  const whole = body.length > 0 && (body.at(-1) ?? 0) < 0x80;
  if (!whole || body.length > MAX_OID_BYTES) throw malformedOid(element);
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of body) {
    if (arc === 0n && byte === 0x80) throw malformedOid(element);
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (arcs.length === 0) {
      const root = arc < 80n ? arc / 40n : 2n;
      arcs.push(root, arc - root * 40n);
    } else arcs.push(arc);
    arc = 0n;
  }
  return arcs.join('.');
}

const malformedOid = (element: Element): MalformedDer =>
  new MalformedDer(`object identifier at byte ${element.start}`);

/** Whether a bit string, under whatever tag, is one: at most 7 unused bits. X.690 section 8.6. */
export function checkBitString({ source, start, body, end }: Element): void {
  const unused = source[body] ?? 8;
  if (end === body || unused > 7 || (unused > 0 && end - body === 1)) {
    throw new MalformedDer(`bit string at byte ${start}`);
  }
}

/** The bytes of a bit string that is a whole number of bytes, as keys and signatures are. */
export function readBitString(element: Element): Uint8Array {
  expectTag(element, TAG.bitString, 'bit string');
  if (element.source[element.body] !== 0 || element.end === element.body) {
    throw new MalformedDer(`bit string at byte ${element.start}`);
  }
  return element.source.subarray(element.body + 1, element.end);
}

/**
 * Runs a reader; its MalformedDer becomes a refusal.
 * @param what the subject of the sentence: "The certificate".
 * @throws RefusalError with `code`
 */
export function refuseMalformed<Result>(
  code: RefusalCode,
  what: string,
  read: () => Result,
): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error;
    throw new RefusalError(code, `${what} is not well-formed: ${error.message}.`);
  }
}
