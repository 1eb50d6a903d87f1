/**
 * Private keys at rest: PKCS#8 under a passphrase, with scrypt and AES-256-CBC. Written here because
 * Node's own export stretches a passphrase by 2,048 rounds of PBKDF2; read by node:crypto.
 * Source of truth: RFC 5958 section 3, RFC 8018 appendix A.4, RFC 7914 section 7.1. Floor 1.
 */
import {
  createCipheriv,
  createPrivateKey,
  type KeyObject,
  type ScryptOptions,
  scrypt,
} from 'node:crypto';
import { createOctetString, createOid, createSequence, writeDer } from './asn1.ts';
import { writePem } from './pem.ts';
import { createInteger } from './serial.ts';

const OID = {
  pbes2: '1.2.840.113549.1.5.13',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;

/** OWASP's set for 16 MiB: OpenSSL reads no key file whose scrypt needs more than 32 MiB, so N = 2^15 is out. */
const SCRYPT = { N: 2 ** 14, r: 8, p: 5 } as const;
const SCRYPT_MEMORY_BYTES = 2 * 128 * SCRYPT.r * (SCRYPT.N + SCRYPT.p);
const KEY_BYTES = 32;

/** Bytes of randomness that `encryptPrivateKey` takes: a salt and an initialisation vector. */
export const RANDOM_BYTES = 32;

/** Whether PEM holds a private key under a passphrase, in PKCS#8 or in OpenSSL's older form. */
export const isEncryptedKey = (pem: string): boolean =>
  /^-----BEGIN ENCRYPTED PRIVATE KEY-----$|^Proc-Type: 4,ENCRYPTED$/m.test(pem);

function stretch(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  const options: ScryptOptions = { ...SCRYPT, maxmem: SCRYPT_MEMORY_BYTES };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, KEY_BYTES, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/**
 * EncryptedPrivateKeyInfo as PEM.
 * @param random RANDOM_BYTES that were never used before.
 */
export async function encryptPrivateKey(
  key: KeyObject,
  passphrase: string,
  random: Uint8Array,
): Promise<string> {
  if (random.length !== RANDOM_BYTES) throw new RangeError(`${RANDOM_BYTES} random bytes needed`);
  const salt = random.subarray(0, 16);
  const vector = random.subarray(16);
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const cipher = createCipheriv('aes-256-cbc', await stretch(passphrase, salt), vector);
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  const number = (value: number) => createInteger(value.toString(16));
  const derivation = createSequence(
    createOid(OID.scrypt),
    createSequence(
      createOctetString(salt),
      number(SCRYPT.N),
      number(SCRYPT.r),
      number(SCRYPT.p),
      number(KEY_BYTES),
    ),
  );
  const encryption = createSequence(createOid(OID.aes256Cbc), createOctetString(vector));
  const algorithm = createSequence(createOid(OID.pbes2), createSequence(derivation, encryption));
  return writePem(
    'ENCRYPTED PRIVATE KEY',
    writeDer(createSequence(algorithm, createOctetString(encrypted))),
  );
}

/**
 * A private key from PEM, decrypted where it is encrypted.
 * @throws Error where it is none, or the passphrase is another; its message holds neither.
 */
export function decryptPrivateKey(pem: string, passphrase?: string): KeyObject {
  return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
}
