/** Who is let in and still may not: what a certificate or a request says of itself counts nothing. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { buildDeb } from '../http/packages.ts';
import { ask, type IssuedClient, put, readCode, type Site, startSite } from '../http/start.ts';
import { CLIENT, forge, record } from './forge.ts';

const data = join(createScratch('authorisation'), 'data');
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
  await site.issue('other', 'host');
});

afterAll(() => site.daemon.stop());

describe('the role is the catalog’s', () => {
  it.each([
    ['CN=admin', '/OU=host/CN=admin', []],
    ['OU=admin', '/OU=admin/CN=web', []],
    ['two OUs', '/OU=host/OU=admin/CN=web', []],
    ['the URN of an admin', '/OU=host/CN=web', ['subjectAltName=URI:urn:aptkeep:admin:root']],
  ])('and not what the certificate claims: %s', async (_name, subject, more) => {
    const forged = await forge(site, { subject, extensions: [...CLIENT, ...more] });
    const client = { ...forged, name: 'claiming' };
    await record(site, client, 'host');
    expect((await ask(site, client, '/dists/stable/InRelease')).status).toBe(200);
    expect(readCode(await ask(site, client, '/v1/certificates'))).toBe('ROLE_FORBIDDEN');
    expect(readCode(await put(site, client, buildDeb('claimed')))).toBe('ROLE_FORBIDDEN');
  });

  it('for a host named admin too', async () => {
    const client = await site.issue('admin', 'host');
    expect(readCode(await ask(site, client, '/v1/certificates'))).toBe('ROLE_FORBIDDEN');
  });
});

describe('a host', () => {
  it.each([
    '/v1/hosts',
    '/v1/hosts/other',
    '/v1/hosts/other/apt',
    '/v1/hosts/web/apt',
    '/v1/certificates/other',
    '/v1/audit',
    '/v1/packages',
  ])('does not read %s', async (path) => {
    expect(readCode(await ask(site, host, path))).toBe('ROLE_FORBIDDEN');
  });

  it('makes no certificate for itself', async () => {
    const body = JSON.stringify({ name: 'web', role: 'admin', csr: 'x' });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await ask(site, host, '/v1/certificates', { method: 'POST', body, headers });
    expect(readCode(answer)).toBe('ROLE_FORBIDDEN');
  });

  it.each([
    ['X-HTTP-Method-Override', 'POST'],
    ['X-Original-URL', '/dists/stable/InRelease'],
    ['X-Rewrite-URL', '/dists/stable/InRelease'],
    ['X-Client-Cert', 'OU=admin'],
    ['X-SSL-Client-Verify', 'SUCCESS'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['Cookie', 'role=admin'],
  ])('gains nothing by %s', async (name, value) => {
    const answer = await ask(site, host, '/v1/certificates', { headers: { [name]: value } });
    expect(answer.status).toBe(403);
  });
});

describe('the private socket', () => {
  it('is its owner’s alone', async () => {
    const socket = join(data, 'aptkeep.sock');
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    const flags = ['-sS', '--unix-socket', socket, 'http://localhost/v1/status'];
    expect(JSON.parse(await succeed('curl', ['-q', ...flags]))).toMatchObject({ door: 'open' });
  });

  it('is nobody else’s', async () => {
    // Permission is the kernel's to refuse; root is asked for another user's eyes.
    const asOther = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
    const flags = [
      '-qsS',
      '--unix-socket',
      join(data, 'aptkeep.sock'),
      'http://localhost/v1/status',
    ];
    const [command = 'curl', ...rest] = [...asOther, 'curl', ...flags];
    const outcome = await run(command, rest);
    expect(outcome.stdout === '' ? 'refused' : 'let in').toBe(
      asOther.length ? 'refused' : 'let in',
    );
  });
});
