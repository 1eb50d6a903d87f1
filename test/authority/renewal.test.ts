/** What must not run out and is renewed by the running server: its certificate, the list. */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, succeed, waitFor } from '../e2e/command.ts';
import { ask, createClock, type IssuedClient, type Site, startSite } from '../http/start.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const data = join(createScratch('renewal'), 'data');
const certs = join(data, 'certs');
let site: Site | undefined;

const readFingerprint = async (): Promise<string> =>
  new X509Certificate(await readFile(join(certs, 'server.crt'))).fingerprint256;

/** The fingerprint of the certificate that a new connection is shown; its dates are not judged. */
async function readShown(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.on('error', () => undefined); // no certificate is shown here, so the end is abrupt
  await once(socket, 'secureConnect');
  const shown = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
  socket.destroy();
  return shown;
}

/** Starts with the clock so far ahead. */
async function startAhead(milliseconds: number, ...hostname: string[]): Promise<Site> {
  const clock = createClock();
  clock.advance(milliseconds);
  site = await startSite(data, { clock, settings: { hostname: hostname.join(',') } });
  return site;
}

beforeAll(async () => {
  await (await startAhead(0)).daemon.stop();
});

afterEach(async () => {
  await site?.daemon.stop().catch(() => undefined);
  site = undefined;
});

describe('the certificate of the server', () => {
  it('stays as it is across a start', async () => {
    const before = await readFingerprint();
    const { port } = await startAhead(DAY_MS);
    expect(await readFingerprint()).toBe(before);
    expect(await readShown(port)).toBe(before);
  });

  it('is renewed in service from two thirds of its life, for new connections', async () => {
    const { clock, port } = await startAhead(0);
    const before = await readFingerprint();
    clock.advance(59 * DAY_MS);
    await waitFor('a check', () =>
      site?.parts.authority.trust.isFresh(clock.now()) ? true : undefined,
    );
    expect(await readFingerprint()).toBe(before);
    clock.advance(2 * DAY_MS);
    const shown = await waitFor('another certificate', async () => {
      const fingerprint = await readShown(port);
      return fingerprint === before ? undefined : fingerprint;
    });
    expect(shown).toBe(await readFingerprint());
    expect((await stat(join(certs, 'server.key'))).mode & 0o777).toBe(0o600);
    await succeed('openssl', [
      ...['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'localhost'],
      ...['-attime', String(Math.floor(clock.now() / 1000))],
      ...['-CAfile', join(certs, 'server-ca.crt'), join(certs, 'server.crt')],
    ]);
  });

  it('is made anew with a name that was added, and keeps that name afterwards', async () => {
    const first = await startAhead(62 * DAY_MS, 'mirror.example.org');
    const named = new X509Certificate(await readFile(join(certs, 'server.crt')));
    expect(named.checkHost('mirror.example.org')).toBe('mirror.example.org');
    await first.daemon.stop();
    await startAhead(62 * DAY_MS);
    expect(await readFingerprint()).toBe(named.fingerprint256);
  });

  it.each(['server.key', 'server.crt'] as const)('is made anew where %s is gone', async (file) => {
    const before = await readFingerprint();
    await rm(join(certs, file));
    const { port } = await startAhead(62 * DAY_MS);
    expect(await readFingerprint()).not.toBe(before);
    expect(await readShown(port)).toBe(await readFingerprint());
  });

  it('serves on without the key of its CA, until it ends', async () => {
    const aside = join(data, 'server-ca.key');
    await rename(join(certs, 'server-ca.key'), aside);
    const before = await readFingerprint();
    const { port, daemon } = await startAhead((62 + 89) * DAY_MS);
    expect(await readShown(port)).toBe(before);
    await daemon.stop();
    await expect(startAhead((62 + 91) * DAY_MS)).rejects.toMatchObject({
      code: 'NOT_INITIALISED',
      message: 'certs/server-ca.key is missing',
    });
    await rename(aside, join(certs, 'server-ca.key'));
    await startAhead((62 + 91) * DAY_MS);
    expect(await readFingerprint()).not.toBe(before);
  });
});

describe('the revocation list', () => {
  const other = join(createScratch('renewal-list'), 'data');
  let host: IssuedClient;

  it('is issued at start and every hour, also when nothing changed', async () => {
    site = await startSite(other);
    host = await site.issue('web', 'host');
    const first = site.parts.authority.trust.crl?.number ?? 0;
    await site.daemon.stop();
    site = await startSite(other);
    const { trust } = site.parts.authority;
    expect(trust.crl?.number).toBe(first + 1);
    site.clock.advance(59 * 60_000);
    expect((await ask(site, host, '/crl.pem')).status).toBe(200);
    site.clock.advance(2 * 60_000);
    await waitFor('the next list', () => (trust.crl?.number === first + 2 ? true : undefined));
    expect((await ask(site, host, '/crl.pem')).text).toBe(trust.crl?.pem);
  });

  it('comes back by itself after a day in which no timer ran', async () => {
    site = await startSite(other);
    site.clock.advance(30 * HOUR_MS);
    const { clock } = site;
    const { trust } = site.parts.authority;
    expect(trust.isFresh(clock.now())).toBe(false);
    await waitFor('a fresh list', () => (trust.isFresh(clock.now()) ? true : undefined));
    expect((await ask(site, host, '/dists/stable/InRelease')).status).toBe(200);
  });
});
