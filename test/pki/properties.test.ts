/** Serials, names, certificates and revocation lists of any content, told by openssl and certtool. */
import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeDer } from '../../src/pki/asn1.ts';
import { issueCertificate, readCertificate } from '../../src/pki/certificate.ts';
import {
  issueCrl,
  REVOCATION_REASONS,
  type RevocationReason,
  type RevokedEntry,
  readCrl,
} from '../../src/pki/crl.ts';
import { readWhole, TAG } from '../../src/pki/der.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import { decodeName, encodeName, type Subject } from '../../src/pki/name.ts';
import { canonicalSerial } from '../../src/pki/serial.ts';
import { hours, openFolder, openTestAuthority, refusalOf } from './tools.ts';

const folder = openFolder();
const authority = openTestAuthority();
folder.write('ca.crt', authority.pem);

/** Positive, of at most 20 octets; often with the top bit of its first byte set, or short. */
const serial = fc
  .oneof(
    fc.bigInt(1n, 2n ** 159n - 1n),
    fc.bigInt(1n, 70_000n),
    fc.bigInt(0n, 2n ** 127n - 1n).map((low) => 2n ** 127n + low),
  )
  .map((value) => value.toString(16));

const second = (from: number, to: number) =>
  fc.integer({ min: from, max: to }).map((seconds) => new Date(seconds * 1000));

describe('serials', () => {
  /** A number as somebody might write it. */
  const spelling = fc
    .tuple(serial, fc.nat(8), fc.boolean(), fc.boolean(), fc.infiniteStream(fc.boolean()))
    .map(([hex, zeros, pairs, colons, upper]) => {
      const padded = '0'.repeat(zeros) + hex;
      const even =
        pairs || colons ? padded.padStart(padded.length + (padded.length % 2), '0') : padded;
      const split = colons ? even.replaceAll(/..(?=.)/g, '$&:') : even;
      const cased = [...split].map((character) => {
        const { value } = upper.next();
        return value ? character.toUpperCase() : character;
      });
      return { hex, text: cased.join('') };
    });

  it('have one spelling, whichever way they are written', () => {
    fc.assert(
      fc.property(spelling, ({ hex, text }) => {
        expect(canonicalSerial(text)).toBe(hex);
      }),
      { numRuns: 1000 },
    );
  });

  it('are refused or canonical, whatever the text', () => {
    const digits = fc.string({
      unit: fc.constantFrom(...'0123456789abcdefABCDEF:: -xg\n'),
      maxLength: 50,
    });
    fc.assert(
      fc.property(fc.oneof(digits, fc.string()), (text) => {
        const refusal = refusalOf(() => canonicalSerial(text));
        if (refusal !== 'accepted') {
          expect(refusal).toMatch(/^INPUT_INVALID: /);
          return;
        }
        const found = canonicalSerial(text);
        expect(found).toMatch(/^(0|[1-9a-f][0-9a-f]*)$/);
        expect(canonicalSerial(found)).toBe(found);
        expect(BigInt(`0x${found}`)).toBe(BigInt(`0x${text.replaceAll(':', '')}`));
      }),
      { numRuns: 1000 },
    );
  });
});

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const printable = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 1 })
  .filter((character) => !UNPRINTABLE.test(character));
const text = fc.string({ unit: printable, minLength: 1, maxLength: 64 });
const subject: fc.Arbitrary<Subject> = fc.record(
  { commonName: text, organizationalUnit: text, organization: text },
  { requiredKeys: ['commonName'] },
);

describe('names', () => {
  const roundTrip = (name: Subject): Subject =>
    decodeName(readWhole(writeDer(encodeName(name)), TAG.sequence, 'name'));

  it('of 1 to 64 printable characters survive, all others are refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (commonName) => {
        const { length } = [...commonName];
        const isGood = length >= 1 && length <= 64 && !UNPRINTABLE.test(commonName);
        if (isGood) expect(roundTrip({ commonName })).toEqual({ commonName });
        else expect(refusalOf(() => encodeName({ commonName }))).toMatch(/^INPUT_INVALID: /);
      }),
      { numRuns: 500 },
    );
  });

  it('with one control or invisible character anywhere are refused', () => {
    const bad = fc.oneof(
      fc.integer({ min: 0, max: 0x1f }),
      fc.integer({ min: 0x7f, max: 0x9f }),
      fc.integer({ min: 0xd800, max: 0xdfff }),
      fc.constantFrom(
        0xad,
        0x061c,
        0x200b,
        0x200f,
        0x2028,
        0x2029,
        0x202e,
        0x2066,
        0xfeff,
        0xe0001,
      ),
    );
    const short = fc.string({ unit: printable, maxLength: 30 });
    fc.assert(
      fc.property(short, bad, short, (before, code, after) => {
        const commonName = before + String.fromCodePoint(code) + after;
        expect(refusalOf(() => encodeName({ commonName }))).toMatch(/^INPUT_INVALID: .*control/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('certificates', () => {
  const request = fc.record({
    subject,
    serial,
    notBefore: second(946_684_800, Math.floor(hours(-1).getTime() / 1000)),
    notAfter: second(Math.floor(hours(1).getTime() / 1000), 253_402_300_799),
    revoked: fc.boolean(),
  });
  /** Lines `name=value` that openssl prints. */
  const show = (file: string): Record<string, string> => {
    const what = ['-serial', '-startdate', '-enddate', '-dateopt', 'iso_8601'];
    const lines = folder
      .run('openssl', 'x509', '-in', file, '-noout', ...what)
      .trim()
      .split('\n');
    return Object.fromEntries(lines.map((line) => line.split('=')));
  };
  /** Attributes a line, nothing escaped: no name holds a line break. */
  const showSubject = (file: string): Subject => {
    const form = ['-nameopt', 'sep_multiline,utf8,lname'];
    const lines = folder.run('openssl', 'x509', '-in', file, '-noout', '-subject', ...form);
    const pairs = [...lines.matchAll(/^ {4}(\w+)=([^\n]*)$/gm)];
    const name = (word = ''): string => word.replace('Name', '').replace('common', 'commonName');
    return Object.fromEntries(pairs.map(([, word, value]) => [name(word), value])) as never;
  };
  const iso = (time: Date): string => `${time.toISOString().slice(0, 19).replace('T', ' ')}Z`;

  it('count with openssl and certtool, say the same, and are revoked by the list', async () => {
    const publicKey = createPublicKey(generatePrivateKey());
    const some = fc.uniqueArray(request, {
      selector: (one) => one.serial,
      minLength: 3,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(some, async (wanted) => {
        const revoked = wanted.filter((one) => one.revoked);
        const entries = revoked.map((one) => ({ serial: one.serial, revokedAt: hours(-1) }));
        const life = { thisUpdate: hours(-1), nextUpdate: hours(1) };
        folder.write('c.crl', await issueCrl(authority.signer, { number: 1, ...life, entries }));
        for (const [at, one] of wanted.entries()) {
          const file = `${at}.crt`;
          const profile = { kind: 'client', uri: `urn:aptkeep:host:web${at}` } as const;
          const pem = await issueCertificate(authority.signer, { ...one, publicKey, profile });
          folder.write(file, pem);
          const facts = readCertificate(pem);
          expect(facts).toMatchObject({
            ...{ subject: one.subject, serial: one.serial },
            ...{ notBefore: one.notBefore, notAfter: one.notAfter },
          });
          const shown = show(file);
          expect(canonicalSerial(shown.serial ?? '')).toBe(one.serial);
          expect([shown.notBefore, shown.notAfter]).toEqual([
            iso(one.notBefore),
            iso(one.notAfter),
          ]);
          expect(showSubject(file)).toEqual(one.subject);
        }
        const files = wanted.map((_, at) => `${at}.crt`);
        const check = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.crt'];
        folder.run('openssl', ...check, ...files);
        const listed = folder.ask('openssl', ...check, '-crl_check', '-CRLfile', 'c.crl', ...files);
        const good = wanted.flatMap((one, at) => (one.revoked ? [] : [`${at}.crt: OK`]));
        expect(listed.output.match(/^\d+\.crt: OK$/gm) ?? []).toEqual(good);
        expect(listed.output.match(/certificate revoked/g) ?? []).toHaveLength(revoked.length);
        for (const [at, one] of wanted.entries()) {
          const loaded = ['--load-ca-certificate', 'ca.crt', '--load-crl', 'c.crl'];
          const words = ['--verify', ...loaded, '--verify-profile', 'low', '--infile', `${at}.crt`];
          const { status, output } = folder.ask('certtool', ...words);
          expect(output).toContain(one.revoked ? 'revoked' : 'Verified.');
          expect(status === 0).toBe(!one.revoked);
        }
      }),
      { numRuns: 5 },
    );
  });
});

describe('revocation lists', () => {
  const NAMES: Partial<Record<string, RevocationReason>> = {
    'Key Compromise': 'keyCompromise',
    'CA Compromise': 'cACompromise',
    'Affiliation Changed': 'affiliationChanged',
    Superseded: 'superseded',
    'Cessation Of Operation': 'cessationOfOperation',
    'Privilege Withdrawn': 'privilegeWithdrawn',
    'AA Compromise': 'aACompromise',
  };
  const entry: fc.Arbitrary<RevokedEntry> = fc.record(
    {
      serial,
      revokedAt: second(-631_152_000, 253_402_300_799),
      reason: fc.constantFrom(...REVOCATION_REASONS.filter((reason) => reason !== 'unspecified')),
    },
    { requiredKeys: ['serial', 'revokedAt'] },
  );

  /** The entries as openssl prints them. */
  function readText(printed: string): RevokedEntry[] {
    const form =
      /Serial Number: (\S+)\n +Revocation Date: (.*)\n(?: +CRL entry extensions:\n.*Reason Code: \n +(.*)\n)?/g;
    return [...printed.matchAll(form)].map(([, hex = '', date = '', words]) => {
      const found = { serial: canonicalSerial(hex), revokedAt: new Date(date) };
      const reason = NAMES[words ?? ''];
      return reason === undefined ? found : { ...found, reason };
    });
  }

  it.each([0, 1, 40, 400, 4000])(
    'of %d entries at most are what openssl and certtool find',
    async (maxLength) => {
      const entries = fc.uniqueArray(entry, {
        ...{ selector: (one: RevokedEntry) => one.serial, maxLength },
        ...{ minLength: Math.floor(maxLength / 2), size: 'max' as const },
      });
      const since = fc.integer({ min: 1, max: 10_000 });
      await fc.assert(
        fc.asyncProperty(entries, fc.maxSafeNat(), since, since, async (some, number, from, to) => {
          const life = { thisUpdate: hours(-from), nextUpdate: hours(to) };
          const wanted = { number, ...life, entries: some };
          folder.write('l.crl', await issueCrl(authority.signer, wanted));
          const read = readCrl(folder.read('l.crl'), authority.facts);
          const serials = new Set(some.map((one) => one.serial));
          expect(read).toEqual({ ...wanted, serials, namesKey: true });
          const files = ['-in', 'l.crl', '-CAfile', 'ca.crt'];
          const printed = folder.ask('openssl', 'crl', ...files, '-noout', '-verify', '-text');
          expect(printed.output).toContain('verify OK');
          expect(readText(printed.output)).toEqual(some);
          const loaded = ['--load-ca-certificate', 'ca.crt', '--infile', 'l.crl'];
          expect(folder.run('certtool', '--verify-crl', ...loaded)).toContain('Verified.');
        }),
        { numRuns: maxLength > 1000 ? 2 : 6 },
      );
    },
  );
});
