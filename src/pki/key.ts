/**
 * Keys: which kinds are made and accepted, and their identifier. node:crypto does every operation.
 * Source of truth: RFC 5280 section 4.2.1.2, RFC 5480, RFC 8410, FIPS 186-5 (RSA exponent). Floor 1.
 */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import { Children, readBitString, readWhole, TAG } from './der.ts';

export type KeyKind = 'P-256' | 'P-384' | 'Ed25519' | 'RSA-2048' | 'RSA-3072' | 'RSA-4096';

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 4096;
const MIN_RSA_EXPONENT = 65_537n;
const MAX_RSA_EXPONENT = 1n << 256n;
/** Curve as OpenSSL names it -> as NIST does. */
const CURVES: Record<string, string> = { prime256v1: 'P-256', secp384r1: 'P-384' };
const ACCEPTED = 'accepted are P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits';

export function generatePrivateKey(kind: KeyKind = 'P-256'): KeyObject {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'P-256' || kind === 'P-384') {
    return generateKeyPairSync('ec', { namedCurve: kind }).privateKey;
  }
  return generateKeyPairSync('rsa', { modulusLength: Number(kind.slice(4)) }).privateKey;
}

/** PKCS#8 PEM, not encrypted. */
export const encodePrivateKey = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** SubjectPublicKeyInfo DER of a public key, or of a private key's public half. */
export function encodePublicKey(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** @throws RefusalError KEY_UNACCEPTABLE naming what was found */
export function checkPublicKey(key: KeyObject): void {
  const found = findKeyFault(key);
  if (found !== undefined) {
    throw new RefusalError('KEY_UNACCEPTABLE', `The key is ${found}; ${ACCEPTED}.`);
  }
}

/** What an unacceptable key is ("RSA of 1024 bits"); undefined for an acceptable one. */
export function findKeyFault(key: KeyObject): string | undefined {
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return undefined;
    case 'ec': {
      const curve = details.namedCurve ?? 'unnamed';
      return curve in CURVES ? undefined : `on the curve ${curve}`;
    }
    case 'rsa': {
      const bits = details.modulusLength ?? 0;
      if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) return `RSA of ${bits} bits`;
      const exponent = details.publicExponent ?? 0n;
      const sane =
        exponent >= MIN_RSA_EXPONENT && exponent < MAX_RSA_EXPONENT && exponent % 2n === 1n;
      return sane ? undefined : `RSA with the public exponent ${exponent.toString().slice(0, 20)}`;
    }
    default:
      return `of the kind ${key.asymmetricKeyType ?? key.type}`;
  }
}

/**
 * A public key from SubjectPublicKeyInfo DER, checked, and written anew with its curve by name and
 * its point uncompressed, whatever the sender's spelling.
 * @throws RefusalError KEY_UNACCEPTABLE
 */
export function readPublicKey(spki: Uint8Array): KeyObject {
  const key = loadPublicKey(spki);
  checkPublicKey(key);
  return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
}

/** A public key of any kind OpenSSL reads. @throws RefusalError KEY_UNACCEPTABLE */
export function loadPublicKey(spki: Uint8Array): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    // OpenSSL takes the point at infinity, one zero byte, for a key.
    if (readKeyBits(spki).length > 1) return key;
  } catch {
    // Whatever was wrong with it.
  }
  throw new RefusalError('KEY_UNACCEPTABLE', `The key cannot be read; ${ACCEPTED}.`);
}

/** The bit string subjectPublicKey. @throws MalformedDer */
function readKeyBits(spki: Uint8Array): Uint8Array {
  const parts = new Children(readWhole(spki, TAG.sequence, 'public key'));
  parts.next('key algorithm', TAG.sequence);
  return readBitString(parts.next('key'));
}

/** SHA-1 of the bit string subjectPublicKey: 20 bytes. RFC 5280 section 4.2.1.2, method 1. */
export const publicKeyIdentifier = (key: KeyObject): Uint8Array =>
  createHash('sha1')
    .update(readKeyBits(encodePublicKey(key)))
    .digest();
