/** Requests made by openssl and certtool, honest and not; ours read by them. */
import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { createNode, createSequence, graftDer, writeDer } from '../../src/pki/asn1.ts';
import { createRequest, readRequest } from '../../src/pki/csr.ts';
import { contextTag } from '../../src/pki/der.ts';
import { encodePublicKey, generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { encodeName } from '../../src/pki/name.ts';
import { writePem } from '../../src/pki/pem.ts';
import { createInteger } from '../../src/pki/serial.ts';
import { createSigner, signBody } from '../../src/pki/signer.ts';
import { changeEachByte, openFolder, openTestAuthority, refusalOf } from './tools.ts';

const folder = openFolder();
const request = (...options: string[]): string => {
  const key = ['-nodes', '-keyout', 'r.key', '-out', 'r.csr', '-subj', '/CN=r'];
  folder.run('openssl', 'req', '-new', ...key, ...options);
  return folder.read('r.csr').toString();
};
const EC = ['-newkey', 'ec', '-pkeyopt'];
const readKey = (): string => folder.run('openssl', 'pkey', '-in', 'r.key', '-pubout');

describe('readRequest', () => {
  it.each([
    ['P-256', ...EC, 'ec_paramgen_curve:P-256'],
    ['P-384', ...EC, 'ec_paramgen_curve:P-384'],
    ['P-256 with SHA-512', ...EC, 'ec_paramgen_curve:P-256', '-sha512'],
    ['Ed25519', '-newkey', 'ed25519'],
    ['RSA of 2048 bits', '-newkey', 'rsa:2048'],
    ['RSA of 3072 bits with SHA-384', '-newkey', 'rsa:3072', '-sha384'],
    ['a CA for itself', '-newkey', 'ed25519', '-addext', 'basicConstraints=critical,CA:TRUE'],
    ['a DNS name', '-newkey', 'ed25519', '-addext', 'subjectAltName=DNS:repo.example'],
    [
      'an unknown critical extension',
      '-newkey',
      'ed25519',
      '-addext',
      '1.2.3.4=critical,ASN1:NULL',
    ],
    ['the old PEM label', '-newkey', 'ed25519', '-newhdr'],
  ])('takes the key alone of a request for %s', (_name, ...options) => {
    const { publicKey } = readRequest(request(...options));
    expect(publicKey.export({ type: 'spki', format: 'pem' })).toBe(readKey());
    expect(publicKey.type).toBe('public');
  });

  it("takes certtool's request, and DER", () => {
    folder.run('certtool', '--generate-privkey', '--ecc', '--outfile', 'r.key');
    folder.write('r.cfg', 'cn = "r"\nchallenge_password = secret\ntls_www_server\n');
    const files = ['--load-privkey', 'r.key', '--template', 'r.cfg', '--outfile', 'r.csr'];
    folder.run('certtool', '--generate-request', ...files);
    folder.run('openssl', 'req', '-in', 'r.csr', '-outform', 'DER', '-out', 'r.der');
    for (const name of ['r.csr', 'r.der']) {
      const { publicKey } = readRequest(folder.read(name));
      expect(publicKey.export({ type: 'spki', format: 'pem' })).toBe(readKey());
    }
  });

  it.each([
    ['RSA of 1024 bits', 'RSA of 1024 bits', '-newkey', 'rsa:1024'],
    ['P-521', 'on the curve secp521r1', ...EC, 'ec_paramgen_curve:P-521'],
    ['secp256k1', 'on the curve secp256k1', ...EC, 'ec_paramgen_curve:secp256k1'],
    ['RSA-PSS', 'of the kind rsa-pss', '-newkey', 'rsa-pss'],
    ['Ed448', 'of the kind ed448', '-newkey', 'ed448'],
  ])('refuses a key of %s', (_name, found, ...options) => {
    const csr = request(...options);
    expect(refusalOf(() => readRequest(csr))).toContain(`KEY_UNACCEPTABLE: The key is ${found};`);
  });

  it.each([
    ['SHA-1', 'SHA-1 with RSA', '-newkey', 'rsa:2048', '-sha1'],
    ['MD5', 'MD5 with RSA', '-newkey', 'rsa:2048', '-md5'],
    ['SHA-1 with ECDSA', 'SHA-1 with ECDSA', ...EC, 'ec_paramgen_curve:P-256', '-sha1'],
    ['PSS', '1.2.840.113549.1.1.10', '-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss'],
  ])('refuses a signature with %s', (_name, found, ...options) => {
    const csr = request(...options);
    expect(refusalOf(() => readRequest(csr))).toBe(
      `CSR_MALFORMED: The certificate request is refused: its signature algorithm, ${found}, is not accepted.`,
    );
  });

  describe('of tampered requests', () => {
    let der: Buffer;
    beforeAll(() => {
      request(...EC, 'ec_paramgen_curve:P-256', '-outform', 'DER');
      der = folder.read('r.csr');
    });

    it('refuses each changed byte', () => {
      for (const changed of changeEachByte(der)) {
        expect(refusalOf(() => readRequest(changed))).toMatch(
          /^(CSR_MALFORMED|KEY_UNACCEPTABLE): /,
        );
      }
    });

    it('refuses each truncation, and bytes that follow', () => {
      for (let length = 0; length < der.length; length++) {
        expect(refusalOf(() => readRequest(der.subarray(0, length)))).toMatch(/^CSR_MALFORMED: /);
      }
      const longer = Buffer.concat([der, Buffer.alloc(1)]);
      expect(refusalOf(() => readRequest(longer))).toContain('bytes follow');
    });

    // Found by the fuzz: OpenSSL takes it for a key, and no key can be made of it.
    it('refuses the point at infinity as a key', async () => {
      const { signer } = openTestAuthority();
      const point = '3019301306072a8648ce3d020106082a8648ce3d03010703020000';
      const body = createSequence(
        createInteger('0'),
        encodeName({ commonName: 'x' }),
        graftDer(Buffer.from(point, 'hex')),
        createNode(contextTag(0, true), []),
      );
      const csr = writePem('CERTIFICATE REQUEST', await signBody(signer, body));
      expect(refusalOf(() => readRequest(csr))).toContain(
        'KEY_UNACCEPTABLE: The key cannot be read',
      );
    });

    it("refuses somebody else's key", async () => {
      const other = createPublicKey(generatePrivateKey());
      const { signer } = openTestAuthority();
      const body = createSequence(
        createInteger('0'),
        encodeName({ commonName: 'x' }),
        graftDer(encodePublicKey(other)),
        createNode(contextTag(0, true), []),
      );
      const csr = writePem('CERTIFICATE REQUEST', await signBody(signer, body));
      expect(refusalOf(() => readRequest(csr))).toContain('its signature does not match');
    });
  });

  it.each([
    ['nothing', ''],
    ['a certificate', openTestAuthority().pem],
    ['two requests', createRequest(generatePrivateKey(), { commonName: 'a' }).repeat(2)],
    ['an empty sequence', Buffer.from('3000', 'hex')],
    ['a certificate as a request', openTestAuthority().facts.der],
    ['64 KiB of sequences', writeDer(createSequence(...Array(40_000).fill(createSequence())))],
  ])('refuses %s', (_name, input) => {
    expect(refusalOf(() => readRequest(input))).toMatch(/^CSR_MALFORMED: /);
  });
});

describe('createRequest', () => {
  it.each<KeyKind>(['P-256', 'P-384', 'Ed25519', 'RSA-2048'])(
    'of %s is verified by others',
    (kind) => {
      const key = generatePrivateKey(kind);
      folder.write(
        'own.csr',
        createRequest(key, { commonName: 'web1', organizationalUnit: 'host' }),
      );
      const text = folder.ask('openssl', 'req', '-in', 'own.csr', '-verify', '-noout', '-subject');
      expect(text).toMatchObject({ status: 0, output: expect.stringContaining('verify OK') });
      expect(text.output).toContain('subject=OU = host, CN = web1');
      expect(folder.run('certtool', '--crq-info', '--infile', 'own.csr')).toContain(
        'Self signature: verified',
      );
      const { publicKey } = readRequest(folder.read('own.csr'));
      expect(publicKey.equals(createPublicKey(key))).toBe(true);
    },
  );
});

describe('createSigner', () => {
  it('refuses a key that is not of the certificate, and a leaf', () => {
    const { pem } = openTestAuthority();
    expect(refusalOf(() => createSigner(pem, generatePrivateKey()))).toContain(
      'KEY_UNACCEPTABLE: ',
    );
    folder.run(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      'l.key',
      '-out',
      'l.crt',
      '-subj',
      '/CN=l',
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    );
    const leaf = folder.read('l.crt').toString();
    expect(refusalOf(() => createSigner(leaf, generatePrivateKey()))).toContain(
      "not an authority's",
    );
  });
});
