/**
 * A certificate taken apart, unjudged: what the signature covers, the names byte for byte, the
 * extensions. Source of truth: RFC 5280 section 4.1. Floor 1.
 */
import {
  bytesOf,
  Children,
  checkBitString,
  contextTag,
  type Element,
  MalformedDer,
  readBitString,
  readOid,
  readWhole,
  TAG,
} from './der.ts';
import { type Extensions, readExtensions } from './extension.ts';
import { readInteger } from './serial.ts';
import { readTime } from './time.ts';

/** Anything larger is no certificate; bounds every reader. */
export const MAX_CERTIFICATE_BYTES = 64 * 1024;

/** What was signed, by which algorithm, and the signature: the frame of RFC 5280 and RFC 2986. */
export interface SignedParts {
  body: Element;
  algorithm: Element;
  signature: Uint8Array;
}

export interface CertificateParts extends SignedParts {
  serial: string;
  issuer: Element;
  subject: Element;
  notBefore: Date;
  notAfter: Date;
  /** SubjectPublicKeyInfo. */
  publicKey: Uint8Array;
  extensions: Extensions;
}

/** Certificate, CertificateList and CertificationRequest share this frame. @throws MalformedDer */
export function readSigned(der: Uint8Array, what: string): SignedParts {
  const frame = new Children(readWhole(der, TAG.sequence, what));
  const body = frame.next(`body of the ${what}`, TAG.sequence);
  const algorithm = frame.next('signature algorithm', TAG.sequence);
  checkAlgorithm(algorithm);
  const signature = readBitString(frame.next('signature'));
  frame.finish(what);
  return { body, algorithm, signature };
}

/** An identifier and at most one parameter, whatever they are. @throws MalformedDer */
function checkAlgorithm(algorithm: Element): void {
  const parts = new Children(algorithm);
  readOid(parts.next('signature algorithm'));
  if (!parts.done) parts.next('parameter');
  parts.finish('signature algorithm');
}

/** The algorithm is named twice, inside and outside of what is signed. @throws MalformedDer */
export function checkSameAlgorithm(inner: Element, outer: Element): void {
  if (!sameBytes(inner, outer)) throw new MalformedDer('it names two signature algorithms');
}

/** Whether two elements, of names say, are equal byte for byte. */
export const sameBytes = (one: Element, other: Element): boolean =>
  Buffer.compare(bytesOf(one), bytesOf(other)) === 0;

/** RFC 5280 section 4.1.1 and 4.1.2, in order. @throws MalformedDer */
export function readParts(der: Uint8Array): CertificateParts {
  if (der.length > MAX_CERTIFICATE_BYTES) throw new MalformedDer('it is too large');
  const signed = readSigned(der, 'certificate');
  const body = new Children(signed.body);
  const version = readVersion(body.optional(contextTag(0, true)));
  const serial = readInteger(body.next('serial number'), 'serial number');
  checkSameAlgorithm(body.next('signature algorithm', TAG.sequence), signed.algorithm);
  const issuer = body.next('issuer', TAG.sequence);
  const validity = new Children(body.next('validity', TAG.sequence));
  const notBefore = readTime(validity.next('notBefore'));
  const notAfter = readTime(validity.next('notAfter'));
  validity.finish('validity');
  const subject = body.next('subject', TAG.sequence);
  const publicKey = bytesOf(body.next('public key', TAG.sequence));
  if (version > 1) {
    // issuerUniqueID and subjectUniqueID: nobody uses them, some certificates have them.
    for (const number of [1, 2]) {
      const identifier = body.optional(contextTag(number, false));
      if (identifier !== undefined) checkBitString(identifier);
    }
  }
  const list = version === 3 ? body.optional(contextTag(3, true)) : undefined;
  body.finish('certificate body');
  const extensions: Extensions = list === undefined ? new Map() : readExtensionsIn(list);
  return { ...signed, serial, issuer, subject, notBefore, notAfter, publicKey, extensions };
}

function readVersion(explicit: Element | undefined): number {
  if (explicit === undefined) return 1;
  const inside = new Children(explicit);
  const version = Number.parseInt(readInteger(inside.next('version'), 'version'), 16) + 1;
  inside.finish('version');
  if (version !== 2 && version !== 3) throw new MalformedDer('it is of an unknown version');
  return version;
}

/** Extensions under an explicit tag, as certificates and revocation lists have them. */
export function readExtensionsIn(explicit: Element): Extensions {
  const inside = new Children(explicit);
  const list = inside.next('list of extensions', TAG.sequence);
  inside.finish('list of extensions');
  return readExtensions(list);
}
