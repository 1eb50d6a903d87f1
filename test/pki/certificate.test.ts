/** Certificates of ours judged by openssl and certtool, and theirs read. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAlgorithm } from '../../src/pki/algorithm.ts';
import {
  createBitString,
  createExplicit,
  createNode,
  createOid,
  createSequence,
  createSet,
  graftDer,
  type Node,
  writeDer,
} from '../../src/pki/asn1.ts';
import {
  createAuthority,
  type LeafRequest,
  type Profile,
  readCertificate,
} from '../../src/pki/certificate.ts';
import { contextTag, TAG } from '../../src/pki/der.ts';
import { encodePublicKey, generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { createInteger } from '../../src/pki/serial.ts';
import { createSigner } from '../../src/pki/signer.ts';
import { createTime } from '../../src/pki/time.ts';
import {
  changeEachByte,
  hours,
  issueCertificate,
  openFolder,
  openTestAuthority,
  randomSerial,
  refusalOf,
  type TestAuthority,
} from './tools.ts';

const folder = openFolder();
const CLIENT: Profile = { kind: 'client', uri: 'urn:aptkeep:host:web1' };
const server = (...names: string[]): Profile => ({ kind: 'server', names });

const leaf = (profile: Profile, changes: Partial<LeafRequest> = {}): LeafRequest => ({
  publicKey: createPublicKey(generatePrivateKey()),
  subject: { commonName: 'web1', organizationalUnit: 'host' },
  serial: randomSerial(),
  notBefore: hours(-1),
  notAfter: hours(24 * 90),
  profile,
  ...changes,
});

/** The sentence with which `issueCertificate` refuses, or 'accepted'. */
async function refusalOfIssue(authority: TestAuthority, request: LeafRequest): Promise<string> {
  const outcome = await issueCertificate(authority.signer, request).catch((error) => error);
  return refusalOf(() => {
    if (outcome instanceof Error) throw outcome;
  });
}

describe('certificates of ours', () => {
  it.each<KeyKind>(['P-256', 'P-384', 'Ed25519', 'RSA-2048'])(
    'are verified by openssl and certtool, under a CA of %s',
    async (kind) => {
      const authority = openTestAuthority(kind);
      folder.write('ca.crt', authority.pem);
      const publicKey = createPublicKey(generatePrivateKey(kind));
      folder.write('c.crt', await issueCertificate(authority.signer, leaf(CLIENT, { publicKey })));
      const names = server('repo.example', '192.0.2.1', '2001:db8::1');
      folder.write('s.crt', await issueCertificate(authority.signer, leaf(names, { publicKey })));
      const strict = ['verify', '-x509_strict', '-CAfile', 'ca.crt', '-purpose'];
      expect(folder.run('openssl', ...strict, 'sslclient', 'c.crt')).toBe('c.crt: OK\n');
      expect(folder.run('openssl', ...strict, 'sslserver', 's.crt')).toBe('s.crt: OK\n');
      const loaded = ['--verify', '--load-ca-certificate', 'ca.crt', '--verify-profile', 'low'];
      const purpose = ['--verify-purpose', '1.3.6.1.5.5.7.3.2', '--infile', 'c.crt'];
      expect(folder.run('certtool', ...loaded, ...purpose)).toContain('Verified.');
      const host = ['--verify-hostname', 'repo.example', '--infile', 's.crt'];
      expect(folder.run('certtool', ...loaded, ...host)).toContain('Verified.');
    },
  );

  it('have exactly the extensions of their profile', async () => {
    const authority = openTestAuthority();
    const show = (pem: string): string => {
      folder.write('x.crt', pem);
      return folder.run(
        'openssl',
        'x509',
        '-in',
        'x.crt',
        '-noout',
        '-text',
        '-certopt',
        'ext_default',
      );
    };
    const titles = (text: string): string[] =>
      [...text.matchAll(/^ {12}(X509v3 [^:]+): (critical)?\n +(.*)$/gm)].map(
        ([, title, critical = '', value]) =>
          `${title} ${critical}: ${value}`.replace(/(Identifier).*/, '$1'),
      );
    expect(titles(show(authority.pem))).toEqual([
      'X509v3 Basic Constraints critical: CA:TRUE, pathlen:0',
      'X509v3 Key Usage critical: Certificate Sign, CRL Sign',
      'X509v3 Subject Key Identifier',
    ]);
    const common = [
      'X509v3 Basic Constraints critical: CA:FALSE',
      'X509v3 Key Usage critical: Digital Signature',
    ];
    const identifiers = ['X509v3 Subject Key Identifier', 'X509v3 Authority Key Identifier'];
    expect(titles(show(await issueCertificate(authority.signer, leaf(CLIENT))))).toEqual([
      ...common,
      'X509v3 Extended Key Usage : TLS Web Client Authentication',
      ...identifiers,
      'X509v3 Subject Alternative Name : URI:urn:aptkeep:host:web1',
    ]);
    const names = server('Repo.example', 'repo', '192.0.2.1', '2001:DB8:0:0::1', 'repo');
    expect(titles(show(await issueCertificate(authority.signer, leaf(names))))).toEqual([
      ...common,
      'X509v3 Extended Key Usage : TLS Web Server Authentication',
      ...identifiers,
      'X509v3 Subject Alternative Name : DNS:repo.example, DNS:repo, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1',
    ]);
  });

  it('are read back as openssl reads them', async () => {
    const authority = openTestAuthority();
    // The top bit set, and a leading zero: the spellings in which the two sides could differ.
    for (const serial of [`f${'1'.repeat(31)}`, '1', '80', `8${'0'.repeat(30)}`]) {
      const pem = await issueCertificate(authority.signer, leaf(CLIENT, { serial }));
      const facts = readCertificate(pem);
      const other = new X509Certificate(pem);
      expect(facts).toMatchObject({
        serial,
        subject: { commonName: 'web1', organizationalUnit: 'host' },
        issuer: { commonName: 'client CA 1', organization: 'Example' },
        notBefore: other.validFromDate,
        notAfter: other.validToDate,
        fingerprint: other.fingerprint256.replaceAll(':', '').toLowerCase(),
        isAuthority: false,
        extendedKeyUsage: ['clientAuth'],
        uris: ['urn:aptkeep:host:web1'],
        dnsNames: [],
        ipAddresses: [],
        pem,
      });
      expect(BigInt(`0x${other.serialNumber}`)).toBe(BigInt(`0x${serial}`));
      expect(facts.publicKey.equals(other.publicKey)).toBe(true);
      expect(readCertificate(facts.der)).toEqual(facts);
      expect(readCertificate(Buffer.from(pem))).toEqual(facts);
    }
    expect(authority.facts.isAuthority).toBe(true);
  });

  it('take a CA that openssl made, with its own key identifier and name, byte for byte', async () => {
    const subject = [
      '-subj',
      '/C=DE/O=Grün/CN=Own',
      '-utf8',
      '-addext',
      'subjectKeyIdentifier=01020304',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
      '-addext',
      'authorityKeyIdentifier=none',
    ];
    folder.run(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'o.key',
      '-out',
      'o.crt',
      ...subject,
    );
    const signer = createSigner(
      folder.read('o.crt').toString(),
      createPrivateKey(folder.read('o.key')),
    );
    folder.write('ol.crt', await issueCertificate(signer, leaf(CLIENT)));
    expect(folder.run('openssl', 'verify', '-x509_strict', '-CAfile', 'o.crt', 'ol.crt')).toContain(
      'OK',
    );
    const text = folder.run(
      'openssl',
      'x509',
      '-in',
      'ol.crt',
      '-noout',
      '-ext',
      'authorityKeyIdentifier',
    );
    expect(text).toContain('01:02:03:04');
  });

  it('last beyond 2050', () => {
    const validity = {
      notBefore: new Date('2049-12-31T23:59:59.900Z'),
      notAfter: new Date('2050-01-01T00:00:00Z'),
    };
    folder.write(
      'y.crt',
      createAuthority(generatePrivateKey(), { commonName: 'y' }, '1', validity),
    );
    expect(folder.run('openssl', 'x509', '-in', 'y.crt', '-noout', '-dates')).toBe(
      'notBefore=Dec 31 23:59:59 2049 GMT\nnotAfter=Jan  1 00:00:00 2050 GMT\n',
    );
    expect(folder.run('openssl', 'asn1parse', '-in', 'y.crt')).toMatch(
      /UTCTIME .*:491231235959Z\n.*GENERALIZEDTIME +:20500101000000Z/,
    );
  });
});

describe('issueCertificate refuses', () => {
  const authority = openTestAuthority();

  it.each<[string, Profile, string]>([
    ['no URI', { kind: 'client', uri: '' }, 'is not a URI'],
    ['no scheme', { kind: 'client', uri: 'web1' }, 'is not a URI'],
    ['a space', { kind: 'client', uri: 'urn:a b' }, 'is not a URI'],
    ['a newline', { kind: 'client', uri: 'urn:a\n' }, 'is not a URI'],
    ['an umlaut', { kind: 'client', uri: 'urn:ä' }, 'is not a URI'],
    ['a long URI', { kind: 'client', uri: `urn:${'a'.repeat(600)}` }, 'is not a URI'],
    ['no names', server(), '1 to 100 names, not 0'],
    ['too many', server(...Array.from({ length: 101 }, (_, i) => `n${i}`)), 'not 101'],
    ['an empty name', server(''), 'neither a DNS name nor'],
    ['a dot at the end', server('a.example.'), 'neither a DNS name nor'],
    ['a wildcard', server('*.example'), 'neither a DNS name nor'],
    ['an underscore', server('a_b.example'), 'neither a DNS name nor'],
    ['an umlaut', server('ä.example'), 'neither a DNS name nor'],
    ['a hyphen in front', server('-a.example'), 'neither a DNS name nor'],
    ['a label of 64', server(`${'a'.repeat(64)}.example`), 'neither a DNS name nor'],
    ['254 characters', server(`${'a.'.repeat(126)}aa`), 'neither a DNS name nor'],
    ['a zero byte', server('a\0.example'), 'neither a DNS name nor'],
    ['256 in an address', server('192.0.2.256'), 'neither a DNS name nor'],
    ['a leading zero', server('192.0.2.010'), 'neither a DNS name nor'],
    ['three numbers', server('192.0.2'), 'neither a DNS name nor'],
    ['a network', server('192.0.2.0/24'), 'neither a DNS name nor'],
    ['brackets', server('[::1]'), 'neither a DNS name nor'],
    ['two gaps', server('1::2::3'), 'neither a DNS name nor'],
    ['nine groups', server('1:2:3:4:5:6:7:8:9'), 'neither a DNS name nor'],
    ['a zone', server('fe80::1%eth0'), 'neither a DNS name nor'],
  ])('%s', async (_name, profile, message) => {
    const refusal = await refusalOfIssue(authority, leaf(profile));
    expect(refusal).toContain('INPUT_INVALID: ');
    expect(refusal).toContain(message);
  });

  it.each<[string, Partial<LeafRequest>, string]>([
    ['serial zero', { serial: '0' }, 'is not a serial number'],
    ['another spelling', { serial: '0F' }, 'is not a serial number'],
    ['no serial', { serial: '' }, 'is not a serial number'],
    ['an end before the start', { notAfter: hours(-2) }, 'ends before it begins'],
    ['no time at all', { notAfter: hours(-1) }, 'ends before it begins'],
    ['an invalid date', { notAfter: new Date(Number.NaN) }, 'ends before it begins'],
    ['an empty name', { subject: { commonName: '' } }, 'The common name is empty'],
    ['a weak key', { publicKey: createPublicKey(openssl1024()) }, 'RSA of 1024 bits'],
  ])('%s', async (_name, changes, message) => {
    expect(await refusalOfIssue(authority, leaf(CLIENT, changes))).toContain(message);
  });

  function openssl1024(): string {
    return folder.run('openssl', 'genrsa', '1024');
  }
});

describe('readCertificate', () => {
  it('reads names, purposes and addresses that openssl wrote', () => {
    const names =
      'DNS:a.example,DNS:*.b.example,URI:urn:x:y,IP:192.0.2.1,IP:2001:db8::8:800:200c:417a,IP:::1,email:a@b.example,dirName:dir';
    folder.write(
      'n.cnf',
      `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[dir]\nCN=d\n[ext]\nsubjectAltName=${names}\nextendedKeyUsage=clientAuth,serverAuth,codeSigning,anyExtendedKeyUsage\n`,
    );
    folder.run(
      'openssl',
      'req',
      '-x509',
      '-config',
      'n.cnf',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      'n.key',
      '-out',
      'n.crt',
      '-subj',
      '/CN=n',
    );
    expect(readCertificate(folder.read('n.crt'))).toMatchObject({
      dnsNames: ['a.example', '*.b.example'],
      uris: ['urn:x:y'],
      ipAddresses: ['192.0.2.1', '2001:db8::8:800:200c:417a', '::1'],
      extendedKeyUsage: ['clientAuth', 'serverAuth', '1.3.6.1.5.5.7.3.3', 'anyExtendedKeyUsage'],
      isAuthority: false,
    });
  });

  it('reads a version 1 certificate and a serial of zero, as old authorities have them', () => {
    folder.run(
      'openssl',
      'req',
      '-new',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      'v.key',
      '-out',
      'v.csr',
      '-subj',
      '/CN=v',
    );
    folder.run(
      'openssl',
      'x509',
      '-req',
      '-in',
      'v.csr',
      '-signkey',
      'v.key',
      '-set_serial',
      '0',
      '-out',
      'v.crt',
    );
    expect(folder.run('openssl', 'x509', '-in', 'v.crt', '-noout', '-text')).toContain(
      'Version: 1',
    );
    expect(readCertificate(folder.read('v.crt'))).toMatchObject({
      serial: '0',
      isAuthority: false,
    });
  });

  it.each([
    ['nothing', ''],
    ['a key', generatePrivateKey().export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['two certificates', openTestAuthority().pem.repeat(2)],
    ['an empty sequence', Buffer.from('3000', 'hex')],
    ['too much', Buffer.alloc(100_000, 0x30)],
  ])('refuses %s', (_name, input) => {
    expect(refusalOf(() => readCertificate(input))).toMatch(/^INPUT_INVALID: /);
  });

  describe('of what the fuzz found', () => {
    const none = createSequence();
    const algorithm = encodeAlgorithm('ecdsa-with-SHA256');
    const publicKey = graftDer(encodePublicKey(generatePrivateKey()));
    const name = (oid: string, tag: number, content: string): Node =>
      createSequence(createSet(createSequence(createOid(oid), createNode(tag, content))));
    /** A certificate, its signature nobody's. */
    const make = (issuer: Node, tail: Node[] = [], named = algorithm): Uint8Array => {
      const life = createSequence(createTime(hours(-1)), createTime(hours(1)));
      const fields = [createExplicit(0, createInteger('2')), createInteger('5'), named, issuer];
      const body = createSequence(...fields, life, none, publicKey, ...tail);
      return writeDer(createSequence(body, named, createBitString(Buffer.alloc(8))));
    };
    const identifier = (content: string): Node => createNode(contextTag(1, false), content);

    it.each<[string, Uint8Array]>([
      ['a country', make(name('2.5.4.6', 19, 'DE'))],
      ['an identifier', make(name('2.5.4.45', TAG.bitString, '\x01\x80'))],
      ['a unique identifier', make(none, [identifier('\x00\x80')])],
    ])('takes %s, as OpenSSL does', (_name, der) => {
      expect(new X509Certificate(der).serialNumber).toBe('05');
      expect(readCertificate(der).serial).toBe('5');
    });

    it.each<[string, Uint8Array]>([
      ['a country in which something else is nested', make(name('2.5.4.6', 0xec, 'DE'))],
      ['a country of broken UTF-8', make(name('2.5.4.6', TAG.utf8String, '\xc3'))],
      ['a country of one byte and a half character', make(name('2.5.4.6', 30, '\x00D\x00'))],
      ['an organisation in UTF-16', make(name('2.5.4.10', 30, '\xda\x0b\xdf\x50'))],
      ['an identifier of nine unused bits', make(name('2.5.4.45', TAG.bitString, '\x09\x00'))],
      ['a unique identifier of nine unused bits', make(none, [identifier('\x09\x00')])],
      ['a unique identifier of nothing', make(none, [identifier('')])],
      ['an algorithm without a name', make(none, [], none)],
    ])('refuses %s, as OpenSSL does', (_name, der) => {
      expect(() => new X509Certificate(der)).toThrow();
      expect(refusalOf(() => readCertificate(der))).toMatch(/^INPUT_INVALID: .*not well-formed/);
    });
  });

  it('throws nothing but refusals on changed, cut and invented bytes', async () => {
    const authority = openTestAuthority();
    const request = leaf(server('a.example', '::1'));
    const { der } = readCertificate(await issueCertificate(authority.signer, request));
    for (const changed of changeEachByte(der)) refusalOf(() => readCertificate(changed));
    for (let length = 0; length < der.length; length++) {
      expect(refusalOf(() => readCertificate(der.subarray(0, length)))).toMatch(/^INPUT_INVALID: /);
    }
    const positions = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { maxLength: 8 });
    fc.assert(
      fc.property(positions, fc.uint8Array(), (changes, tail) => {
        const bytes = Buffer.concat([der, tail]);
        for (const [at, value] of changes) bytes.writeUInt8(value, at);
        expect(refusalOf(() => readCertificate(bytes))).toMatch(/^(accepted|[A-Z]+_[A-Z]+: .*\.)$/);
      }),
    );
  });
});
