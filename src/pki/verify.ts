/**
 * Whether a client certificate is one of our authorities' for client authentication. Dates and
 * revocation are judged elsewhere. Source of truth: RFC 5280 section 6.1, one step below the
 * trust anchor. Floor 1.
 */
import { findSignatureFault } from './algorithm.ts';
import { readAlternativeNames } from './alternative-name.ts';
import type { CertificateFacts } from './certificate.ts';
import { bytesOf, MalformedDer } from './der.ts';
import {
  allowsKeyUsage,
  EXTENSION,
  findUnknownCritical,
  readExtendedKeyUsage,
  readIsAuthority,
} from './extension.ts';
import { findKeyFault, loadPublicKey } from './key.ts';
import { decodeName } from './name.ts';
import { type CertificateParts, readParts, sameBytes } from './parts.ts';

/** Extensions that are read here; any other one may not be critical. */
const KNOWN = [
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
];

/**
 * Why this client certificate is not ours, as a sentence; undefined when it is. Takes any bytes
 * and never throws.
 */
export function findFault(
  der: Uint8Array,
  authorities: readonly CertificateFacts[],
): string | undefined {
  const verdict = findIssuer(der, authorities);
  return typeof verdict === 'string' ? verdict : undefined;
}

/** The authority that issued this client certificate, or why it is not ours, as a sentence. */
export function findIssuer(
  der: Uint8Array,
  authorities: readonly CertificateFacts[],
): CertificateFacts | string {
  try {
    const parts = readParts(der);
    const issuer = verifyChain(parts, authorities);
    if (typeof issuer === 'string') return issuer;
    return findProfileFault(parts) ?? findPublicKeyFault(parts) ?? issuer;
  } catch (error) {
    // Whatever else the crypto library has against it: a certificate nobody can read is not ours.
    const why = error instanceof MalformedDer ? `: ${error.message}` : '';
    return `The certificate is not well-formed${why}.`;
  }
}

/**
 * The authority, among those given, that issued another authority's certificate; undefined for a
 * root, and where none did.
 */
export function findParent(
  authority: CertificateFacts,
  authorities: readonly CertificateFacts[],
): CertificateFacts | undefined {
  const parts = readParts(authority.der);
  if (sameBytes(parts.issuer, parts.subject)) return undefined;
  const issuer = verifyChain(parts, authorities);
  return typeof issuer === 'string' ? undefined : issuer;
}

/** Whether this very authority, and no other of its name, signed a certificate. */
export function isIssuedBy(certificate: CertificateFacts, authority: CertificateFacts): boolean {
  return typeof verifyChain(readParts(certificate.der), [authority]) !== 'string';
}

/** RFC 5280 section 6.1.3 (a) 1 and 4, against each authority of that name. */
function verifyChain(
  parts: CertificateParts,
  authorities: readonly CertificateFacts[],
): CertificateFacts | string {
  const issuers = authorities.filter(
    (authority) =>
      authority.isAuthority && sameBytes(readParts(authority.der).subject, parts.issuer),
  );
  if (issuers.length === 0) return 'The certificate was issued by another authority.';
  const faults = issuers.map((issuer) =>
    findSignatureFault(parts.algorithm, issuer.publicKey, bytesOf(parts.body), parts.signature),
  );
  const issuer = issuers[faults.indexOf(undefined)];
  if (issuer !== undefined) return issuer;
  return `The certificate does not come from the authority it names: ${faults[0]}.`;
}

/** RFC 5280 section 6.1.4 is for authorities; a leaf has its usages and nothing unknown. */
function findProfileFault({ extensions, subject, serial }: CertificateParts): string | undefined {
  const unknown = findUnknownCritical(extensions, KNOWN);
  if (unknown !== undefined)
    return `The certificate has an unknown critical extension, ${unknown}.`;
  if (serial === '0') return 'The certificate has the serial number zero.';
  decodeName(subject);
  readAlternativeNames(extensions);
  if (readIsAuthority(extensions)) return "The certificate is an authority's.";
  if (!allowsKeyUsage(extensions, 'digitalSignature')) {
    return 'The key usage of the certificate does not allow signatures.';
  }
  // anyExtendedKeyUsage alone would let a certificate made for something else in.
  return readExtendedKeyUsage(extensions).includes('clientAuth')
    ? undefined
    : 'The certificate is not made for client authentication.';
}

function findPublicKeyFault(parts: CertificateParts): string | undefined {
  const found = findKeyFault(loadPublicKey(parts.publicKey));
  return found === undefined ? undefined : `The key of the certificate is ${found}.`;
}
