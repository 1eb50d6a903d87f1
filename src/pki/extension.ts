/**
 * Extensions of certificates and revocation lists: written, split into a map, and the few that the
 * project knows decoded. Source of truth: RFC 5280 sections 4.2 and 5.2. Floor 1.
 */
import {
  createBoolean,
  createNode,
  createOctetString,
  createOid,
  createSequence,
  type Node,
  writeDer,
} from './asn1.ts';
import {
  bodyOf,
  Children,
  contextTag,
  type Element,
  expectTag,
  MalformedDer,
  readBoolean,
  readOid,
  readWhole,
  TAG,
} from './der.ts';
import { readInteger } from './serial.ts';

export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** Name -> bit, RFC 5280 section 4.2.1.3. */
const KEY_USAGE = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;
export type KeyUsage = keyof typeof KEY_USAGE;

const PURPOSES: Record<string, string> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  anyExtendedKeyUsage: '2.5.29.37.0',
};
const MAX_EXTENSIONS = 64;

/** `value` is the DER inside the OCTET STRING. */
export interface Extension {
  critical: boolean;
  value: Uint8Array;
}
/** By dotted OID. */
export type Extensions = ReadonlyMap<string, Extension>;

export function createExtension(oid: string, critical: boolean, value: Node): Node {
  const octets = createOctetString(writeDer(value));
  return critical
    ? createSequence(createOid(oid), createBoolean(true), octets)
    : createSequence(createOid(oid), octets);
}

export const createKeyUsage = (...usages: KeyUsage[]): Node => {
  const bits = usages.reduce((sum, usage) => sum | (0x80 >> KEY_USAGE[usage]), 0);
  const unused = Math.log2(bits & -bits);
  return createExtension(
    EXTENSION.keyUsage,
    true,
    createNode(TAG.bitString, Uint8Array.of(unused, bits)),
  );
};

export const createExtendedKeyUsage = (purpose: 'clientAuth' | 'serverAuth'): Node =>
  createExtension(
    EXTENSION.extendedKeyUsage,
    false,
    createSequence(createOid(PURPOSES[purpose] ?? '')),
  );

/** pathlen:0 for an authority: it signs leaves only. */
export function createBasicConstraints(authority: boolean): Node {
  const value = authority
    ? createSequence(createBoolean(true), createNode(TAG.integer, '\x00'))
    : createSequence();
  return createExtension(EXTENSION.basicConstraints, true, value);
}

/** @param authority the key identifier of the signing certificate. */
export const createAuthorityKeyIdentifier = (authority: Uint8Array): Node =>
  createExtension(
    EXTENSION.authorityKeyIdentifier,
    false,
    createSequence(createNode(contextTag(0, false), authority)),
  );

/** @throws MalformedDer also where one extension occurs twice. */
export function readExtensions(list: Element): Extensions {
  const extensions = new Map<string, Extension>();
  const items = new Children(expectTag(list, TAG.sequence, 'list of extensions'));
  do {
    const parts = new Children(items.next('extension', TAG.sequence));
    const oid = readOid(parts.next('extension identifier'));
    const flag = parts.optional(TAG.boolean);
    const value = bodyOf(parts.next('extension value', TAG.octetString));
    parts.finish('extension');
    if (extensions.has(oid)) throw new MalformedDer(`the extension ${oid} occurs twice`);
    if (extensions.size >= MAX_EXTENSIONS) throw new MalformedDer('too many extensions');
    extensions.set(oid, { critical: flag !== undefined && readBoolean(flag), value });
  } while (!items.done);
  return extensions;
}

/** The first critical extension that is not among the known ones. */
export function findUnknownCritical(
  extensions: Extensions,
  known: readonly string[],
): string | undefined {
  for (const [oid, extension] of extensions) {
    if (extension.critical && !known.includes(oid)) return oid;
  }
  return undefined;
}

/** Whether basicConstraints says CA:TRUE. */
export function readIsAuthority(extensions: Extensions): boolean {
  return readBasicConstraints(extensions).isAuthority;
}

/** `pathLength`: how many authorities may stand below, Infinity where nothing is said. */
export function readBasicConstraints(extensions: Extensions): {
  isAuthority: boolean;
  pathLength: number;
} {
  const extension = extensions.get(EXTENSION.basicConstraints);
  if (extension === undefined) return { isAuthority: false, pathLength: Number.POSITIVE_INFINITY };
  const parts = new Children(readWhole(extension.value, TAG.sequence, 'basic constraints'));
  const flag = parts.optional(TAG.boolean);
  const pathLength = parts.optional(TAG.integer);
  parts.finish('basic constraints');
  return {
    isAuthority: flag !== undefined && readBoolean(flag),
    pathLength:
      pathLength === undefined
        ? Number.POSITIVE_INFINITY
        : Number.parseInt(readInteger(pathLength, 'path length'), 16),
  };
}

/** Whether a usage is allowed; a certificate without the extension allows everything. */
export function allowsKeyUsage(extensions: Extensions, usage: KeyUsage): boolean {
  const extension = extensions.get(EXTENSION.keyUsage);
  if (extension === undefined) return true;
  const body = bodyOf(readWhole(extension.value, TAG.bitString, 'key usage'));
  if (body.length < 1 || body.length > 3 || (body[0] ?? 8) > 7) {
    throw new MalformedDer('the key usage is not a bit string');
  }
  return ((body[1] ?? 0) & (0x80 >> KEY_USAGE[usage])) !== 0;
}

/** Names where the project has one ('clientAuth'), dotted OIDs otherwise; empty without it. */
export function readExtendedKeyUsage(extensions: Extensions): string[] {
  const extension = extensions.get(EXTENSION.extendedKeyUsage);
  if (extension === undefined) return [];
  const parts = new Children(readWhole(extension.value, TAG.sequence, 'extended key usage'));
  const purposes: string[] = [];
  do {
    const oid = readOid(parts.next('key purpose'));
    purposes.push(Object.keys(PURPOSES).find((name) => PURPOSES[name] === oid) ?? oid);
  } while (!parts.done);
  return purposes;
}

/** The subject key identifier, where there is one. */
export function readKeyIdentifier(extensions: Extensions): Uint8Array | undefined {
  const extension = extensions.get(EXTENSION.subjectKeyIdentifier);
  if (extension === undefined) return undefined;
  return bodyOf(readWhole(extension.value, TAG.octetString, 'subject key identifier'));
}
