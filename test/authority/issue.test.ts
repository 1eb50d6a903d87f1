/**
 * What is issued: the profile and nothing of the request but its key. openssl makes the requests
 * and reads the certificates. RFC 5280 section 4.2, RFC 2986.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueClientCertificate } from '../../src/authority/issue.ts';
import { type IssuableRole, ROLES } from '../../src/authority/profiles.ts';
import { createScratch, succeed } from '../e2e/command.ts';
import {
  initialise,
  issue,
  type KeptAuthority,
  openKept,
  requestKey,
  verifyClient,
  verifyCrl,
} from './kept.ts';

const DAY_MS = 86_400_000;

const scratch = createScratch('issue');
const data = join(scratch, 'data');
let kept: KeptAuthority;

beforeAll(async () => {
  await initialise(data);
  kept = await openKept(data);
  await verifyCrl(data);
});

afterAll(() => kept.close());

/** openssl's text of a certificate. */
const readText = (pem: string): Promise<string> =>
  succeed('openssl', ['x509', '-noout', '-text', '-nameopt', 'RFC2253'], { input: pem });

/** A request made by openssl for a new key of that kind. */
async function requestWith(kind: string[], ...flags: string[]): Promise<string> {
  const key = join(scratch, 'request.key');
  await succeed('openssl', ['genpkey', ...kind, '-out', key]);
  return succeed('openssl', ['req', '-new', '-key', key, '-subj', '/CN=x', ...flags]);
}

const P256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];

describe('the profile', () => {
  const days: Record<IssuableRole, number> = { host: 90, uploader: 30, observer: 90, admin: 90 };

  it.each(ROLES)('of a %s', async (role) => {
    const before = Date.now();
    const { pem, serial } = await issue(kept, `a-${role}`, role);
    expect(await verifyClient(data, pem)).toMatch(/: OK\n$/);
    const text = await readText(pem);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:FALSE\n/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/X509v3 Extended Key Usage: \s+TLS Web Client Authentication\n/);
    expect(text).toMatch(new RegExp(`Alternative Name: \\s+URI:urn:aptkeep:${role}:a-${role}\\n`));
    expect(text).toMatch(/Subject Key Identifier/);
    expect(text).toMatch(/Authority Key Identifier/);
    expect(text).not.toMatch(/DNS:|IP Address:|email:/);
    expect(text.match(/X509v3 [A-Z][^:]*:/g)).toHaveLength(6);
    const subject = /Subject: (.*)\n/.exec(text)?.[1]?.split(',').sort();
    expect(subject).toEqual([`CN=a-${role}`, `OU=${role}`]);
    const certificate = new X509Certificate(pem);
    expect(certificate.serialNumber.toLowerCase().replace(/^0+/, '')).toBe(serial);
    expect(serial.length).toBeGreaterThan(24);
    const [from, to] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    expect(Math.abs(from - (before - 600_000))).toBeLessThan(5000);
    expect(Math.abs(to - (before + days[role] * DAY_MS))).toBeLessThan(5000);
  });

  it('is no server, whatever openssl is asked', async () => {
    const { pem } = await issue(kept, 'no-server');
    await expect(verifyClient(data, pem, '-purpose', 'sslserver')).rejects.toThrow(/purpose/);
  });

  it('takes nothing of a request that asks for more', async () => {
    const csr = await requestWith(
      P256,
      ...['-subj', '/O=Evil/OU=admin/CN=root'],
      ...['-addext', 'basicConstraints=critical,CA:TRUE'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...['-addext', 'extendedKeyUsage=serverAuth,clientAuth'],
      ...['-addext', 'subjectAltName=DNS:repo.example.org,URI:urn:aptkeep:admin:root'],
    );
    const { pem, name, role } = await issue(kept, 'modest', 'host', csr);
    expect([name, role]).toEqual(['modest', 'host']);
    expect(await verifyClient(data, pem)).toMatch(/: OK\n$/);
    const text = await readText(pem);
    expect(text).toMatch(/CA:FALSE/);
    expect(text).not.toMatch(/CA:TRUE|Certificate Sign|DNS:|Server Authentication|admin|root|Evil/);
  });
});

describe('keys', () => {
  it.each([
    ['P-256', P256],
    ['P-384', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['Ed25519', ['-algorithm', 'ED25519']],
    ['RSA 2048', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']],
  ])('%s is certified', async (kind, flags) => {
    const { pem } = await issue(kept, 'a-key', 'host', await requestWith(flags));
    expect([kind, await verifyClient(data, pem)]).toEqual([kind, expect.stringMatching(/: OK\n$/)]);
  });

  it.each([
    ['RSA 1024', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']],
    ['P-192', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime192v1']],
    ['secp256k1', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
    ['Ed448', ['-algorithm', 'ED448']],
  ])('%s is refused', async (_kind, flags) => {
    const csr = await requestWith(flags);
    await expect(issue(kept, 'a-key', 'host', csr)).rejects.toMatchObject({
      code: expect.stringMatching(/^(KEY_UNACCEPTABLE|CSR_MALFORMED)$/),
    });
  });
});

describe('requests', () => {
  const damage = (csr: string, offset: number): string => {
    const der = Buffer.from(csr.replace(/-----.*-----|\s/g, ''), 'base64');
    der[der.length + offset] = (der.at(offset) ?? 0) ^ 0x01;
    return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
  };

  it.each([
    ['its signature changed', (csr: string) => damage(csr, -3)],
    ['its key changed', (csr: string) => damage(csr, -120)],
    ['cut short', (csr: string) => csr.slice(0, 200)],
    ['empty', () => ''],
    ['a certificate', () => kept.authority.trust.authorities[0]?.pem ?? ''],
    ['text', () => 'please'],
  ])('%s: refused', async (_name, change) => {
    await expect(issue(kept, 'tampered', 'host', change(requestKey()))).rejects.toMatchObject({
      code: expect.stringMatching(/^(CSR_MALFORMED|KEY_UNACCEPTABLE)$/),
    });
    await expect(
      kept.authority.catalog.all('SELECT serial FROM certificate WHERE name = $1', 'tampered'),
    ).resolves.toEqual([]);
  });

  it.each([
    ['empty', ''],
    ['a path', '../admin'],
    ['two lines', 'web\nadmin'],
    ['a DN', 'web,OU=admin'],
    ['a slash', 'web/OU=admin'],
    ['a NUL', 'web\0'],
    ['a space', 'web 1'],
    ['a hyphen first', '-web'],
    ['a dot first', '.web'],
    ['65 letters', 'a'.repeat(65)],
    ['letters that look alike', 'wеb'],
  ])('a name that is none: %s', async (_name, name) => {
    await expect(issue(kept, name)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it.each([0, -1, 1.5, 826, Number.NaN, Number.POSITIVE_INFINITY])('%d days', async (days) => {
    const request = { name: 'long', role: 'host' as const, csr: requestKey(), issuedBy: 'test' };
    await expect(
      issueClientCertificate(kept.authority, { ...request, days }),
    ).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('a name keeps its role', async () => {
    await issue(kept, 'settled', 'host');
    await expect(issue(kept, 'settled', 'admin')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await issue(kept, 'settled', 'host');
  });
});

describe('the record', () => {
  it('stands in the catalog and in memory as the certificate has it', async () => {
    const row = await issue(kept, 'recorded');
    const stored = await kept.authority.catalog.get<{ pem: string; fingerprint: string }>(
      'SELECT * FROM certificate WHERE serial = $1',
      row.serial,
    );
    const printed = await succeed('openssl', ['x509', '-noout', '-fingerprint', '-sha256'], {
      input: stored?.pem ?? '',
    });
    expect(printed.trim().split('=')[1]?.replaceAll(':', '').toLowerCase()).toBe(row.fingerprint);
    expect(stored?.fingerprint).toBe(row.fingerprint);
    expect(kept.authority.trust.find(row.serial)).toMatchObject({ name: 'recorded', role: 'host' });
  });

  it('survives a start', async () => {
    const row = await issue(kept, 'kept-over');
    await kept.close();
    kept = await openKept(data);
    expect(kept.authority.trust.find(row.serial)).toMatchObject({ name: 'kept-over' });
    expect(await readFile(join(data, 'certs/crl.pem'), 'utf8')).toBe(kept.authority.trust.crl?.pem);
  });
});
