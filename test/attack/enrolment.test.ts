/**
 * Enrolment and renewal by those who should not: however an enrolment certificate is used there is
 * one certificate, or none, and what is issued is the profile and nothing of the request.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyClient } from '../authority/kept.ts';
import { killAfterLines } from '../children.ts';
import { createScratch, succeed, waitFor } from '../e2e/command.ts';
import { getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { enrol, type KitClient, keepClient, makeKit } from '../http/kits.ts';
import {
  ask,
  createClock,
  createKeyAndRequest,
  readCode,
  type Site,
  startSite,
} from '../http/start.ts';
import { P256 } from './forge.ts';
import { speak } from './speak.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const scratch = createScratch('enrolment');
const data = join(scratch, 'data');
const clock = createClock();
let site: Site;
/** Another one, whose clock is set: GnuTLS verifies by the real one. */
let aged: Site;

beforeAll(async () => {
  site = await startSite(data);
  aged = await startSite(join(scratch, 'aged'), { clock });
});
afterAll(() => Promise.all([site.daemon.stop(), aged.daemon.stop()]));

/** The certificates of role host that a name has. */
async function countHosts(name: string, where = site): Promise<number> {
  const { certificates } = await where.perform('certificate.list', {});
  return certificates.filter((one) => one.name === name && one.role === 'host').length;
}

const readPem = (text: string): string => (JSON.parse(text) as { pem: string }).pem;

/** As openssl and GnuTLS verify what was issued, the revocation list included. */
async function verify(pem: string): Promise<void> {
  expect(await verifyClient(data, pem)).toMatch(/: OK\n$/);
  const file = join(scratch, 'verified.pem');
  await writeFile(file, pem);
  const ca = join(data, 'certs/client-ca.crt');
  const verdict = await succeed('certtool', [
    ...['--verify', '--load-ca-certificate', ca, '--infile', file],
  ]);
  expect(verdict).toContain('Chain verification output: Verified.');
}

/** A request made by openssl for a new key. */
async function requestWith(...flags: string[]): Promise<string> {
  const key = join(scratch, 'request.key');
  await succeed('openssl', ['genpkey', ...P256, '-out', key]);
  return succeed('openssl', ['req', '-new', '-key', key, ...flags]);
}

describe('an enrolment certificate', () => {
  it('gives one certificate of its host, which opens the repository', async () => {
    const kit = await makeKit(site, 'web');
    const { key, csr } = createKeyAndRequest();
    const answer = await enrol(site, kit, csr);
    expect(answer.status).toBe(201);
    const pem = readPem(answer.text);
    await verify(pem);
    const host = await keepClient(site, 'web', pem, key);
    expect((await ask(site, host, '/dists/stable/InRelease')).status).toBe(200);
  });

  it('is told that it is revoked when it comes again, and openssl says so too', async () => {
    const kit = await makeKit(site, 'twice');
    expect((await enrol(site, kit)).status).toBe(201);
    const again = await enrol(site, kit);
    expect([again.status, readCode(again)]).toEqual([403, 'CERTIFICATE_REVOKED']);
    expect(await countHosts('twice')).toBe(1);
    const pem = await readFile(kit.certificate, 'utf8');
    await expect(verifyClient(data, pem)).rejects.toThrow(/certificate revoked/);
  });

  it('used by twenty at once gives one certificate, and nineteen refusals', async () => {
    const kit = await makeKit(site, 'crowd');
    const answers = await Promise.all(Array.from({ length: 20 }, () => enrol(site, kit)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([
      201,
      ...Array.from({ length: 19 }, () => 403),
    ]);
    expect(await countHosts('crowd')).toBe(1);
    for (const { status, text } of answers) if (status === 201) await verify(readPem(text));
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'pipelined ten times on one connection of %s gives one certificate',
    async (version) => {
      const name = `pipe-${version.slice(-1)}`;
      const kit = await makeKit(site, name);
      const requests = Array.from({ length: 10 }, (_, index) => {
        const body = JSON.stringify({ csr: createKeyAndRequest().csr });
        const end = index === 9 ? 'Connection: close\r\n' : '';
        return `POST /v1/enrolment HTTP/1.1\r\nHost: localhost\r\n${end}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      });
      const { received } = await speak(site, kit, requests.join(''), { version });
      expect(received.match(/HTTP\/1\.1 201 /g)).toHaveLength(1);
      expect(await countHosts(name)).toBe(1);
    },
  );

  it('after its hour gives none', async () => {
    const kit = await makeKit(aged, 'late');
    clock.advance(HOUR_MS + 1000);
    const answer = await enrol(aged, kit);
    expect([answer.status, readCode(answer)]).toEqual([403, 'CERTIFICATE_EXPIRED']);
    expect(await countHosts('late', aged)).toBe(0);
  });

  it('of an earlier kit, or of a revoked one, gives none', async () => {
    const first = await makeKit(site, 'anew');
    const second = await makeKit(site, 'anew', true);
    expect(readCode(await enrol(site, first))).toBe('CERTIFICATE_REVOKED');
    await site.perform('certificate.revoke', { certificate: second.serial });
    expect(readCode(await enrol(site, second))).toBe('CERTIFICATE_REVOKED');
    expect(await countHosts('anew')).toBe(0);
  });

  it.each([
    ['another name', ['-subj', '/OU=host/CN=victim']],
    ['another role', ['-subj', '/OU=admin/CN=own-name']],
    ['CA:TRUE', ['-subj', '/CN=x', '-addext', 'basicConstraints=critical,CA:TRUE']],
    ['a DNS name', ['-subj', '/CN=x', '-addext', 'subjectAltName=DNS:localhost']],
    ['an admin’s URN', ['-subj', '/CN=x', '-addext', 'subjectAltName=URI:urn:aptkeep:admin:x']],
    ['server authentication', ['-subj', '/CN=x', '-addext', 'extendedKeyUsage=serverAuth']],
  ])('with a request for %s gives its own host’s and nothing of that', async (_what, flags) => {
    const name = `own-${createHash('sha256').update(flags.join()).digest('hex').slice(0, 8)}`;
    await site.issue('victim', 'host');
    const kit = await makeKit(site, name);
    const pem = readPem((await enrol(site, kit, await requestWith(...flags))).text);
    await verify(pem);
    const text = await succeed('openssl', ['x509', '-noout', '-text', '-nameopt', 'RFC2253'], {
      input: pem,
    });
    expect(text).toMatch(new RegExp(`Subject: (CN=${name},OU=host|OU=host,CN=${name})\\n`));
    expect(text).toContain(`URI:urn:aptkeep:host:${name}\n`);
    expect(text).not.toMatch(/CA:TRUE|DNS:|victim|admin|Server Authentication/);
  });

  it.each([
    ['tampered', (csr: string) => csr.replace(/[a-z]/, (one) => one.toUpperCase())],
    ['cut short', (csr: string) => csr.slice(0, 120)],
    ['empty', () => ''],
    ['text', () => 'please'],
  ])('is not used up by a request that is %s', async (what, change) => {
    const kit = await makeKit(site, `careful-${what.replace(' ', '-')}`);
    const answer = await enrol(site, kit, change(createKeyAndRequest().csr));
    expect(answer.status).toBe(400);
    expect(['CSR_MALFORMED', 'KEY_UNACCEPTABLE']).toContain(readCode(answer));
    expect(await countHosts(kit.name)).toBe(0);
    expect((await enrol(site, kit)).status).toBe(201);
  });

  it('is not used up by a key that is too weak', async () => {
    const kit = await makeKit(site, 'weak');
    const key = join(scratch, 'weak.key');
    const kind = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'];
    await succeed('openssl', ['genpkey', ...kind, '-out', key]);
    const csr = await succeed('openssl', ['req', '-new', '-key', key, '-subj', '/CN=x']);
    expect(readCode(await enrol(site, kit, csr))).toBe('KEY_UNACCEPTABLE');
    expect((await enrol(site, kit)).status).toBe(201);
  });
});

describe('an enrolment certificate reaches nothing else', () => {
  let kit: KitClient;
  beforeAll(async () => {
    kit = await makeKit(site, 'curious');
  });

  it.each([
    ...[
      '/dists/stable/InRelease',
      '/dists/',
      '/pool/main/a/aptkeep/x.deb',
      '//dists/stable/Release',
    ],
    ...['/archive-keyring.gpg', '/archive-keyring.asc', '/ca.crt', '/crl.pem', '/'],
    ...[
      '/healthz',
      '/readyz',
      '/metrics',
      '/v1/openapi.json',
      '/v1/self',
      '/v1/status',
      '/v1/hosts',
    ],
    ...['/v1/enrolment/', '/v1/enrolment?x', '/v1/enrolment/../self', '/V1/enrolment', '/nothing'],
    'https://localhost/dists/stable/InRelease',
  ])('not %s', async (path) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask(site, kit, path, { method });
      expect([method, answer.status]).toEqual([method, 403]);
      if (method !== 'HEAD') expect(readCode(answer)).toBe('ROLE_FORBIDDEN');
    }
  });

  it('not by another method on its own path', async () => {
    const answer = await ask(site, kit, '/v1/enrolment');
    expect([answer.status, readCode(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED']);
  });

  it('not by renewing itself', async () => {
    const answer = await enrol(site, kit, undefined, '/v1/renewal');
    expect([answer.status, readCode(answer)]).toEqual([403, 'ROLE_FORBIDDEN']);
    expect(await countHosts('curious')).toBe(0);
  });
});

describe('a host', () => {
  it('enrols nobody', async () => {
    const host = await site.issue('settled', 'host');
    expect(readCode(await enrol(site, host))).toBe('ROLE_FORBIDDEN');
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'that is revoked renews nothing, %s',
    async (version) => {
      const name = `gone-${version.slice(-1)}`;
      const host = await site.issue(name, 'host');
      await site.perform('certificate.revoke', { certificate: host.serial });
      const body = JSON.stringify({ csr: createKeyAndRequest().csr });
      const bytes = `POST /v1/renewal HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      expect((await speak(site, host, bytes, { version })).received).toMatch(/^HTTP\/1\.1 403 /);
      expect(await countHosts(name)).toBe(1);
    },
  );

  it('that is expired renews nothing, on the connection that was open before either', async () => {
    // Its server's certificate is then one of a later day too.
    const later = createClock();
    const old = await startSite(join(scratch, 'old'), { clock: later });
    const host = await old.issue('outdated', 'host');
    const body = JSON.stringify({ csr: createKeyAndRequest().csr });
    const bytes = `POST /v1/renewal HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const open = await openConnection({ port: old.port, client: host, ca: old.ca });
    open.send(getRequest('/v1/self'));
    await waitFor('an answer', () => (open.received().includes('outdated') ? true : undefined));
    later.advance(91 * DAY_MS);
    await old.perform('crl.refresh', {});
    open.send(bytes);
    const expired = 'HTTP/1.1 403 Certificate expired';
    expect(readStatusLines(await open.ended())).toEqual(['HTTP/1.1 200 OK', expired]);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { received } = await speak(old, host, bytes, { version });
      expect(readStatusLines(received)).toEqual([expired]);
    }
    expect(await countHosts('outdated', old)).toBe(1);
    await old.daemon.stop();
  });

  it('renews for itself, whatever the request says', async () => {
    const host = await site.issue('modest', 'host');
    const csr = await requestWith('-subj', '/OU=admin/CN=root');
    const answer = await enrol(site, host, csr, '/v1/renewal');
    expect(answer.status).toBe(201);
    await verify(readPem(answer.text));
    expect(JSON.parse(answer.text)).toMatchObject({ name: 'modest', role: 'host' });
  });

  it('is let in with the old certificate for a day, then no more', async () => {
    const host = await aged.issue('changing', 'host');
    const { key, csr } = createKeyAndRequest();
    const pem = readPem((await enrol(aged, host, csr, '/v1/renewal')).text);
    const next = await keepClient(aged, 'changing', pem, key);
    const read = async (client: typeof next): Promise<number> =>
      (await ask(aged, client, '/dists/stable/InRelease')).status;
    expect([await read(host), await read(next)]).toEqual([200, 200]);
    clock.advance(DAY_MS + 1000);
    await aged.perform('crl.refresh', {});
    expect([await read(host), await read(next)]).toEqual([403, 200]);
    await expect(verifyClient(aged.data, await readFile(host.certificate, 'utf8'))).rejects.toThrow(
      /certificate revoked/,
    );
  });
});

describe('kill -9 during enrolment', () => {
  it('reuses no serial, loses no certificate that was answered, and lets no kit be used twice', async () => {
    const other = join(scratch, 'killed');
    const first = await startSite(other);
    await first.daemon.stop();
    const answered: string[] = [];
    const kits: string[] = [];
    for (const lines of [3, 8, 5]) {
      for (const line of await killAfterLines('attack/enrol-for-ever.ts', [other], lines)) {
        const [, kit, host] = /^enrolled ([0-9a-f]+) ([0-9a-f]+)\.$/.exec(line) ?? [];
        if (kit && host) {
          kits.push(kit);
          answered.push(host);
        }
      }
    }
    expect(answered.length).toBeGreaterThan(5);
    expect(new Set(answered).size).toBe(answered.length);
    const reopened = await startSite(other);
    const { certificates } = await reopened.perform('certificate.list', {});
    const bySerial = new Map(certificates.map((one) => [one.serial, one]));
    expect(answered.map((serial) => bySerial.get(serial)?.status)).toEqual(
      answered.map(() => 'valid'),
    );
    expect(kits.map((serial) => bySerial.get(serial)?.status)).toEqual(kits.map(() => 'revoked'));
    // One certificate a kit at most, and none from a kit that may still be used.
    const made = certificates.filter((one) => one.role === 'host').map((one) => one.replaces ?? '');
    expect(new Set(made).size).toBe(made.length);
    expect(made.map((serial) => bySerial.get(serial)?.status)).toEqual(made.map(() => 'revoked'));
    await reopened.daemon.stop();
  });
});
