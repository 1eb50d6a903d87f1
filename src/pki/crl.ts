/**
 * Certificate revocation lists: full lists of version 2, issued and read. Entries are written and
 * walked by hand, not as a tree: a list has a hundred thousand of them. Source of truth: RFC 5280
 * section 5. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { encodeAlgorithm, findSignatureFault } from './algorithm.ts';
import {
  createExplicit,
  createNode,
  createSequence,
  graftDer,
  type Node,
  writeDer,
} from './asn1.ts';
import type { CertificateFacts } from './certificate.ts';
import {
  bytesOf,
  Children,
  contextTag,
  type Element,
  MalformedDer,
  readWhole,
  refuseMalformed,
  TAG,
} from './der.ts';
import {
  allowsKeyUsage,
  createAuthorityKeyIdentifier,
  createExtension,
  EXTENSION,
  type Extensions,
  findUnknownCritical,
  readExtensions,
} from './extension.ts';
import { checkSameAlgorithm, readExtensionsIn, readParts, readSigned, sameBytes } from './parts.ts';
import { type PemKind, readDer, readPemBlocks, writePem } from './pem.ts';
import { checkSerial, createInteger, integerBytes, readInteger } from './serial.ts';
import { readIssuer, type Signer, signBody } from './signer.ts';
import { checkPeriod, createTime, readTime } from './time.ts';

/** RFC 5280 section 5.3.1, without those that only delta lists and holds use. */
const REASON_CODES = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

export type RevocationReason = keyof typeof REASON_CODES;
export const REVOCATION_REASONS = Object.keys(REASON_CODES) as RevocationReason[];

/** `serial` in canonical spelling. */
export interface RevokedEntry {
  serial: string;
  revokedAt: Date;
  reason?: RevocationReason;
}

/** What goes into a list. */
export interface RevocationListRequest {
  /** 0 where another authority does not number its lists. */
  number: number;
  thisUpdate: Date;
  nextUpdate: Date;
  entries: readonly RevokedEntry[];
}

export interface RevocationList extends RevocationListRequest {
  /** Of the entries, canonical. */
  serials: Set<string>;
  /** Whether it names the key that signed it, besides the authority: section 5.2.1. */
  namesKey: boolean;
}

/** Whether a list takes the place of the one in force: by number where both have one, else by date. */
export function isNewerCrl(list: RevocationListRequest, current: RevocationListRequest): boolean {
  if (list.number > 0 && current.number > 0) return list.number > current.number;
  return list.thisUpdate > current.thisUpdate;
}

const CRL_PEM: PemKind = {
  labels: ['X509 CRL'],
  maxBytes: 64 * 1024 * 1024,
  what: 'revocation list',
  code: 'CRL_UNACCEPTABLE',
};

/**
 * A full list, signed: PEM. A serial that occurs twice is listed once.
 * @throws RefusalError INPUT_INVALID
 */
export async function issueCrl(signer: Signer, list: RevocationListRequest): Promise<string> {
  if (!Number.isSafeInteger(list.number) || list.number < 0) {
    throw new RefusalError('INPUT_INVALID', `${list.number} is not the number of a list.`);
  }
  checkPeriod(list.thisUpdate, list.nextUpdate, 'The life of the revocation list');
  const issuer = readIssuer(signer);
  const number = createInteger(list.number.toString(16));
  const entries = encodeEntries(list.entries);
  const body = createSequence(
    createInteger('1'),
    encodeAlgorithm(signer.algorithm),
    graftDer(issuer.name),
    createTime(list.thisUpdate),
    createTime(list.nextUpdate),
    // Absent, not empty, when nothing is revoked: section 5.1.2.6.
    ...(entries.length === 0 ? [] : [createNode(TAG.sequence, entries)]),
    createExplicit(
      0,
      createSequence(
        createAuthorityKeyIdentifier(issuer.keyIdentifier),
        createExtension(EXTENSION.crlNumber, false, number),
      ),
    ),
  );
  return writePem('X509 CRL', await signBody(signer, body));
}

/** The contents of revokedCertificates. Every entry is short, so its length is one byte. */
function encodeEntries(entries: readonly RevokedEntry[]): Buffer {
  const chunks: Uint8Array[] = [];
  const listed = new Set<string>();
  for (const { serial, revokedAt, reason } of entries) {
    if (listed.has(serial)) continue;
    checkSerial(serial);
    listed.add(serial);
    const number = integerBytes(serial);
    const time = writeDer(createTime(revokedAt));
    const extensions = REASON_EXTENSIONS.get(reason ?? 'unspecified') ?? NO_BYTES;
    const length = 2 + number.length + time.length + extensions.length;
    chunks.push(Uint8Array.of(TAG.sequence, length, TAG.integer, number.length), number, time);
    chunks.push(extensions);
  }
  return Buffer.concat(chunks);
}

const NO_BYTES = new Uint8Array(0);

/** Reason -> DER of crlEntryExtensions; nothing for `unspecified`, as section 5.3.1 asks. */
const REASON_EXTENSIONS = new Map<RevocationReason, Uint8Array>(
  REVOCATION_REASONS.filter((reason) => reason !== 'unspecified').map((reason) => {
    const code: Node = createNode(TAG.enumerated, Uint8Array.of(REASON_CODES[reason]));
    return [reason, writeDer(createSequence(createExtension(EXTENSION.reasonCode, false, code)))];
  }),
);

/**
 * The lists that stand in a file: DER of each, unread.
 * @throws RefusalError CRL_UNACCEPTABLE also where there is none.
 */
export function splitCrls(pemOrDer: Uint8Array): Uint8Array[] {
  if (pemOrDer[0] === TAG.sequence) return [readDer(pemOrDer, CRL_PEM)];
  const blocks = readPemBlocks(pemOrDer, CRL_PEM);
  if (blocks.length > 0) return blocks;
  throw new RefusalError('CRL_UNACCEPTABLE', 'No revocation list found: neither PEM nor DER.');
}

/** A list in the form that TLS contexts take. */
export const writeCrlPem = (der: Uint8Array): string => writePem('X509 CRL', der);

/**
 * A full list, verified against its authority. Dates are returned, not judged.
 * @param numbered false where lists without a number are taken too, those of version 1 among them.
 * @throws RefusalError CRL_UNACCEPTABLE
 */
export function readCrl(
  pemOrDer: string | Uint8Array,
  authority: CertificateFacts,
  numbered = true,
): RevocationList {
  const der = readDer(pemOrDer, CRL_PEM);
  return refuseMalformed('CRL_UNACCEPTABLE', 'The revocation list', () => {
    const { body, algorithm, signature } = readSigned(der, 'revocation list');
    const fields = readFields(body, algorithm, numbered);
    checkIssuer(fields.issuer, authority);
    const fault = findSignatureFault(algorithm, authority.publicKey, bytesOf(body), signature);
    if (fault !== undefined) throw refuse(fault);
    const number = readNumber(fields.extensions, numbered);
    const entries = readEntries(fields.revoked);
    const serials = new Set(entries.map((entry) => entry.serial));
    if (serials.size !== entries.length) throw refuse('it lists a serial number twice');
    const { thisUpdate, nextUpdate } = fields;
    const namesKey = fields.extensions.has(EXTENSION.authorityKeyIdentifier);
    return { number, thisUpdate, nextUpdate, entries, serials, namesKey };
  });
}

const refuse = (why: string): RefusalError =>
  new RefusalError('CRL_UNACCEPTABLE', `The revocation list is refused: ${why}.`);

interface CrlFields {
  issuer: Element;
  thisUpdate: Date;
  nextUpdate: Date;
  revoked: Element | undefined;
  extensions: Extensions;
}

/** TBSCertList, section 5.1.2. */
function readFields(body: Element, algorithm: Element, numbered: boolean): CrlFields {
  const parts = new Children(body);
  const version = parts.optional(TAG.integer);
  // Version 1 has no field of that name, and no extensions.
  const isFirst = version === undefined && !numbered;
  if (!isFirst && (version === undefined || readInteger(version, 'version') !== '1')) {
    throw refuse('it is not of version 2');
  }
  checkSameAlgorithm(parts.next('signature algorithm', TAG.sequence), algorithm);
  const issuer = parts.next('issuer', TAG.sequence);
  const thisUpdate = readTime(parts.next('thisUpdate'));
  const next = parts.optional(TAG.utcTime, TAG.generalizedTime);
  if (next === undefined) throw refuse('it has no nextUpdate');
  const nextUpdate = readTime(next);
  if (nextUpdate <= thisUpdate) throw refuse('its nextUpdate is not after its thisUpdate');
  const revoked = parts.optional(TAG.sequence);
  const list = isFirst ? undefined : parts.optional(contextTag(0, true));
  parts.finish('revocation list body');
  const extensions: Extensions = list === undefined ? new Map() : readExtensionsIn(list);
  return { issuer, thisUpdate, nextUpdate, revoked, extensions };
}

/** Section 6.3.3 (f): the authority of that name, and it may sign lists. */
function checkIssuer(issuer: Element, authority: CertificateFacts): void {
  const parts = readParts(authority.der);
  if (!sameBytes(parts.subject, issuer)) throw refuse('it was issued by another authority');
  if (!authority.isAuthority || !allowsKeyUsage(parts.extensions, 'cRLSign')) {
    throw refuse('its issuer may not sign revocation lists');
  }
}

/** The number, after the extensions that make a list something else than a full one. */
function readNumber(extensions: Extensions, numbered: boolean): number {
  if (extensions.has(EXTENSION.deltaCrlIndicator)) throw refuse('it is a delta list');
  if (extensions.has(EXTENSION.issuingDistributionPoint)) {
    throw refuse('it is an indirect or a partial list');
  }
  const known = [EXTENSION.crlNumber, EXTENSION.authorityKeyIdentifier];
  const unknown = findUnknownCritical(extensions, known);
  if (unknown !== undefined) throw refuse(`it has an unknown critical extension, ${unknown}`);
  const extension = extensions.get(EXTENSION.crlNumber);
  if (extension === undefined && !numbered) return 0;
  if (extension === undefined) throw refuse('it has no number');
  const hex = readInteger(readWhole(extension.value, TAG.integer, 'list number'), 'list number');
  const number = Number.parseInt(hex, 16);
  if (!Number.isSafeInteger(number)) throw refuse('its number is larger than 2^53');
  return number;
}

function readEntries(revoked: Element | undefined): RevokedEntry[] {
  const entries: RevokedEntry[] = [];
  if (revoked === undefined) return entries;
  const list = new Children(revoked);
  while (!list.done) {
    const parts = new Children(list.next('entry', TAG.sequence));
    const serial = readInteger(parts.next('serial number'), 'serial number');
    const revokedAt = readTime(parts.next('revocation date'));
    const extensions = parts.optional(TAG.sequence);
    parts.finish('entry');
    const reason = extensions === undefined ? undefined : readReason(serial, extensions);
    entries.push(reason === undefined ? { serial, revokedAt } : { serial, revokedAt, reason });
  }
  return entries;
}

/** A reason that is none of ours (a hold) still revokes; it is left out. */
function readReason(serial: string, list: Element): RevocationReason | undefined {
  const extensions = readExtensions(list);
  if (extensions.has(EXTENSION.certificateIssuer)) throw refuse('it is an indirect list');
  const unknown = findUnknownCritical(extensions, [EXTENSION.reasonCode]);
  if (unknown !== undefined) {
    throw refuse(`the entry ${serial} has an unknown critical extension, ${unknown}`);
  }
  const extension = extensions.get(EXTENSION.reasonCode);
  if (extension === undefined) return undefined;
  const element = readWhole(extension.value, TAG.enumerated, 'reason');
  if (element.end - element.body !== 1) throw new MalformedDer(`the reason of entry ${serial}`);
  const code = element.source[element.body];
  return REVOCATION_REASONS.find((reason) => REASON_CODES[reason] === code);
}
