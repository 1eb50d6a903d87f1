/** Rules for the bearers of foreign certificates, on certificates that openssl made. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRecognise } from '../../src/authority/recognise.ts';
import { parseRoleRules } from '../../src/authority/role-rules.ts';
import { readCertificate } from '../../src/pki/certificate.ts';
import { createScratch } from '../e2e/command.ts';
import { refusalOf } from '../pki/tools.ts';
import { createRoot, type ForeignAuthority } from './foreign-pki.ts';

const scratch = createScratch('rules');
let authority: ForeignAuthority;
beforeAll(async () => {
  authority = await createRoot(join(scratch, 'ca'), 'Lund Root');
});

/** `role name`, with the suites of an uploader; undefined for nobody. */
async function recognise(rules: string, subject: string, names?: string, serial?: string) {
  const given = { subject, ...(names && { names }), ...(serial && { serial }) };
  const { certificate } = await authority.issue(given);
  const facts = readCertificate(await readFile(certificate));
  const identity = createRecognise(parseRoleRules(rules))(facts);
  if (!identity) return undefined;
  expect(identity.serial).toBe(facts.serial);
  const { role, name, suites } = identity;
  return `${role} ${name}${suites ? ` ${suites.join('+')}` : ''}`;
}

describe('a rule gives', () => {
  it.each<[string, string, string, string | undefined, string]>([
    [
      'a role by organisation, unit and name',
      'host: O=Lund University, OU=web, CN=*.lu.se',
      '/O=Lund University/OU=web/CN=w1.lu.se',
      undefined,
      'host w1.lu.se',
    ],
    [
      'a role by the name alone',
      'admin: CN=alice',
      '/C=SE/O=Any/CN=alice',
      undefined,
      'admin alice',
    ],
    [
      'the name of the subject where none is asked for',
      'host: O=Lund',
      '/O=Lund/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'some suites to an uploader',
      'uploader(stable, testing): CN=jenkins',
      '/CN=jenkins',
      undefined,
      'uploader jenkins stable+testing',
    ],
    [
      'every suite to an uploader',
      'uploader: CN=jenkins',
      '/CN=jenkins',
      undefined,
      'uploader jenkins',
    ],
    [
      'the DNS name, in lower case',
      'host: DNS=*.lu.se, name=DNS',
      '/CN=Nobody reads this',
      'DNS:W1.LU.se',
      'host w1.lu.se',
    ],
    [
      'the one DNS name that fits',
      'host: DNS=*.lu.se, name=DNS',
      '/CN=x',
      'DNS:w1.example,DNS:w1.lu.se',
      'host w1.lu.se',
    ],
    [
      'what * stands for in a URI',
      'host: URI=spiffe://lu.se/host/*, name=URI',
      '/CN=x',
      'URI:spiffe://lu.se/host/w1',
      'host w1',
    ],
    [
      'what * stands for in an address',
      'admin: EMAIL=*@lu.se, name=EMAIL',
      '/CN=Alice A',
      'email:alice@lu.se',
      'admin alice',
    ],
    [
      'a name of its own',
      'observer: EMAIL=b.b@lu.se, name=bob',
      '/CN=Bob B',
      'email:b.b@lu.se',
      'observer bob',
    ],
    [
      'a role by IP address',
      'host: IP=2001:db8::1',
      '/CN=w6',
      'IP:2001:0db8:0:0:0:0:0:1',
      'host w6',
    ],
    ['a role by its issuer', 'host: ISSUER=Lund Root, CN=*', '/CN=w1', undefined, 'host w1'],
    [
      'a role by the name of a domain',
      'host: DC=se, DC=lu, CN=*',
      '/DC=se/DC=lu/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'both of two units that it names',
      'host: OU=a, OU=b, CN=*',
      '/OU=a/OU=b/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'commas and quotes to those who quote',
      String.raw`host: O="Lund, \"LU\"", CN=*`,
      '/O=Lund, "LU"/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'letters of every alphabet',
      'host: O=Högskolan, CN=*',
      '/O=Högskolan/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'the user id as the name',
      'uploader: O=Lund, name=UID',
      '/O=Lund/UID=ci/CN=A B',
      undefined,
      'uploader ci',
    ],
    ['what the first that fits gives', 'admin: CN=w1\nhost: CN=*', '/CN=w1', undefined, 'admin w1'],
    [
      'what the second gives where the first does not fit',
      'admin: CN=a | host: CN=*',
      '/CN=w1',
      undefined,
      'host w1',
    ],
    [
      'a role to a key word in lower case',
      'host: cn=*, o=Lund',
      '/O=Lund/CN=w1',
      undefined,
      'host w1',
    ],
  ])('%s', async (_name, rules, subject, names, expected) => {
    expect(await recognise(rules, subject, names)).toBe(expected);
  });

  it('a role by serial number, as openssl prints it', async () => {
    const rule = 'admin: SERIAL=00:F1:A2, CN=*';
    expect(await recognise(rule, '/CN=a', undefined, '00f1a2')).toBe('admin a');
    expect(await recognise(rule, '/CN=a', undefined, '00f1a3')).toBeUndefined();
  });

  it('a role by fingerprint, as openssl prints it', async () => {
    const { certificate } = await authority.issue({ subject: '/CN=pinned' });
    const facts = readCertificate(await readFile(certificate));
    const colons = (facts.fingerprint.toUpperCase().match(/../g) ?? []).join(':');
    const rules = parseRoleRules(`admin: FINGERPRINT=${colons}`);
    expect(createRecognise(rules)(facts)?.role).toBe('admin');
    const other = await authority.issue({ subject: '/CN=pinned' });
    expect(
      createRecognise(rules)(readCertificate(await readFile(other.certificate))),
    ).toBeUndefined();
  });

  it('plain data, from which another process builds the same', async () => {
    const rules = parseRoleRules('uploader(stable): DNS=*.lu.se, name=DNS\nadmin: CN=a, name=root');
    const { certificate } = await authority.issue({ subject: '/CN=x', names: 'DNS:w1.lu.se' });
    const facts = readCertificate(await readFile(certificate));
    const copied = JSON.parse(JSON.stringify(rules));
    expect(copied).toEqual(rules);
    expect(createRecognise(copied)(facts)).toEqual(createRecognise(rules)(facts));
  });
});

describe('nobody is', () => {
  it.each<[string, string, string, string?]>([
    ['whom no rule fits', 'host: CN=*.lu.se', '/CN=w1.example'],
    ['a name with a dot more than there are stars', 'host: CN=*.lu.se', '/CN=a.b.lu.se'],
    ['a name with nothing for the star', 'host: CN=*.lu.se', '/CN=.lu.se'],
    ['a name that goes on', 'host: CN=*.lu.se', '/CN=w1.lu.se.evil.example'],
    ['a name whose dot is another character', 'host: CN=*.lu.se', '/CN=w1.luxse'],
    ['a name with a star', 'host: CN=*.lu.se', '/CN=*.lu.se'],
    ['a name in another case', 'host: CN=*.lu.se', '/CN=w1.LU.se'],
    ['a name with a blank', 'host: O=Lund', '/O=Lund/CN=w 1'],
    ['a name with a comma', 'host: O=Lund', '/O=Lund/CN=w1,OU=admin'],
    ['a name with a slash', 'host: O=Lund', '/O=Lund/CN=..\\/..\\/etc'],
    ['a name of dots', 'host: O=Lund', '/O=Lund/CN=..'],
    ['a name of other letters', 'host: O=Lund', '/O=Lund/CN=wеb1'],
    [
      'a name of 65 characters, by its DNS name',
      'host: DNS=*.lu.se, name=DNS',
      '/CN=x',
      `DNS:${'a'.repeat(60)}.lu.se`,
    ],
    ['a subject without a name', 'host: O=Lund', '/O=Lund'],
    ['a subject with two names', 'host: O=Lund', '/O=Lund/CN=a/CN=b'],
    ['a subject with two names, one of which fits', 'host: CN=a', '/CN=a/CN=b'],
    ['one unit more', 'host: OU=web, CN=*', '/OU=web/OU=x/CN=a'],
    ['one unit more in the same place', 'host: OU=web, CN=*', '/OU=web+OU=x/CN=a'],
    ['two units in another order', 'host: OU=a, OU=b, CN=*', '/OU=b/OU=a/CN=w1'],
    ['one of two units', 'host: OU=a, OU=b, CN=*', '/OU=a/CN=w1'],
    [
      'two DNS names that both could be the name',
      'host: DNS=*.lu.se, name=DNS',
      '/CN=x',
      'DNS:a.lu.se,DNS:b.lu.se',
    ],
    ['a DNS name in the subject', 'host: DNS=*.lu.se, name=DNS', '/CN=w1.lu.se'],
    ['a wildcard for a DNS name', 'host: DNS=*.lu.se, name=DNS', '/CN=x', 'DNS:*.lu.se'],
    [
      'an address whose local part is another',
      'admin: EMAIL=alice@lu.se',
      '/CN=a',
      'email:Alice@lu.se',
    ],
    ['an address in the subject', 'admin: EMAIL=alice@lu.se', '/emailAddress=alice@lu.se/CN=a'],
    [
      'a URI below',
      'host: URI=spiffe://lu.se/host/*, name=URI',
      '/CN=x',
      'URI:spiffe://lu.se/host/a/b',
    ],
    ['who was issued by another than is asked for', 'host: ISSUER=Lund Root 2, CN=*', '/CN=w1'],
    [
      'who fits a rule whose name is none, though the next would fit',
      'host: O=Lund\nhost: O=Lund, name=x',
      '/O=Lund/CN=a b',
    ],
  ])('%s', async (_name, rules, subject, names) => {
    expect(await recognise(rules, subject, names)).toBeUndefined();
  });
});

describe('a rule is refused', () => {
  it.each([
    ['CN=*', 'a role, a colon and conditions are expected'],
    ['hots: CN=*', 'hots is no role; allowed are host, uploader, observer, admin'],
    ['enrolment: CN=*', 'enrolment is no role'],
    ['host:', 'is not written KEY=VALUE'],
    ['host: *', 'is not written KEY=VALUE'],
    ['host: name=web', 'it has no condition; it would fit everybody'],
    ['host: CN=', 'CN= has no value'],
    ['host: CN=""', 'CN= has no value'],
    ['host: CN=*, ', 'is not written KEY=VALUE'],
    ['host: XX=1', 'XX is unknown; known are CN,'],
    ['host: CN=**', 'more * than can be told apart'],
    ['host: CN=*a*b*c*', 'more * than can be told apart'],
    ['host: IP=192.0.2.*', 'IP takes no *'],
    ['host: SERIAL=*', 'SERIAL takes no *'],
    ['host: SERIAL=xyz', 'is not a serial number'],
    ['host: FINGERPRINT=ab', 'FINGERPRINT is SHA-256'],
    ['host(stable): CN=*', 'only an uploader is limited to suites, not a host'],
    ['uploader(): CN=*', '"" is no name of a suite'],
    ['uploader(../x): CN=*', '"../x" is no name of a suite'],
    ['host: CN=a, name=b, name=c', 'name= occurs twice'],
    ['host: CN=a, name=a b', 'letters, digits, dots, hyphens'],
    ['host: CN=a, name=DNS', 'name=DNS needs one condition DNS='],
    ['host: DNS=a, DNS=b, name=DNS', 'name=DNS needs one condition DNS='],
    ['host: EMAIL=a@b, name=EMAIL', 'EMAIL= needs exactly one *'],
    ['host: CN=a, name=SERIAL', 'name=SERIAL is no source of names'],
    ['host: CN=a\u0000', 'CN= has a control or invisible character'],
    ['host: CN=a\u200bb', 'CN= has a control or invisible character'],
    ['host: CN="a', 'a quotation mark has no other end'],
    ['host: CN=a"b"', 'is not written KEY=VALUE'],
  ])('%s', (rule, why) => {
    expect(refusalOf(() => parseRoleRules(rule))).toContain('CONFIG_INVALID: clientCa.roles: ');
    expect(refusalOf(() => parseRoleRules(rule))).toContain(why);
  });

  it('with its place and its text', () => {
    expect(refusalOf(() => parseRoleRules('host: CN=a\n\nroot: CN=b'))).toBe(
      'CONFIG_INVALID: clientCa.roles: rule 2, "root: CN=b": root is no role; allowed are host, uploader, observer, admin',
    );
  });
});
