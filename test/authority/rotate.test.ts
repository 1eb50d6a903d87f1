/**
 * Rotation of the client CA and the server CA over real sockets: in the overlap both count, after
 * its end only the new one. openssl and certtool judge what each of them issued.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { speak, stallAnswer } from '../attack/speak.ts';
import { createScratch, succeed, waitFor } from '../e2e/command.ts';
import { getRequest, lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { curl } from '../e2e/site.ts';
import { verifyData } from '../e2e/verified.ts';
import { buildDeb } from '../http/packages.ts';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { readSerials } from './kept.ts';

const RELEASE = '/dists/stable/InRelease';
const scratch = createScratch('rotate');

/** Splits a PEM text into its blocks. */
const readBlocks = (pem: string): string[] =>
  pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];

/** `openssl verify` and certtool of one certificate, one authority and its list. */
async function verifyBy(authority: string, crl: string, certificate: string): Promise<void> {
  const folder = await mkdtemp(join(scratch, 'verify-'));
  const [ca, list, leaf] = ['ca.pem', 'crl.pem', 'leaf.pem'].map((name) => join(folder, name));
  await writeFile(String(ca), authority);
  await writeFile(String(list), crl);
  await writeFile(String(leaf), certificate);
  const strict = ['-x509_strict', '-crl_check', '-purpose', 'sslclient'];
  await succeed('openssl', [
    ...['verify', ...strict, '-CAfile', String(ca), '-CRLfile', String(list), String(leaf)],
  ]);
  await succeed('certtool', [
    '--verify-crl',
    '--load-ca-certificate',
    String(ca),
    '--infile',
    String(list),
  ]);
}

describe('the client CA', () => {
  const data = join(scratch, 'client');
  let site: Site;
  let before: IssuedClient;
  let after: IssuedClient;
  let revoked: IssuedClient;

  beforeAll(async () => {
    site = await startSite(data);
    before = await site.issue('web', 'host');
    revoked = await site.issue('gone', 'host');
  });
  afterAll(() => site.daemon.stop());

  it('gets a successor that issues at once; what was issued before is let in as before', async () => {
    const old = await readFile(join(data, 'certs/client-ca.crt'), 'utf8');
    const open = await openConnection({ port: site.port, client: before, ca: site.ca });
    open.send(getRequest(RELEASE));
    await waitFor('200', () => (open.received().includes('200 OK') ? true : undefined));
    const made = await site.perform('authority.rotate', { authority: 'client' });
    expect(made.followers).toEqual(['gone', 'web']);
    open.send(lastRequest(RELEASE));
    expect(readStatusLines(await open.ended())).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK']);
    after = await site.issue('web', 'host');
    for (const client of [before, after]) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const { received } = await speak(site, client, lastRequest(RELEASE), { version });
        expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
      }
    }
    const now = await readFile(join(data, 'certs/client-ca.crt'), 'utf8');
    const [newCrl = '', oldCrl = ''] = readBlocks((await ask(site, after, '/crl.pem')).text);
    await verifyBy(now, newCrl, await readFile(after.certificate, 'utf8'));
    await verifyBy(old, oldCrl, await readFile(before.certificate, 'utf8'));
    const subject = await succeed(
      'openssl',
      ['x509', '-noout', '-subject', '-nameopt', 'RFC2253'],
      { input: now },
    );
    expect(subject).toContain('CN=aptkeep client CA 2,O=aptkeep');
  });

  it('is not rotated twice at once', async () => {
    await expect(site.perform('authority.rotate', { authority: 'client' })).rejects.toMatchObject({
      code: 'ROTATION_STATE',
    });
  });

  it('revokes under both', async () => {
    await site.perform('certificate.revoke', { certificate: 'gone' });
    const late = await site.issue('late', 'host');
    await site.perform('certificate.revoke', { certificate: late.serial });
    for (const client of [revoked, late]) {
      expect((await ask(site, client, RELEASE)).reason).toBe('Certificate revoked');
    }
    const [newCrl = '', oldCrl = ''] = readBlocks((await ask(site, after, '/crl.pem')).text);
    const serials = async (pem: string): Promise<string[]> =>
      readSerials(await succeed('openssl', ['crl', '-noout', '-text'], { input: pem }));
    expect(await serials(oldCrl)).toContain(revoked.serial);
    expect(await serials(oldCrl)).not.toContain(late.serial);
    expect(await serials(newCrl)).toContain(late.serial);
  });

  it('goes on after a restart in the middle', async () => {
    await site.daemon.stop();
    site = await startSite(data);
    for (const client of [before, after]) {
      expect((await ask(site, client, RELEASE)).status).toBe(200);
    }
  });

  it('is not taken from under who still depends on it, unless that is meant', async () => {
    const left = await site.issue('follower', 'observer');
    expect((await site.perform('authority.list', {})).authorities[0]?.followers).toEqual([]);
    expect((await ask(site, left, RELEASE)).status).toBe(200);
  });

  it('ends: the old one is refused on open connections and at the handshake, and in the catalog', async () => {
    const uploader = await site.issue('build', 'uploader');
    const large = buildDeb('large', { payload: randomBytes(16 * 1024 * 1024) });
    const added = JSON.parse((await put(site, uploader, large)).text) as { filename: string };
    const open = await openConnection({ port: site.port, client: before, ca: site.ca });
    await stallAnswer(open, getRequest(`/${added.filename}`));
    await verifyData(data);
    const ended = await site.perform('authority.finish', { authority: 'client' });
    expect(ended.other).toBeNull();
    open.socket.resume();
    expect((await open.ended()).length).toBeLessThan(large.length);
    const { received } = await speak(site, before, lastRequest(RELEASE));
    expect(received).toBe('');
    expect((await ask(site, after, RELEASE)).status).toBe(200);
    expect(readBlocks((await ask(site, after, '/crl.pem')).text)).toHaveLength(1);
    const shown = await site.perform('certificate.show', { certificate: before.serial });
    expect(shown.certificates[0]).toMatchObject({ status: 'revoked', reason: 'superseded' });
    await expect(site.perform('authority.finish', { authority: 'client' })).rejects.toMatchObject({
      code: 'ROTATION_STATE',
    });
  });

  it('names who would be locked out, and ends all the same when forced', async () => {
    await site.perform('authority.rotate', { authority: 'client' });
    const refusal = site.perform('authority.finish', { authority: 'client' });
    await expect(refusal).rejects.toMatchObject({ code: 'ROTATION_FOLLOWERS' });
    await expect(refusal).rejects.toThrow(/build, follower, web/);
    expect((await ask(site, after, RELEASE)).status).toBe(200);
    await verifyData(data);
    await site.perform('authority.finish', { authority: 'client', force: true });
    expect((await speak(site, after, lastRequest(RELEASE))).received).toBe('');
    const newest = await site.issue('web', 'host');
    expect((await ask(site, newest, RELEASE)).status).toBe(200);
  });
});

describe('a rotation of the client CA that was killed', () => {
  it.each([
    ['before it was decided', '.replacement.new', 'aptkeep client CA 1', 0],
    ['when it was decided', '.replacement', 'aptkeep client CA 2', 1],
  ])('%s: begun or not, nothing in between', async (name, folder, current, others) => {
    // What a kill leaves is made from a rotation that ran to its end: its files, put aside again.
    const [here, there] = [join(scratch, `kill${folder}`), join(scratch, `made${folder}`)];
    const site = await startSite(here);
    const client = await site.issue(name.replaceAll(' ', '-'), 'host');
    await site.daemon.stop();
    await succeed('cp', ['-a', here, there]);
    const donor = await startSite(there);
    await donor.perform('authority.rotate', { authority: 'client' });
    await donor.daemon.stop();
    const files = ['', '.previous'].flatMap((infix) => [
      `client-ca${infix}.key`,
      `client-ca${infix}.crt`,
    ]);
    await mkdir(join(here, 'certs', folder), { mode: 0o700 });
    for (const file of files) {
      const target = join(here, 'certs', folder, file);
      await succeed('cp', ['-p', join(there, 'certs', file), target]);
    }
    const again = await startSite(here);
    const [shown] = (await again.perform('authority.list', {})).authorities;
    expect([shown?.current.name, shown?.other === null ? 0 : 1]).toEqual([current, others]);
    expect((await ask(again, client, RELEASE)).status).toBe(200);
    await again.daemon.stop();
  });
});

describe('the server CA', () => {
  const data = join(scratch, 'server');
  let site: Site;
  let client: IssuedClient;
  const fetchWith = async (ca: string): Promise<number> =>
    (await curl({ ...client, ca }, `${site.url}${RELEASE}`)).status;

  beforeAll(async () => {
    site = await startSite(data);
    client = await site.issue('web', 'host');
  });
  afterAll(() => site.daemon.stop());

  it('is announced first: hosts that know the old one or both reach the server', async () => {
    const old = join(scratch, 'old-ca.crt');
    await writeFile(old, await readFile(site.ca));
    const made = await site.perform('authority.rotate', { authority: 'server' });
    expect(made.followers).toEqual(['web']);
    const both = join(scratch, 'both-ca.crt');
    await writeFile(both, (await ask(site, client, '/ca.crt')).text);
    expect(readBlocks(await readFile(both, 'utf8'))).toHaveLength(2);
    expect(await Promise.all([old, both].map(fetchWith))).toEqual([200, 200]);
    await site.daemon.stop();
    site = await startSite(data);
    expect(await Promise.all([old, both].map(fetchWith))).toEqual([200, 200]);
    await expect(site.perform('authority.finish', { authority: 'server' })).rejects.toMatchObject({
      code: 'ROTATION_FOLLOWERS',
    });
    await verifyData(data);
    await site.perform('authority.finish', { authority: 'server', force: true });
    expect(await Promise.all([old, both, site.ca].map(fetchWith))).toEqual([0, 200, 200]);
    expect(readBlocks((await ask(site, client, '/ca.crt')).text)).toHaveLength(1);
  });

  it('never takes the names of the other CA, and its certificate verifies', async () => {
    const [ca, leaf] = [site.ca, join(data, 'certs/server.crt')];
    await succeed('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      ca,
      leaf,
    ]);
    const subject = await succeed('openssl', ['x509', '-noout', '-subject', '-in', ca]);
    expect(subject).toContain('server CA 2');
  });
});
