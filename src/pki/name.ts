/**
 * Distinguished names, as far as the project uses them: common name, organisational unit,
 * organisation. Written as UTF8String; read in every string type that authorities use.
 * Source of truth: RFC 5280 section 4.1.2.4 and appendix A (upper bounds). Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { createNode, createOid, createSequence, createSet, type Node } from './asn1.ts';
import {
  bodyOf,
  Children,
  checkBitString,
  type Element,
  expectTag,
  MalformedDer,
  readOid,
  TAG,
} from './der.ts';

export interface Subject {
  commonName: string;
  organizationalUnit?: string;
  organization?: string;
}

/** ub-common-name, ub-organizational-unit-name, ub-organization-name: characters. */
const MAX_ATTRIBUTE_CHARACTERS = 64;
/** Most specific last, the order of a certificate. */
const ATTRIBUTES = [
  ['organization', '2.5.4.10', 'organisation'],
  ['organizationalUnit', '2.5.4.11', 'organisational unit'],
  ['commonName', '2.5.4.3', 'common name'],
] as const;

/** Attribute -> OID, for those who look for one: RFC 4514 section 3, RFC 5280 appendix A. */
const KEYWORDS = {
  CN: '2.5.4.3',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  C: '2.5.4.6',
  DC: '0.9.2342.19200300.100.1.25',
  UID: '0.9.2342.19200300.100.1.1',
} as const;

export type SubjectKeyword = keyof typeof KEYWORDS;
export const SUBJECT_KEYWORDS = Object.keys(KEYWORDS) as SubjectKeyword[];

/** Controls, and what makes one name look like another: formatting marks, line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const CONTROL = /[\p{Cc}\p{Cs}]/u;

/** Of each string type, text or undefined. Node's own 'latin1' and 'ascii' are windows-1252. */
const DECODERS: Record<number, (bytes: Buffer) => string | undefined> = {
  [TAG.utf8String]: (bytes) => decode(bytes, 'utf-8'),
  18: readAscii, // NumericString
  19: readAscii, // PrintableString
  20: (bytes) => bytes.toString('latin1'), // TeletexString, as everybody has it
  22: readAscii, // IA5String
  30: readBmp,
};

function decode(bytes: Buffer, encoding: 'utf-8' | 'utf-16be'): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** BMPString: two bytes a character, so no surrogates; OpenSSL reads no certificate with one. */
function readBmp(bytes: Buffer): string | undefined {
  const text = decode(bytes, 'utf-16be');
  return text !== undefined && /[\u{10000}-\u{10ffff}]/u.test(text) ? undefined : text;
}

function readAscii(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1');
  return /[\u0080-\u00ff]/.test(text) ? undefined : text;
}

/** One attribute per RDN. @throws RefusalError INPUT_INVALID */
export function encodeName(subject: Subject): Node {
  const parts: Node[] = [];
  for (const [attribute, oid, words] of ATTRIBUTES) {
    const value = subject[attribute];
    if (value === undefined) continue;
    checkAttribute(value, words);
    const text = createNode(TAG.utf8String, Buffer.from(value, 'utf8'));
    parts.push(createSet(createSequence(createOid(oid), text)));
  }
  return createSequence(...parts);
}

function checkAttribute(value: string, words: string): void {
  const length = [...value].length;
  const fault =
    length === 0
      ? 'is empty'
      : length > MAX_ATTRIBUTE_CHARACTERS
        ? `is longer than ${MAX_ATTRIBUTE_CHARACTERS} characters`
        : UNPRINTABLE.test(value)
          ? 'contains a control or invisible character'
          : undefined;
  if (fault !== undefined) throw new RefusalError('INPUT_INVALID', `The ${words} ${fault}.`);
}

/**
 * Where an attribute occurs more than once, the last and most specific counts. A name without a
 * common name has '' there; other attributes are passed over, once they are text or a bit string, as
 * RFC 5280 has them: OpenSSL reads no certificate in which they are anything else.
 * @throws MalformedDer also on a control character, which has no business in a name.
 */
export function decodeName(name: Element): Subject {
  const subject: Subject = { commonName: '' };
  for (const { oid, value } of walkAttributes(name)) {
    const known = ATTRIBUTES.find((attribute) => attribute[1] === oid);
    if (known !== undefined) subject[known[0]] = readPrintable(value, known[2]);
    else if (value.tag === TAG.bitString) checkBitString(value);
    else readText(value, `attribute ${oid}`);
  }
  return subject;
}

/** Every value of every attribute that has a keyword, in the order of the name. @throws MalformedDer */
export function listAttributes(name: Element): Map<SubjectKeyword, string[]> {
  const found = new Map<SubjectKeyword, string[]>();
  for (const { oid, value } of walkAttributes(name)) {
    const keyword = SUBJECT_KEYWORDS.find((one) => KEYWORDS[one] === oid);
    if (keyword === undefined) continue;
    found.set(keyword, [...(found.get(keyword) ?? []), readPrintable(value, keyword)]);
  }
  return found;
}

/** Relative names of several attributes are walked as if each stood alone. */
function* walkAttributes(name: Element): Generator<{ oid: string; value: Element }> {
  const rdns = new Children(expectTag(name, TAG.sequence, 'name'));
  while (!rdns.done) {
    const rdn = new Children(rdns.next('relative distinguished name', TAG.set));
    do {
      const pair = new Children(rdn.next('attribute', TAG.sequence));
      const oid = readOid(pair.next('attribute type'));
      const value = pair.next('attribute value');
      pair.finish('attribute');
      yield { oid, value };
    } while (!rdn.done);
  }
}

function readText(element: Element, words: string): string {
  const text = DECODERS[element.tag]?.(Buffer.from(bodyOf(element)));
  if (text === undefined) throw new MalformedDer(`the ${words} is not text`);
  return text;
}

function readPrintable(element: Element, words: string): string {
  const text = readText(element, words);
  if (CONTROL.test(text)) throw new MalformedDer(`the ${words} contains a control character`);
  return text;
}
