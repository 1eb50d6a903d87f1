/**
 * Signature algorithms: the table of those that count, choosing one for a key, and verifying.
 * SHA-1 and MD5 are named only to be refused. Source of truth: RFC 4055, 5758, 8410. Floor 1.
 */
import { type KeyObject, verify } from 'node:crypto';
import { createNull, createOid, createSequence, type Node } from './asn1.ts';
import { Children, type Element, readOid, TAG } from './der.ts';

const ALGORITHMS = {
  'ecdsa-with-SHA256': { oid: '1.2.840.10045.4.3.2', key: 'ec', digest: 'sha256' },
  'ecdsa-with-SHA384': { oid: '1.2.840.10045.4.3.3', key: 'ec', digest: 'sha384' },
  'ecdsa-with-SHA512': { oid: '1.2.840.10045.4.3.4', key: 'ec', digest: 'sha512' },
  sha256WithRSAEncryption: { oid: '1.2.840.113549.1.1.11', key: 'rsa', digest: 'sha256' },
  sha384WithRSAEncryption: { oid: '1.2.840.113549.1.1.12', key: 'rsa', digest: 'sha384' },
  sha512WithRSAEncryption: { oid: '1.2.840.113549.1.1.13', key: 'rsa', digest: 'sha512' },
  Ed25519: { oid: '1.3.101.112', key: 'ed25519', digest: undefined },
} as const;

export type SignatureAlgorithm = keyof typeof ALGORITHMS;

const BROKEN: Record<string, string> = {
  '1.2.840.113549.1.1.4': 'MD5 with RSA',
  '1.2.840.113549.1.1.5': 'SHA-1 with RSA',
  '1.2.840.10045.4.1': 'SHA-1 with ECDSA',
  '1.2.840.10040.4.3': 'SHA-1 with DSA',
  '1.3.14.3.2.29': 'SHA-1 with RSA',
};

/** For a key that `checkPublicKey` accepts. */
export function chooseAlgorithm(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return 'Ed25519';
  if (key.asymmetricKeyType === 'rsa') return 'sha256WithRSAEncryption';
  return key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
    ? 'ecdsa-with-SHA384'
    : 'ecdsa-with-SHA256';
}

/** The digest's name for node:crypto; undefined where the algorithm brings its own. */
export const digestOf = (algorithm: SignatureAlgorithm): string | undefined =>
  ALGORITHMS[algorithm].digest;

/** AlgorithmIdentifier: NULL parameters for RSA (RFC 4055), none for the others. */
export function encodeAlgorithm(algorithm: SignatureAlgorithm): Node {
  const { oid, key } = ALGORITHMS[algorithm];
  return key === 'rsa'
    ? createSequence(createOid(oid), createNull())
    : createSequence(createOid(oid));
}

/**
 * Why a signature does not count, as the end of a sentence; undefined when it is good.
 * @param identifier AlgorithmIdentifier of the signature.
 * @throws MalformedDer
 */
export function findSignatureFault(
  identifier: Element,
  key: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): string | undefined {
  const parts = new Children(identifier);
  const oid = readOid(parts.next('signature algorithm'));
  const algorithm = Object.values(ALGORITHMS).find((entry) => entry.oid === oid);
  if (algorithm === undefined) {
    return `its signature algorithm, ${BROKEN[oid] ?? oid}, is not accepted`;
  }
  const parameters = parts.optional(TAG.null);
  parts.finish('signature algorithm');
  if (algorithm.key !== key.asymmetricKeyType) return 'its signature is not of the signing key';
  if (parameters !== undefined && (algorithm.key !== 'rsa' || parameters.end > parameters.body)) {
    return 'its signature algorithm has parameters that do not belong there';
  }
  return verify(algorithm.digest, signed, key, signature)
    ? undefined
    : 'its signature does not match';
}
