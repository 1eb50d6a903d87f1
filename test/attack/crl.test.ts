/** The revocation list as the door's hinge: stale, from the future, huge. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueNextCrl } from '../../src/authority/crl.ts';
import { readSerials, verifySignature } from '../authority/kept.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb } from '../http/packages.ts';
import { ask, createClock, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { revokeMany } from './forge.ts';
import { speak, stallAnswer } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const REFUSAL = 'HTTP/1.1 503 Revocation list out of date';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** No timer comes in between. */
const settings = { 'crl.refresh': '3650d' };

const scratch = createScratch('list');

describe('a day without the timer', () => {
  const clock = createClock();
  let site: Site;
  let admin: IssuedClient;

  beforeAll(async () => {
    site = await startSite(join(scratch, 'day'), { clock, settings });
    admin = await site.issue('the-admin', 'admin');
  });

  afterAll(() => site.daemon.stop());

  it('shuts the door to new and to open connections, under both versions, on every path', async () => {
    const open = await openConnection({ port: site.port, client: admin, ca: site.ca });
    open.send(getRequest(RELEASE));
    await waitFor('200', () => (open.received().includes('200 OK') ? true : undefined));
    clock.advance(DAY_MS + MINUTE_MS);
    open.send(getRequest(RELEASE));
    expect(readStatusLines(await open.ended())).toEqual(['HTTP/1.1 200 OK', REFUSAL]);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const path of [RELEASE, '/pool/x/y', '/v1/status', '/crl.pem', '/', '/nothing']) {
        const { received } = await speak(site, admin, lastRequest(path), { version });
        expect(readStatusLines(received)).toEqual([REFUSAL]);
      }
    }
  });

  it('does not open for an admin who asks over the network', async () => {
    const answer = await ask(site, admin, '/v1/crl/refresh', { method: 'POST' });
    expect(answer.status).toBe(503);
    expect(site.parts.authority.trust.isFresh(clock.now())).toBe(false);
  });

  it('opens by one local command, without a restart, for connections that stayed too', async () => {
    const open = await openConnection({ port: site.port, client: admin, ca: site.ca });
    await site.perform('crl.refresh', {});
    open.send(lastRequest(RELEASE));
    expect(readStatusLines(await open.ended())).toEqual(['HTTP/1.1 200 OK']);
    expect((await ask(site, admin, RELEASE)).status).toBe(200);
  });

  it('is a day: one minute before its end it holds', async () => {
    clock.advance(DAY_MS - MINUTE_MS);
    expect((await ask(site, admin, RELEASE)).status).toBe(200);
    clock.advance(2 * MINUTE_MS);
    expect((await ask(site, admin, RELEASE)).status).toBe(503);
    await site.perform('crl.refresh', {});
  });

  it('shuts as well where the clock went back past the list, and opens when it is right again', async () => {
    clock.advance(-4 * MINUTE_MS);
    expect((await ask(site, admin, RELEASE)).status).toBe(200);
    clock.advance(-6 * MINUTE_MS);
    expect((await ask(site, admin, RELEASE)).status).toBe(503);
    clock.advance(10 * MINUTE_MS);
    expect((await ask(site, admin, RELEASE)).status).toBe(200);
  });

  it('tells who is expired by then, on the connection that was open before', async () => {
    const open = await openConnection({ port: site.port, client: admin, ca: site.ca });
    clock.advance(91 * DAY_MS);
    await site.perform('crl.refresh', {});
    open.send(getRequest(RELEASE));
    expect(readStatusLines(await open.ended())).toEqual(['HTTP/1.1 403 Certificate expired']);
  });
});

describe('a list that runs out in the middle', () => {
  it('cuts the download and the upload that are under way, and lets nothing of them stay', async () => {
    // In real time: the timers and OpenSSL's own clock are meant as well.
    const data = join(scratch, 'middle');
    const first = await startSite(data, { settings });
    const uploader = await first.issue('build', 'uploader');
    const large = buildDeb('large', { payload: randomBytes(16 * 1024 * 1024) });
    const added = await put(first, uploader, large);
    expect(added.status).toBe(201);
    await first.daemon.stop();
    const site = await startSite(data, { settings: { ...settings, 'crl.lifetime': '3s' } });
    const options = { port: site.port, client: uploader, ca: site.ca };
    const [down, up] = [await openConnection(options), await openConnection(options)];
    await stallAnswer(down, getRequest(`/${JSON.parse(added.text).filename}`));
    up.send(
      'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n!<arch>\n',
    );
    const staging = join(data, 'pool/.staging');
    await waitFor('bytes in staging', async () =>
      (await listFiles(staging)).length > 0 ? true : undefined,
    );
    expect(site.parts.authority.trust.isFresh(Date.now())).toBe(true);
    await waitFor('the end of the list', () =>
      site.parts.authority.trust.isFresh(Date.now()) ? undefined : true,
    );
    down.socket.resume();
    const received = await down.ended();
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
    expect(received.length).toBeLessThan(large.length);
    expect(await up.ended()).toBe('');
    await waitFor('nothing in staging', async () =>
      (await listFiles(staging)).length === 0 ? true : undefined,
    );
    // A whole handshake with OpenSSL's list out of date ends in words, not in silence.
    const { received: refused } = await speak(site, uploader, lastRequest(RELEASE));
    expect(readStatusLines(refused)).toEqual([REFUSAL]);
    await site.perform('crl.refresh', {});
    expect((await ask(site, uploader, RELEASE)).status).toBe(200);
    await site.daemon.stop();
  });
});

describe('a list of a hundred thousand', () => {
  it('is issued, verified by openssl, and in force at once', async () => {
    const data = join(scratch, 'huge');
    const site = await startSite(data);
    const [host, gone] = [await site.issue('web', 'host'), await site.issue('gone', 'host')];
    await revokeMany(site, 100_000);
    await site.perform('certificate.revoke', { certificate: 'gone' });
    const { trust } = site.parts.authority;
    expect(trust.crl?.serials.size).toBe(100_001);
    const refused = await speak(site, gone, lastRequest(RELEASE));
    expect(readStatusLines(refused.received)).toEqual(['HTTP/1.1 403 Certificate revoked']);
    const answer = await ask(site, host, '/crl.pem');
    expect(answer.text).toBe(trust.crl?.pem);
    expect(new Set(readSerials(await verifySignature(data))).size).toBe(100_001);
    await issueNextCrl(site.parts.authority);
    expect((await ask(site, host, RELEASE)).status).toBe(200);
    await site.daemon.stop();
  });
});
