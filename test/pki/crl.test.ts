/** Revocation lists of ours judged by openssl and certtool, theirs read, and bad ones refused. */
import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeAlgorithm } from '../../src/pki/algorithm.ts';
import {
  createExplicit,
  createNode,
  createNull,
  createSequence,
  graftDer,
  type Node,
} from '../../src/pki/asn1.ts';
import { readCertificate } from '../../src/pki/certificate.ts';
import {
  REVOCATION_REASONS,
  type RevocationListRequest,
  type RevokedEntry,
  readCrl,
} from '../../src/pki/crl.ts';
import { TAG } from '../../src/pki/der.ts';
import { createExtension, EXTENSION } from '../../src/pki/extension.ts';
import { generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { writePem } from '../../src/pki/pem.ts';
import { createInteger } from '../../src/pki/serial.ts';
import { readIssuer, signBody } from '../../src/pki/signer.ts';
import { createTime } from '../../src/pki/time.ts';
import {
  changeEachByte,
  hours,
  issueCertificate,
  issueCrl,
  openFolder,
  openTestAuthority,
  randomSerial,
  refusalOf,
} from './tools.ts';

const folder = openFolder();
const authority = openTestAuthority();
const list = (entries: RevokedEntry[], number = 7): RevocationListRequest => ({
  number,
  thisUpdate: hours(-1),
  nextUpdate: hours(23),
  entries,
});
const toDer = (pem: string): Buffer => Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');

describe('lists of ours', () => {
  it.each<KeyKind>(['P-256', 'P-384', 'Ed25519', 'RSA-2048'])(
    'of %s count with openssl and certtool',
    async (kind) => {
      const { pem, signer, facts } = openTestAuthority(kind);
      folder.write('ca.crt', pem);
      const certify = async (serial: string): Promise<string> =>
        issueCertificate(signer, {
          publicKey: createPublicKey(generatePrivateKey()),
          subject: { commonName: 'web1' },
          serial,
          notBefore: hours(-1),
          notAfter: hours(1),
          profile: { kind: 'client', uri: 'urn:aptkeep:host:web1' },
        });
      // The top bit set, and a leading zero.
      const revoked = [`ff${randomSerial().slice(0, 28)}`, '1', '80', randomSerial()];
      const entries = revoked.map((serial) => ({ serial, revokedAt: hours(-1) }));
      for (const [name, some] of [
        ['full', entries],
        ['none', []],
      ] as const) {
        folder.write('c.crl', await issueCrl(signer, list([...some])));
        expect(
          folder.ask('openssl', 'crl', '-in', 'c.crl', '-CAfile', 'ca.crt', '-noout', '-verify'),
          name,
        ).toMatchObject({ status: 0, output: 'verify OK\n' });
        expect(
          folder.run(
            'certtool',
            '--verify-crl',
            '--load-ca-certificate',
            'ca.crt',
            '--infile',
            'c.crl',
          ),
        ).toContain('Verified.');
        expect([...readCrl(folder.read('c.crl'), facts).serials]).toEqual(
          some.map((entry) => entry.serial),
        );
      }
      folder.write('c.crl', await issueCrl(signer, list(entries)));
      const check = [
        'verify',
        '-x509_strict',
        '-crl_check',
        '-CRLfile',
        'c.crl',
        '-CAfile',
        'ca.crt',
      ];
      folder.write('good.crt', await certify(randomSerial()));
      expect(folder.run('openssl', ...check, 'good.crt')).toContain('OK');
      for (const serial of revoked) {
        folder.write('bad.crt', await certify(serial));
        expect(folder.ask('openssl', ...check, 'bad.crt').output).toContain('certificate revoked');
      }
    },
  );

  it('are what openssl -text says', async () => {
    const entries = REVOCATION_REASONS.map((reason, at) => ({
      serial: `${at + 1}`,
      revokedAt: hours(-at),
      reason,
    }));
    folder.write('t.crl', await issueCrl(authority.signer, list(entries, 4711)));
    const text = folder.run('openssl', 'crl', '-in', 't.crl', '-noout', '-text');
    expect(text).toContain('Version 2 (0x1)');
    expect(text).toMatch(/X509v3 CRL Number: \n +4711\n/);
    expect(text).toContain('X509v3 Authority Key Identifier');
    const reasons = [
      ...text.matchAll(
        /Serial Number: (\S+)\n.*\n(?: +CRL entry extensions:\n.*Reason Code: \n +(.*)\n)?/g,
      ),
    ];
    expect(reasons.map((match) => match.slice(1))).toEqual([
      ['01', undefined],
      ['02', 'Key Compromise'],
      ['03', 'CA Compromise'],
      ['04', 'Affiliation Changed'],
      ['05', 'Superseded'],
      ['06', 'Cessation Of Operation'],
      ['07', 'Privilege Withdrawn'],
      ['08', 'AA Compromise'],
    ]);
  });

  it('list a serial once, and take the first entry', async () => {
    const twice: RevokedEntry[] = [
      { serial: 'a', revokedAt: hours(-2), reason: 'keyCompromise' },
      { serial: 'a', revokedAt: hours(-1) },
    ];
    const { entries } = readCrl(await issueCrl(authority.signer, list(twice)), authority.facts);
    expect(entries).toEqual([twice[0]]);
  });

  it('are read back', async () => {
    const reasons = REVOCATION_REASONS.filter((reason) => reason !== 'unspecified');
    const entry = fc.record(
      {
        serial: fc.bigInt(1n, 2n ** 159n - 1n).map((value) => value.toString(16)),
        revokedAt: fc
          .integer({ min: 0, max: 4_000_000_000 })
          .map((seconds) => new Date(seconds * 1000)),
        reason: fc.constantFrom(...reasons),
      },
      { requiredKeys: ['serial', 'revokedAt'] },
    );
    const entries = fc.uniqueArray(entry, { selector: ({ serial }) => serial });
    await fc.assert(
      fc.asyncProperty(entries, fc.maxSafeNat(), async (some, number) => {
        const read = readCrl(await issueCrl(authority.signer, list(some, number)), authority.facts);
        expect(read).toEqual({
          ...list(some, number),
          serials: new Set(some.map((e) => e.serial)),
          namesKey: true,
        });
      }),
    );
  });

  it('hold ten thousand entries in well under a second', async () => {
    const entries = Array.from({ length: 10_000 }, () => ({
      serial: randomSerial(),
      revokedAt: hours(-1),
      reason: 'superseded' as const,
    }));
    const start = performance.now();
    const pem = await issueCrl(authority.signer, list(entries));
    const { serials } = readCrl(pem, authority.facts);
    // A tenth of a second alone; the rest is room for a busy machine.
    expect(performance.now() - start).toBeLessThan(3000);
    expect(serials.size).toBe(10_000);
    folder.write('big.crl', pem);
    folder.write('big.crt', authority.pem);
    expect(
      folder.ask('openssl', 'crl', '-in', 'big.crl', '-CAfile', 'big.crt', '-noout', '-verify')
        .status,
    ).toBe(0);
  });

  it.each<[string, Partial<RevocationListRequest>]>([
    ['a negative number', { number: -1 }],
    ['half a number', { number: 1.5 }],
    ['a number beyond 2^53', { number: 2 ** 53 }],
    ['an end before the start', { nextUpdate: hours(-2) }],
    ['an invalid date', { thisUpdate: new Date(Number.NaN) }],
    ['a serial in another spelling', { entries: [{ serial: '0F', revokedAt: hours(0) }] }],
    ['an entry without a date', { entries: [{ serial: 'f', revokedAt: new Date(Number.NaN) }] }],
  ])('are not issued with %s', async (_name, changes) => {
    const outcome = await issueCrl(authority.signer, { ...list([]), ...changes }).catch((e) => e);
    expect(outcome).toMatchObject({ code: 'INPUT_INVALID' });
  });
});

/** A list that openssl ca makes, with these extensions and lines of its index. */
function makeCrl(extensions: string[], index: string[] = [], ...options: string[]): Buffer {
  const numbered = !extensions.includes('without number');
  const lines = extensions.filter((line) => line !== 'without number');
  const config = ['[ca]', 'default_ca=a', '[a]', 'database=index.txt', 'default_md=sha256'];
  if (numbered) config.push('crlnumber=crlnumber');
  config.push('crl_extensions=ext', '[ext]', 'authorityKeyIdentifier=keyid', ...lines);
  folder.write('ca.cnf', `${config.join('\n')}\n`);
  folder.write('index.txt', index.map((line) => `${line}\n`).join(''));
  folder.write('index.txt.attr', '');
  folder.write('crlnumber', '1000\n');
  folder.write('own.crt', authority.pem);
  folder.write('own.key', authority.keyPem);
  const files = ['-config', 'ca.cnf', '-cert', 'own.crt', '-keyfile', 'own.key', '-out', 'o.crl'];
  folder.run('openssl', 'ca', '-gencrl', '-crldays', '1', ...files, ...options);
  return folder.read('o.crl');
}
const revokedLine = (serial: string, reason: string): string =>
  ['R', '301231235959Z', `260101000000Z${reason}`, serial, 'unknown', `/CN=${serial}`].join('\t');

describe('lists of openssl and certtool', () => {
  it('are read, with every reason; a hold revokes too', () => {
    const index = [
      revokedLine('00FF', ''),
      revokedLine('01', ',keyCompromise'),
      revokedLine('1000', ',CACompromise'),
      revokedLine('02', ',superseded'),
      revokedLine('03', ',holdInstruction,holdInstructionReject'),
      revokedLine('04', ',keyTime,20260101000000Z'),
    ];
    const revokedAt = new Date('2026-01-01T00:00:00Z');
    expect(readCrl(makeCrl([], index), authority.facts)).toMatchObject({
      number: 0x1000,
      serials: new Set(['1', '2', '3', '4', 'ff', '1000']),
      entries: expect.arrayContaining([
        { serial: 'ff', revokedAt },
        { serial: '1', revokedAt, reason: 'keyCompromise' },
        { serial: '1000', revokedAt, reason: 'cACompromise' },
        { serial: '2', revokedAt, reason: 'superseded' },
        { serial: '3', revokedAt },
        { serial: '4', revokedAt, reason: 'keyCompromise' },
      ]),
    });
  });

  it("are read when certtool made them, and openssl's DER", () => {
    makeCrl([]);
    folder.run('openssl', 'crl', '-in', 'o.crl', '-outform', 'DER', '-out', 'o.der');
    expect(readCrl(folder.read('o.der'), authority.facts).entries).toEqual([]);
    folder.write('crl.cfg', 'crl_next_update = 2\ncrl_number = 12\n');
    const files = ['--load-ca-certificate', 'own.crt', '--load-ca-privkey', 'own.key'];
    folder.run(
      'certtool',
      '--generate-crl',
      ...files,
      '--template',
      'crl.cfg',
      '--outfile',
      'g.crl',
    );
    expect(readCrl(folder.read('g.crl'), authority.facts)).toMatchObject({
      number: 12,
      entries: [],
    });
  });

  it.each([
    ['a delta list', ['2.5.29.27=critical,ASN1:INTEGER:1'], 'it is a delta list'],
    ['a delta list that hides it', ['2.5.29.27=ASN1:INTEGER:1'], 'it is a delta list'],
    [
      'an indirect list',
      ['issuingDistributionPoint=critical,@idp', '[idp]', 'indirectCRL=TRUE'],
      'an indirect or a partial list',
    ],
    [
      'a list of users only',
      ['issuingDistributionPoint=critical,@idp', '[idp]', 'onlyuser=TRUE'],
      'an indirect or a partial list',
    ],
    [
      'an unknown critical extension',
      ['1.2.3.4=critical,ASN1:NULL'],
      'an unknown critical extension, 1.2.3.4',
    ],
    ['no number', ['without number'], 'it has no number'],
  ])('are refused: %s', (_name, extensions, message) => {
    const crl = makeCrl(extensions);
    expect(refusalOf(() => readCrl(crl, authority.facts))).toMatch(/^CRL_UNACCEPTABLE: /);
    expect(refusalOf(() => readCrl(crl, authority.facts))).toContain(message);
  });

  it('are refused with SHA-1', () => {
    const crl = makeCrl([], [], '-md', 'sha1');
    expect(refusalOf(() => readCrl(crl, authority.facts))).toContain(
      'SHA-1 with ECDSA, is not accepted',
    );
  });

  it('are refused of another key, another name, a leaf', () => {
    const crl = makeCrl([]);
    const twin = openTestAuthority();
    const other = openTestAuthority('P-256', 'other CA');
    expect(refusalOf(() => readCrl(crl, twin.facts))).toContain('its signature does not match');
    expect(refusalOf(() => readCrl(crl, other.facts))).toContain('issued by another authority');
    expect(refusalOf(() => readCrl(crl, { ...authority.facts, isAuthority: false }))).toContain(
      'may not sign revocation lists',
    );
  });

  it('are refused of an authority that may not sign lists', async () => {
    const usage = [
      '-addext',
      'keyUsage=critical,keyCertSign',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    ];
    const subject = ['-subj', '/O=Example/CN=client CA 1'];
    folder.run(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      'u.key',
      '-out',
      'u.crt',
      '-utf8',
      ...subject,
      ...usage,
    );
    const crl = await issueCrl(authority.signer, list([]));
    expect(refusalOf(() => readCrl(crl, readCertificate(folder.read('u.crt'))))).toContain(
      'may not sign revocation lists',
    );
  });
});

describe('lists made by hand', () => {
  const entry = (serial: string, ...extensions: Node[]): Node =>
    createSequence(
      createInteger(serial),
      createTime(hours(-1)),
      ...(extensions.length === 0 ? [] : [createSequence(...extensions)]),
    );
  const number = createExtension(EXTENSION.crlNumber, false, createInteger('1'));
  interface Fields {
    version?: Node[];
    algorithm?: Node;
    next?: Node[];
    entries?: Node[];
    extensions?: Node[];
    tail?: Node[];
  }
  /** A signed list whose fields can be anything. */
  const build = async (fields: Fields): Promise<string> => {
    const body = createSequence(
      ...(fields.version ?? [createInteger('1')]),
      fields.algorithm ?? encodeAlgorithm(authority.signer.algorithm),
      graftDer(readIssuer(authority.signer).name),
      createTime(hours(-1)),
      ...(fields.next ?? [createTime(hours(1))]),
      createSequence(...(fields.entries ?? [entry('5')])),
      createExplicit(0, createSequence(...(fields.extensions ?? [number]))),
      ...(fields.tail ?? []),
    );
    return writePem('X509 CRL', await signBody(authority.signer, body));
  };

  it('are accepted when they are right', async () => {
    expect([...readCrl(await build({}), authority.facts).serials]).toEqual(['5']);
  });

  it.each<[string, Fields, string]>([
    ['no nextUpdate', { next: [] }, 'it has no nextUpdate'],
    ['nextUpdate before thisUpdate', { next: [createTime(hours(-2))] }, 'nextUpdate is not after'],
    ['version 1', { version: [] }, 'not of version 2'],
    ['version 3', { version: [createInteger('2')] }, 'not of version 2'],
    [
      'two algorithms',
      { algorithm: encodeAlgorithm('ecdsa-with-SHA384') },
      'names two signature algorithms',
    ],
    ['a serial twice', { entries: [entry('5'), entry('5')] }, 'lists a serial number twice'],
    [
      'a negative serial',
      { entries: [createSequence(createNode(TAG.integer, '\xff'), createTime(hours(-1)))] },
      'serial number is negative',
    ],
    [
      'an unknown critical extension of an entry',
      { entries: [entry('5', createExtension('1.2.3.4', true, createNull()))] },
      'the entry 5 has an unknown critical extension, 1.2.3.4',
    ],
    [
      'an entry of another issuer',
      {
        entries: [entry('5', createExtension(EXTENSION.certificateIssuer, true, createSequence()))],
      },
      'it is an indirect list',
    ],
    [
      'a reason that is no number',
      { entries: [entry('5', createExtension(EXTENSION.reasonCode, false, createNull()))] },
      'no reason',
    ],
    [
      'an entry that goes on',
      { entries: [createSequence(createInteger('5'), createTime(hours(-1)), createNull())] },
      'something follows the entry',
    ],
    [
      'an entry without a date',
      { entries: [createSequence(createInteger('5'))] },
      'no revocation date',
    ],
    [
      'a number beyond 2^53',
      {
        extensions: [createExtension(EXTENSION.crlNumber, false, createInteger('20000000000000'))],
      },
      'larger than 2^53',
    ],
    [
      'a negative number',
      {
        extensions: [createExtension(EXTENSION.crlNumber, false, createNode(TAG.integer, '\xff'))],
      },
      'list number is negative',
    ],
    ['two numbers', { extensions: [number, number] }, 'occurs twice'],
    ['something at the end', { tail: [createNull()] }, 'something follows'],
  ])('are refused: %s', async (_name, fields, message) => {
    const crl = await build(fields);
    expect(refusalOf(() => readCrl(crl, authority.facts))).toMatch(/^CRL_UNACCEPTABLE: /);
    expect(refusalOf(() => readCrl(crl, authority.facts))).toContain(message);
  });

  it.each([
    ['nothing', ''],
    ['a certificate', authority.pem],
    ['a certificate in DER', authority.facts.der],
    ['an empty sequence', Buffer.from('3000', 'hex')],
  ])('are refused: %s', (_name, input) => {
    expect(refusalOf(() => readCrl(input, authority.facts))).toMatch(/^CRL_UNACCEPTABLE: /);
  });

  it('are refused with any byte changed, cut off or added', async () => {
    const entries: RevokedEntry[] = [{ serial: 'ff', revokedAt: hours(-1), reason: 'superseded' }];
    const der = toDer(await issueCrl(authority.signer, list(entries)));
    expect(readCrl(der, authority.facts).serials.has('ff')).toBe(true);
    const refused = (bytes: Uint8Array): void => {
      expect(refusalOf(() => readCrl(bytes, authority.facts))).toMatch(/^CRL_UNACCEPTABLE: /);
    };
    for (const changed of changeEachByte(der)) refused(changed);
    for (let length = 0; length < der.length; length++) refused(der.subarray(0, length));
    refused(Buffer.concat([der, der]));
  });
});
