/**
 * Subject alternative names: one URI for a client, DNS names and IP addresses for a server.
 * Source of truth: RFC 5280 section 4.2.1.6, RFC 1123 section 2.1, RFC 5952. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { createNode, createSequence, type Node } from './asn1.ts';
import { bodyOf, Children, contextTag, type Element, MalformedDer, readWhole, TAG } from './der.ts';
import { createExtension, EXTENSION, type Extensions } from './extension.ts';

const EMAIL = contextTag(1, false);
const DNS = contextTag(2, false);
const URI = contextTag(6, false);
const IP = contextTag(7, false);

const MAX_DNS_NAME = 253;
const MAX_URI = 512;
const MAX_NAMES = 100;
const DNS_NAME = /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i;
const URI_TEXT = /^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/i;
const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

export interface AlternativeNames {
  uris: string[];
  dnsNames: string[];
  ipAddresses: string[];
  emails: string[];
}

/** Exactly one URI. @throws RefusalError INPUT_INVALID */
export function createUriName(uri: string): Node {
  if (uri.length > MAX_URI || !URI_TEXT.test(uri)) {
    throw new RefusalError('INPUT_INVALID', `${quote(uri)} is not a URI in ASCII.`);
  }
  return createAlternativeNames([createNode(URI, uri)]);
}

/**
 * @param names DNS names (ASCII; an international one in its xn-- form) and IP addresses.
 * @throws RefusalError INPUT_INVALID on none, on too many, on anything else than those.
 */
export function createServerNames(names: readonly string[]): Node {
  const distinct = [...new Set(names)];
  if (distinct.length === 0 || distinct.length > MAX_NAMES) {
    const detail = `A server certificate takes 1 to ${MAX_NAMES} names, not ${distinct.length}.`;
    throw new RefusalError('INPUT_INVALID', detail);
  }
  return createAlternativeNames(
    distinct.map((name) => {
      const address = parseAddress(name);
      if (address !== undefined) return createNode(IP, address);
      const lastLabel = name.slice(name.lastIndexOf('.') + 1);
      if (name.length > MAX_DNS_NAME || !DNS_NAME.test(name) || /^\d+$/.test(lastLabel)) {
        throw new RefusalError(
          'INPUT_INVALID',
          `${quote(name)} is neither a DNS name nor an IP address.`,
        );
      }
      return createNode(DNS, name.toLowerCase());
    }),
  );
}

const createAlternativeNames = (names: Node[]): Node =>
  createExtension(EXTENSION.subjectAltName, false, createSequence(...names));

const quote = (text: string): string => JSON.stringify(text.slice(0, 100));

/** 4 or 16 bytes; undefined where the text is no address. */
function parseAddress(text: string): Uint8Array | undefined {
  const parts = IPV4.exec(text)?.slice(1);
  if (parts !== undefined) {
    const valid = parts.every((part) => Number(part) <= 255 && String(Number(part)) === part);
    return valid ? Uint8Array.from(parts, Number) : undefined;
  }
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(':')) return undefined;
  const url = URL.parse(`http://[${text}]/`);
  if (url === null) return undefined;
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = new Array<string>(8 - before.length - after.length).fill('0');
  const groups = [...before, ...zeros, ...after].map((group) => group.padStart(4, '0'));
  return Buffer.from(groups.join(''), 'hex');
}

/** In RFC 5952's spelling. */
function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new MalformedDer('an IP address has neither 4 nor 16 bytes');
  const groups = Buffer.from(bytes).toString('hex').match(/..../g) ?? [];
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Names of other kinds (directory, principal) are passed over. @throws MalformedDer */
export function readAlternativeNames(extensions: Extensions): AlternativeNames {
  const names: AlternativeNames = { uris: [], dnsNames: [], ipAddresses: [], emails: [] };
  const extension = extensions.get(EXTENSION.subjectAltName);
  if (extension === undefined) return names;
  const parts = new Children(readWhole(extension.value, TAG.sequence, 'alternative names'));
  while (!parts.done) {
    const name = parts.next('alternative name');
    if (name.tag === URI) names.uris.push(readAscii(name));
    if (name.tag === EMAIL) names.emails.push(readAscii(name));
    if (name.tag === DNS) names.dnsNames.push(readAscii(name));
    if (name.tag === IP) names.ipAddresses.push(formatAddress(bodyOf(name)));
  }
  return names;
}

function readAscii(element: Element): string {
  const text = Buffer.from(bodyOf(element)).toString('latin1');
  if (!/^[\x20-\x7e]*$/.test(text)) throw new MalformedDer('an alternative name is not ASCII');
  return text;
}
