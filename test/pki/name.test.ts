/** Distinguished names, against openssl's reading and writing of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNode, createOid, createSequence, createSet, writeDer } from '../../src/pki/asn1.ts';
import { readCertificate } from '../../src/pki/certificate.ts';
import { createRequest } from '../../src/pki/csr.ts';
import { MalformedDer, readWhole, TAG } from '../../src/pki/der.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import { decodeName, encodeName, type Subject } from '../../src/pki/name.ts';
import { openFolder, refusalOf } from './tools.ts';

const folder = openFolder();
const decode = (der: Uint8Array): Subject => decodeName(readWhole(der, TAG.sequence, 'name'));

describe('encodeName', () => {
  it.each<[string, Subject, string]>([
    ['a host', { commonName: 'web1', organizationalUnit: 'host' }, 'OU=host,CN=web1'],
    [
      'umlauts, commas, quotes',
      { commonName: 'Ärger, "x"', organization: 'A+B=C' },
      'O=A\\+B=C,CN=Ärger\\, \\"x\\"',
    ],
    ['characters beyond 16 bits', { commonName: '𝔸🦊' }, 'CN=𝔸🦊'],
    ['64 characters', { commonName: '🦊'.repeat(64) }, `CN=${'🦊'.repeat(64)}`],
  ])('writes %s so that openssl reads it', (_name, subject, text) => {
    folder.write('a.csr', createRequest(generatePrivateKey(), subject));
    const options = 'esc_2253,utf8,sep_comma_plus,sname';
    const read = folder.run(
      'openssl',
      'req',
      '-in',
      'a.csr',
      '-noout',
      '-subject',
      '-nameopt',
      options,
    );
    expect(read.trim()).toBe(`subject=${text}`);
    const types = folder.run('openssl', 'asn1parse', '-in', 'a.csr');
    expect(types).toContain('UTF8STRING');
    expect(types).not.toContain('PRINTABLESTRING');
  });

  it.each<[string, Subject, string]>([
    ['an empty name', { commonName: '' }, 'The common name is empty.'],
    ['65 characters', { commonName: 'x'.repeat(65) }, 'The common name is longer than 64'],
    ['a newline', { commonName: 'a\nb' }, 'The common name contains a control'],
    ['a zero byte', { commonName: 'a\0b' }, 'The common name contains a control'],
    ['DEL', { commonName: 'a\x7f' }, 'The common name contains a control'],
    ['a right-to-left override', { commonName: 'a\u202eb' }, 'The common name contains a control'],
    ['a zero-width space', { commonName: 'a\u200bb' }, 'The common name contains a control'],
    ['half a character', { commonName: 'a\ud800' }, 'The common name contains a control'],
    ['a unit', { commonName: 'a', organizationalUnit: '\t' }, 'The organisational unit contains'],
    ['an organisation', { commonName: 'a', organization: '' }, 'The organisation is empty'],
  ])('refuses %s', (_name, subject, message) => {
    expect(refusalOf(() => encodeName(subject))).toContain(`INPUT_INVALID: ${message}`);
  });

  it('is read back', () => {
    const unit = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 1 })
      .filter((character) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(character));
    const text = fc.string({ unit, minLength: 1, maxLength: 60 });
    const subjects = fc.record(
      { commonName: text, organizationalUnit: text, organization: text },
      { requiredKeys: ['commonName'] },
    );
    fc.assert(
      fc.property(subjects, (subject) => {
        expect(decode(writeDer(encodeName(subject)))).toEqual(subject);
      }),
    );
  });
});

describe('decodeName', () => {
  const certify = (subject: string, ...options: string[]): Subject => {
    const key = ['-newkey', 'ed25519', '-nodes', '-keyout', 'n.key', '-out', 'n.crt'];
    folder.run('openssl', 'req', '-x509', ...key, '-subj', subject, ...options);
    return readCertificate(folder.read('n.crt')).subject;
  };

  it.each<[string, string, Subject]>([
    [
      'units of several levels',
      '/C=DE/O=A/OU=b/OU=c/CN=d',
      { organization: 'A', organizationalUnit: 'c', commonName: 'd' },
    ],
    ['two common names', '/CN=Users/CN=eve', { commonName: 'eve' }],
    ['no common name', '/C=DE/O=A', { organization: 'A', commonName: '' }],
    ['attributes of one RDN', '/CN=a+OU=b', { commonName: 'a', organizationalUnit: 'b' }],
    ['domain components', '/DC=org/DC=example/CN=x', { commonName: 'x' }],
  ])('reads %s', (_name, text, subject) => {
    expect(certify(text, '-multivalue-rdn')).toEqual(subject);
  });

  it.each(['pkix', 'utf8only', 'nombstr', 'MASK:0x800', 'MASK:0x4'])(
    'reads the string types of openssl under string_mask %s',
    (mask) => {
      const lines = ['[req]', `string_mask = ${mask}`, 'utf8 = yes', 'distinguished_name = dn'];
      folder.write('mask.cnf', `${lines.join('\n')}\n[dn]\n`);
      const subject = certify('/O=Grün/CN=Grün', '-utf8', '-config', folder.path('mask.cnf'));
      expect(subject).toEqual({ organization: 'Grün', commonName: 'Grün' });
    },
  );

  const attribute = (oid: string, tag: number, value: string) =>
    createSequence(createSet(createSequence(createOid(oid), createNode(tag, value))));
  it.each([
    ['a newline', attribute('2.5.4.3', TAG.utf8String, 'a\nb')],
    ['a zero byte', attribute('2.5.4.3', 19, 'admin\0.evil')],
    ['broken UTF-8', attribute('2.5.4.3', TAG.utf8String, '\xc3')],
    ['a surrogate in UTF-16', attribute('2.5.4.3', TAG.utf8String, '\xed\xa0\x80')],
    ['a number for a name', attribute('2.5.4.3', TAG.integer, '\x01')],
    // Node's decoders 'latin1' and 'ascii' are windows-1252 and make letters of these.
    ['a control of Latin-1 in Teletex', attribute('2.5.4.3', 20, 'a\x85')],
    ['Latin-1 in a PrintableString', attribute('2.5.4.3', 19, 'Gr\xfcn')],
    ['an empty RDN', createSequence(createSet())],
    ['no set', createSequence(createSequence())],
    ['no value', createSequence(createSet(createSequence(createOid('2.5.4.3'))))],
  ])('refuses %s', (_name, node) => {
    expect(() => decode(writeDer(node))).toThrow(MalformedDer);
  });
});
