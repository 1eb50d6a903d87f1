/**
 * Whether a set of authorities that somebody else made can be relied on: each may sign certificates
 * and lists, each leads to a root among them. Source of truth: RFC 5280 sections 4.2.1.3, 4.2.1.9
 * and 6.1. Floor 1.
 */
import { X509Certificate } from 'node:crypto';
import type { CertificateFacts } from './certificate.ts';
import { allowsKeyUsage, readBasicConstraints } from './extension.ts';
import { findKeyFault } from './key.ts';
import { readParts, sameBytes } from './parts.ts';
import { findParent } from './verify.ts';

/** Whether a certificate is signed with its own key; a root's digest may be of another age. */
export function isSelfSigned(facts: CertificateFacts): boolean {
  const parts = readParts(facts.der);
  return (
    sameBytes(parts.subject, parts.issuer) && new X509Certificate(facts.der).verify(facts.publicKey)
  );
}

/** From an authority's issuer to the root, as far as they are among those given. */
export function listAbove(
  authority: CertificateFacts,
  authorities: readonly CertificateFacts[],
): CertificateFacts[] {
  const chain: CertificateFacts[] = [];
  let parent = findParent(authority, authorities);
  while (parent && !chain.includes(parent)) {
    chain.push(parent);
    parent = findParent(parent, authorities);
  }
  return chain;
}

const sharesName = (one: CertificateFacts, other: CertificateFacts): boolean =>
  sameBytes(readParts(one.der).subject, readParts(other.der).subject);

/** Two certificates of one key under one name are one authority. */
const isSameAuthority = (one: CertificateFacts, other: CertificateFacts): boolean =>
  sharesName(one, other) && one.publicKey.equals(other.publicKey);

/** Another authority of the same name, as there is one after a key was renewed. */
export const isNamesake = (one: CertificateFacts, other: CertificateFacts): boolean =>
  sharesName(one, other) && !one.publicKey.equals(other.publicKey);

/**
 * Why an authority cannot be one of these, as the end of a sentence; undefined when it can.
 * @param now milliseconds since the epoch.
 */
export function findAuthorityFault(
  authority: CertificateFacts,
  authorities: readonly CertificateFacts[],
  now: number,
): string | undefined {
  const { extensions } = readParts(authority.der);
  if (!authority.isAuthority) return 'is no authority';
  for (const usage of ['keyCertSign', 'cRLSign'] as const) {
    if (!allowsKeyUsage(extensions, usage)) return `has a key usage without ${usage}`;
  }
  const key = findKeyFault(authority.publicKey);
  if (key !== undefined) return `has a key that is ${key}`;
  if (now >= authority.notAfter.getTime()) {
    return `expired on ${authority.notAfter.toISOString()}`;
  }
  if (now < authority.notBefore.getTime()) {
    return `is not valid before ${authority.notBefore.toISOString()}`;
  }
  if (authorities.filter((one) => isSameAuthority(one, authority)).length > 1) {
    return 'occurs twice: two certificates with one name and one key';
  }
  return findPathFault(authority, authorities);
}

/** RFC 5280 section 6.1.4 (k) to (m), from the authority up to its root. */
function findPathFault(
  authority: CertificateFacts,
  authorities: readonly CertificateFacts[],
): string | undefined {
  const above = listAbove(authority, authorities);
  const root = above.at(-1) ?? authority;
  if (!isSelfSigned(root)) {
    const parts = readParts(root.der);
    return sameBytes(parts.subject, parts.issuer)
      ? 'is not signed with its own key, and its issuer is missing'
      : `leads to ${root.issuer.commonName || 'an authority without a common name'}, which is missing here or did not sign ${root === authority ? 'it' : root.subject.commonName} in a way that is accepted`;
  }
  const tight = above.find(
    (one, position) =>
      readBasicConstraints(readParts(one.der).extensions).pathLength < position + 1,
  );
  return tight === undefined
    ? undefined
    : `stands deeper below ${tight.subject.commonName} than its path length allows`;
}
