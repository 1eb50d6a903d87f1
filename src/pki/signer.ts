/**
 * What signs certificates and revocation lists: a CA's certificate and `sign(bytes)`, so that a
 * token or another process can hold the key. Source of truth: RFC 5280 section 4.1.1. Floor 1.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import {
  chooseAlgorithm,
  digestOf,
  encodeAlgorithm,
  type SignatureAlgorithm,
} from './algorithm.ts';
import { createBitString, createSequence, type Node, writeDer } from './asn1.ts';
import { bytesOf, refuseMalformed } from './der.ts';
import { readIsAuthority, readKeyIdentifier } from './extension.ts';
import { checkPublicKey, loadPublicKey, publicKeyIdentifier } from './key.ts';
import { MAX_CERTIFICATE_BYTES, readParts } from './parts.ts';
import { type PemKind, readDer } from './pem.ts';

export const CERTIFICATE_PEM: PemKind = {
  labels: ['CERTIFICATE'],
  maxBytes: MAX_CERTIFICATE_BYTES,
  what: 'certificate',
  code: 'INPUT_INVALID',
};

export interface Signer {
  /** DER of the CA's certificate. */
  certificate: Uint8Array;
  algorithm: SignatureAlgorithm;
  /** The signature over `bytes`, as the algorithm writes it (ECDSA: DER of r and s). */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** A CA's private key, wherever it is: what it signs, and with what it is verified. */
export interface AuthorityKey {
  publicKey: KeyObject;
  /** As `Signer.sign`, with the algorithm that `chooseAlgorithm` gives for the public key. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** A private key in memory. */
export function holdAuthorityKey(key: KeyObject): AuthorityKey {
  const publicKey = createPublicKey(key);
  return { publicKey, sign: (bytes) => signBytes(chooseAlgorithm(publicKey), bytes, key) };
}

/**
 * A key that another process or a token holds. Each of its signatures is verified before it is
 * used: a broken signer makes no certificate and no list.
 * @param sign answers bytes that nobody has checked.
 */
export function reachAuthorityKey(publicKey: KeyObject, sign: AuthorityKey['sign']): AuthorityKey {
  const digest = digestOf(chooseAlgorithm(publicKey));
  return {
    publicKey,
    async sign(bytes) {
      const signature = await sign(bytes);
      if (verify(digest, bytes, publicKey, signature)) return signature;
      throw new RefusalError(
        'SIGNER_FAILED',
        `The signer answered ${signature.length} bytes that are no signature of its key.`,
      );
    },
  };
}

/**
 * A signer whose private key is in memory.
 * @throws RefusalError INPUT_INVALID where the certificate is not a CA's, KEY_UNACCEPTABLE where
 *   the key is not the certificate's.
 */
export const createSigner = (certificatePem: string, key: KeyObject): Signer =>
  createSignerWith(certificatePem, holdAuthorityKey(key));

/** The same for a key wherever it is. */
export function createSignerWith(certificatePem: string, key: AuthorityKey): Signer {
  const certificate = readDer(certificatePem, CERTIFICATE_PEM);
  const parts = refuseMalformed('INPUT_INVALID', 'The certificate', () => {
    const found = readParts(certificate);
    if (!readIsAuthority(found.extensions)) {
      throw new RefusalError('INPUT_INVALID', "The certificate is not an authority's.");
    }
    return found;
  });
  const { publicKey } = key;
  checkPublicKey(publicKey);
  if (!publicKey.equals(loadPublicKey(parts.publicKey))) {
    throw new RefusalError('KEY_UNACCEPTABLE', "The private key is not the certificate's.");
  }
  const algorithm = chooseAlgorithm(publicKey);
  return { certificate, algorithm, sign: (bytes) => key.sign(bytes) };
}

/** In the thread pool: an RSA signature takes milliseconds. */
function signBytes(
  algorithm: SignatureAlgorithm,
  bytes: Uint8Array,
  key: KeyObject,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    sign(digestOf(algorithm), bytes, key, (error, signature) =>
      error === null ? resolve(signature) : reject(error),
    );
  });
}

/** What a signer's work repeats of its certificate: the name byte for byte, the key identifier. */
export function readIssuer(signer: Signer): { name: Uint8Array; keyIdentifier: Uint8Array } {
  return refuseMalformed('INPUT_INVALID', "The signer's certificate", () => {
    const { subject, extensions, publicKey } = readParts(signer.certificate);
    const keyIdentifier =
      readKeyIdentifier(extensions) ?? publicKeyIdentifier(loadPublicKey(publicKey));
    return { name: bytesOf(subject), keyIdentifier };
  });
}

/** The frame around what was signed, for certificates, lists and requests alike. */
export const createSigned = (
  body: Node,
  algorithm: SignatureAlgorithm,
  signature: Uint8Array,
): Uint8Array =>
  writeDer(createSequence(body, encodeAlgorithm(algorithm), createBitString(signature)));

/** Signs the body and frames it: DER. */
export async function signBody(signer: Signer, body: Node): Promise<Uint8Array> {
  return createSigned(body, signer.algorithm, await signer.sign(writeDer(body)));
}
