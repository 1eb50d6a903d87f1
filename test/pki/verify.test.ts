/** The handshake's list of bad certificates, each made by openssl, and good ones. */

import { createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CertificateFacts, readCertificate } from '../../src/pki/certificate.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import { findFault } from '../../src/pki/verify.ts';
import {
  changeEachByte,
  hours,
  issueCertificate,
  openFolder,
  openTestAuthority,
  randomSerial,
} from './tools.ts';

const folder = openFolder();
const authority = openTestAuthority();
const GOOD = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=clientAuth',
  'subjectKeyIdentifier=hash',
  'authorityKeyIdentifier=keyid',
  'subjectAltName=URI:urn:aptkeep:host:web1',
];
/** The good extensions, those of the same name replaced; an empty value drops one. */
const extensions = (...changes: string[]): string[] => {
  const name = (line: string): string => line.split('=')[0] ?? '';
  const kept = GOOD.filter((line) => !changes.some((change) => name(change) === name(line)));
  return [...kept, ...changes.filter((change) => !change.endsWith('='))];
};

interface Recipe {
  extensions?: string[];
  key?: string;
  options?: string[];
  /** Files of the issuer's certificate and key. */
  issuer?: [string, string];
}

/** DER of a certificate that openssl issues. */
function certify(recipe: Recipe): Buffer {
  folder.write('e.cnf', (recipe.extensions ?? GOOD).join('\n'));
  const key = recipe.key ?? 'ec.key';
  folder.run('openssl', 'req', '-new', '-key', key, '-subj', '/OU=host/CN=web1', '-out', 'v.csr');
  const [certificate, secret] = recipe.issuer ?? ['ca.crt', 'ca.key'];
  const issuer = ['-CA', certificate, '-CAkey', secret, '-extfile', 'e.cnf'];
  const output = ['-outform', 'DER', '-out', 'v.der'];
  const options = recipe.options ?? ['-set_serial', '0x7a01'];
  folder.run('openssl', 'x509', '-req', '-in', 'v.csr', ...issuer, ...output, ...options);
  return folder.read('v.der');
}

const selfSign = (name: string, subject: string, ...options: string[]): void => {
  const files = ['-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-subj', subject];
  folder.run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', ...files, ...options);
};
const factsOf = (name: string): CertificateFacts => readCertificate(folder.read(name));

beforeAll(() => {
  folder.write('ca.crt', authority.pem);
  folder.write('ca.key', authority.keyPem);
  folder.run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'ec.key');
  folder.run('openssl', 'genrsa', '-out', 'rsa1024.key', '1024');
  folder.run('openssl', 'genrsa', '-out', 'rsa2048.key', '2048');
  folder.run('openssl', 'ecparam', '-name', 'secp256k1', '-genkey', '-noout', '-out', 'k1.key');
  selfSign('rsa-ca', '/CN=RSA CA');
});

describe('a certificate of ours', () => {
  it.each<[string, Recipe]>([
    ['the plain profile', {}],
    [
      'clientAuth beside serverAuth',
      { extensions: extensions('extendedKeyUsage=serverAuth,clientAuth') },
    ],
    [
      'clientAuth beside any',
      { extensions: extensions('extendedKeyUsage=clientAuth,anyExtendedKeyUsage') },
    ],
    ['no key usage', { extensions: extensions('keyUsage=') }],
    ['no basic constraints', { extensions: extensions('basicConstraints=') }],
    ['an unknown extension that is not critical', { extensions: extensions('1.2.3.4=ASN1:NULL') }],
    ['a serial with the top bit set', { options: ['-set_serial', `0xff${'00'.repeat(15)}`] }],
    ['an RSA key of 2048 bits', { key: 'rsa2048.key' }],
    ['SHA-512', { options: ['-sha512', '-set_serial', '5'] }],
  ])('has no fault: %s', (_name, recipe) => {
    expect(findFault(certify(recipe), [authority.facts])).toBeUndefined();
  });

  it('has no fault when we issued it', async () => {
    const pem = await issueCertificate(authority.signer, {
      publicKey: createPublicKey(generatePrivateKey()),
      subject: { commonName: 'web1', organizationalUnit: 'host' },
      serial: randomSerial(),
      notBefore: hours(-1),
      notAfter: hours(1),
      profile: { kind: 'client', uri: 'urn:aptkeep:host:web1' },
    });
    expect(findFault(readCertificate(pem).der, [authority.facts])).toBeUndefined();
  });

  it('may come from any of the authorities, also from one of two with one name', () => {
    const twin = openTestAuthority();
    const others = [factsOf('rsa-ca.crt'), twin.facts, authority.facts];
    expect(findFault(certify({}), others)).toBeUndefined();
    const der = certify({
      issuer: ['rsa-ca.crt', 'rsa-ca.key'],
      options: ['-sha384', '-set_serial', '6'],
    });
    expect(findFault(der, others)).toBeUndefined();
  });

  it('is not judged by its dates', () => {
    const expired = certify({ options: ['-days', '-1', '-set_serial', '7'] });
    expect(findFault(expired, [authority.facts])).toBeUndefined();
  });
});

describe('a certificate that is not ours', () => {
  it.each<[string, Recipe, string]>([
    [
      'serverAuth only',
      { extensions: extensions('extendedKeyUsage=serverAuth') },
      'not made for client authentication',
    ],
    [
      'anyExtendedKeyUsage only',
      { extensions: extensions('extendedKeyUsage=anyExtendedKeyUsage') },
      'not made for client authentication',
    ],
    [
      'no EKU',
      { extensions: extensions('extendedKeyUsage=') },
      'not made for client authentication',
    ],
    [
      'a CA below ours',
      { extensions: extensions('basicConstraints=critical,CA:TRUE') },
      "is an authority's",
    ],
    [
      'key encipherment only',
      { extensions: extensions('keyUsage=critical,keyEncipherment') },
      'does not allow signatures',
    ],
    [
      'an unknown critical extension',
      { extensions: extensions('1.2.3.4=critical,ASN1:NULL') },
      'unknown critical extension, 1.2.3.4',
    ],
    [
      'critical name constraints',
      { extensions: extensions('nameConstraints=critical,permitted;DNS:a') },
      'unknown critical extension, 2.5.29.30',
    ],
    ['RSA of 1024 bits', { key: 'rsa1024.key' }, 'is RSA of 1024 bits'],
    ['another curve', { key: 'k1.key' }, 'on the curve secp256k1'],
    [
      'SHA-1 with ECDSA',
      { options: ['-sha1', '-set_serial', '5'] },
      'SHA-1 with ECDSA, is not accepted',
    ],
    ['a negative serial', { options: ['-set_serial', '-5'] }, 'serial number is negative'],
    ['a serial of zero', { options: ['-set_serial', '0'] }, 'serial number zero'],
    [
      'a serial of 21 bytes',
      { options: ['-set_serial', `0x01${'00'.repeat(20)}`] },
      'longer than 20 bytes',
    ],
    ['a broken EKU', { extensions: extensions('extendedKeyUsage=DER:0400') }, 'not well-formed'],
    ['an empty EKU', { extensions: extensions('extendedKeyUsage=DER:3000') }, 'not well-formed'],
    [
      'a broken key usage',
      { extensions: extensions('keyUsage=critical,DER:0300') },
      'not well-formed',
    ],
    [
      'broken basic constraints',
      { extensions: extensions('basicConstraints=critical,DER:30030101') },
      'not well-formed',
    ],
  ])('has a fault: %s', (_name, recipe, fault) => {
    expect(findFault(certify(recipe), [authority.facts])).toContain(fault);
  });

  it.each([
    ['SHA-1', '-sha1', 'SHA-1 with RSA, is not accepted'],
    ['MD5', '-md5', 'MD5 with RSA, is not accepted'],
  ])('has a fault: %s with RSA', (_name, digest, fault) => {
    const der = certify({
      issuer: ['rsa-ca.crt', 'rsa-ca.key'],
      options: [digest, '-set_serial', '5'],
    });
    expect(findFault(der, [factsOf('rsa-ca.crt')])).toContain(fault);
  });

  it('has a fault: another authority', () => {
    const der = certify({ issuer: ['rsa-ca.crt', 'rsa-ca.key'] });
    expect(findFault(der, [authority.facts])).toBe(
      'The certificate was issued by another authority.',
    );
    expect(findFault(certify({}), [])).toBe('The certificate was issued by another authority.');
  });

  it('has a fault: the same name and serial, another key', () => {
    const twin = openTestAuthority();
    folder.write('twin.crt', twin.pem);
    folder.write('twin.key', twin.keyPem);
    const der = certify({ issuer: ['twin.crt', 'twin.key'] });
    expect(findFault(der, [twin.facts])).toBeUndefined();
    expect(findFault(der, [authority.facts])).toContain('its signature does not match');
    const rsa = openTestAuthority('RSA-2048');
    expect(findFault(der, [rsa.facts])).toContain('not of the signing key');
  });

  it('has a fault: the same name in another string type', () => {
    const printable = ['[req]', 'string_mask=nombstr', 'distinguished_name=dn', '[dn]'].join('\n');
    folder.write('p.cnf', `${printable}\n`);
    selfSign(
      'printable',
      '/O=Example/CN=client CA 1',
      '-config',
      'p.cnf',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    );
    const der = certify({ issuer: ['printable.crt', 'printable.key'] });
    expect(findFault(der, [authority.facts])).toContain('another authority');
  });

  it('has a fault: a leaf as issuer, even one given as an authority', () => {
    const leaf = certify({});
    folder.run('openssl', 'x509', '-inform', 'DER', '-in', 'v.der', '-out', 'leaf.crt');
    const der = certify({ issuer: ['leaf.crt', 'ec.key'] });
    expect(findFault(der, [authority.facts])).toContain('another authority');
    expect(findFault(der, [authority.facts, readCertificate(leaf)])).toContain('another authority');
  });

  it('has a fault: self-signed, and the CA itself', () => {
    selfSign('self', '/OU=host/CN=web1', '-addext', 'extendedKeyUsage=clientAuth');
    expect(findFault(factsOf('self.crt').der, [authority.facts])).toContain('another authority');
    expect(findFault(authority.facts.der, [authority.facts])).toContain("is an authority's");
  });

  it('has a fault: any byte changed, cut off or added', () => {
    const der = certify({});
    for (const changed of changeEachByte(der)) {
      expect(findFault(changed, [authority.facts])).toMatch(/^The certificate .*\.$/);
    }
    for (let length = 0; length < der.length; length++) {
      expect(findFault(der.subarray(0, length), [authority.facts])).toContain('not well-formed');
    }
    expect(findFault(Buffer.concat([der, der]), [authority.facts])).toContain('bytes follow');
    expect(findFault(Buffer.alloc(1_000_000, 0x30), [authority.facts])).toContain('too large');
  });
});
