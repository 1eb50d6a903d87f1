/** Keys: which kinds are accepted, and that others' tools take ours. */
import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  checkPublicKey,
  encodePrivateKey,
  generatePrivateKey,
  type KeyKind,
  publicKeyIdentifier,
  readPublicKey,
} from '../../src/pki/key.ts';
import { openFolder, refusalOf } from './tools.ts';

const folder = openFolder();

/** SubjectPublicKeyInfo DER of a new key of openssl's. */
function makePublicKey(...options: string[]): Buffer {
  folder.run('openssl', 'genpkey', '-out', 'k.pem', '-algorithm', ...options);
  folder.run('openssl', 'pkey', '-in', 'k.pem', '-pubout', '-outform', 'DER', '-out', 'k.der');
  return folder.read('k.der');
}

describe('generatePrivateKey', () => {
  it.each<[KeyKind, string]>([
    ['P-256', 'NIST CURVE: P-256'],
    ['P-384', 'NIST CURVE: P-384'],
    ['Ed25519', 'ED25519 Private-Key'],
    ['RSA-2048', '2048 bit'],
  ])('makes %s that openssl and certtool read', (kind, text) => {
    const key = generatePrivateKey(kind);
    checkPublicKey(createPublicKey(key));
    folder.write('own.key', encodePrivateKey(key));
    expect(folder.read('own.key').toString()).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(folder.run('openssl', 'pkey', '-in', 'own.key', '-check', '-text')).toContain(text);
    folder.run('certtool', '--key-info', '--infile', 'own.key');
  });
});

describe('publicKeyIdentifier', () => {
  it.each([['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['ED25519'], ['RSA']])(
    'is what openssl calls the subject key identifier: %s',
    (...options) => {
      const key = createPublicKey({ key: makePublicKey(...options), format: 'der', type: 'spki' });
      folder.run('openssl', 'req', '-x509', '-key', 'k.pem', '-subj', '/CN=x', '-out', 'k.crt');
      const text = folder.run(
        'openssl',
        'x509',
        '-in',
        'k.crt',
        '-noout',
        '-ext',
        'subjectKeyIdentifier',
      );
      const hex = Buffer.from(publicKeyIdentifier(key)).toString('hex');
      expect(text.replaceAll(':', '').toLowerCase()).toContain(hex);
    },
  );
});

describe('readPublicKey', () => {
  it.each([
    ['P-256', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ['P-384', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
    ['Ed25519', 'ED25519'],
    ['RSA of 2048 bits', 'RSA'],
  ])('accepts %s, unchanged', (_name, ...options) => {
    const der = makePublicKey(...options);
    expect(readPublicKey(der).export({ format: 'der', type: 'spki' })).toEqual(der);
  });

  it.each([
    ['explicit parameters', '-param_enc', 'explicit'],
    ['a compressed point', '-conv_form', 'compressed'],
  ])('writes a P-256 key with %s anew', (_name, ...options) => {
    makePublicKey('EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
    const plain = folder.read('k.der');
    folder.run(
      'openssl',
      'ec',
      '-in',
      'k.pem',
      '-pubout',
      '-outform',
      'DER',
      '-out',
      'odd.der',
      ...options,
    );
    const odd = folder.read('odd.der');
    expect(odd).not.toEqual(plain);
    expect(readPublicKey(odd).export({ format: 'der', type: 'spki' })).toEqual(plain);
  });

  it.each([
    ['RSA of 1024 bits', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
    ['RSA with the public exponent 3', 'RSA', '-pkeyopt', 'rsa_keygen_pubexp:3'],
    ['of the kind rsa-pss', 'RSA-PSS'],
    ['on the curve secp521r1', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    ['on the curve secp256k1', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
    ['of the kind ed448', 'ED448'],
    ['of the kind x25519', 'X25519'],
  ])('refuses a key %s', (found, ...options) => {
    const der = makePublicKey(...options);
    expect(refusalOf(() => readPublicKey(der))).toBe(
      `KEY_UNACCEPTABLE: The key is ${found}; accepted are P-256, P-384, Ed25519 and RSA of 2048 to 4096 bits.`,
    );
  });

  it('refuses a modulus of 4104 bits, an even exponent and one of 257 bits', () => {
    const jwk = createPublicKey(generatePrivateKey('RSA-2048')).export({ format: 'jwk' });
    const ofModulus = (bytes: number) => {
      const n = Buffer.alloc(bytes, 0xff).toString('base64url');
      return createPublicKey({ key: { ...jwk, n }, format: 'jwk' });
    };
    expect(refusalOf(() => checkPublicKey(ofModulus(512)))).toBe('accepted');
    expect(refusalOf(() => checkPublicKey(ofModulus(513)))).toContain('RSA of 4104 bits;');
    for (const exponent of ['010002', `01${'00'.repeat(31)}01`]) {
      const odd = { ...jwk, e: Buffer.from(exponent, 'hex').toString('base64url') };
      const key = createPublicKey({ key: odd, format: 'jwk' });
      expect(refusalOf(() => checkPublicKey(key))).toContain('RSA with the public exponent');
    }
  });

  it.each([
    ['nothing', ''],
    ['no key', '3000'],
    [
      'a point off the curve',
      `3059301306072a8648ce3d020106082a8648ce3d030107034200${'04'.repeat(65)}`,
    ],
    ['the point at infinity', '3019301306072a8648ce3d020106082a8648ce3d03010703020000'],
    ['an unknown kind', '300a300506032a0304030100'],
  ])('refuses %s', (_name, hex) => {
    expect(refusalOf(() => readPublicKey(Buffer.from(hex, 'hex')))).toContain(
      'KEY_UNACCEPTABLE: The key cannot be read',
    );
  });
});
