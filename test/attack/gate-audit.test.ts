/**
 * What the gate refuses is in the audit log, whoever it was and whatever they claimed to be; and
 * being refused, however often, neither fills the log nor breaks its chain.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutputOf } from '../../src/operations/table.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import type { Client } from '../e2e/site.ts';
import { ask, createClock, type IssuedClient, type Site, startSite } from '../http/start.ts';
import { CLIENT, forge, forgeAuthority, forgeSelfSigned, record } from './forge.ts';
import { speak } from './speak.ts';

type Entry = OutputOf<'audit.list'>['entries'][number];

const RELEASE = '/dists/stable/InRelease';
const DAY_MS = 86_400_000;
const scratch = createScratch('gate-audit');
const data = join(scratch, 'data');
const clock = createClock();
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(data, { clock, settings: { 'crl.refresh': '3650d' } });
  host = await site.issue('web', 'host');
});

afterAll(() => site.daemon.stop());

const readAll = async (from = site): Promise<Entry[]> =>
  (await from.perform('audit.list', { after: 0, limit: 100_000 })).entries;

/** What the gate adds to the log on account of `work`; it comes a moment after the refusal. */
async function watch(work: () => Promise<unknown>, from = site): Promise<Entry> {
  const before = (await readAll(from)).length;
  await work();
  return waitFor('an entry of the gate', async () =>
    (await readAll(from))
      .slice(before)
      // What was counted of an earlier minute may come now as well.
      .find(({ operation, detail }) => operation.startsWith('gate.') && !/^and \d/.test(detail)),
  );
}

/** Ends the windows of all that was refused before, so that the next refusal is a first one. */
const nextMinute = (): void => clock.advance(61_000);

const fingerprintOf = async (client: Client): Promise<string> =>
  new X509Certificate(await readFile(client.certificate)).fingerprint256
    .replaceAll(':', '')
    .toLowerCase();

describe('a stranger', () => {
  it('without a certificate is written down with the address', async () => {
    nextMinute();
    const entry = await watch(() => speak(site, undefined, lastRequest(RELEASE)));
    expect(entry).toMatchObject({
      ...{ actor: 'unknown', role: 'unknown', serial: null, address: '127.0.0.1', subject: '' },
      ...{ operation: 'gate.handshake', outcome: 'refused CERTIFICATE_MISSING' },
      detail: 'no certificate',
    });
  });

  it('of another CA is written down with what is claimed, and as no more than that', async () => {
    const issuer = await forgeAuthority(site);
    const client = await forge(site, { issuer, serial: host.serial });
    nextMinute();
    const entry = await watch(() => speak(site, client, lastRequest(RELEASE)));
    expect(entry).toMatchObject({
      ...{ actor: 'unknown', role: 'unknown', serial: null },
      outcome: 'refused CERTIFICATE_FOREIGN',
      subject: `claims to be "OU=host, CN=web", SHA-256 ${await fingerprintOf(client)}`,
    });
    expect(entry.detail).not.toBe('');
  });

  it.each([
    ['control characters', '/CN=web\u0001\u001b[2J\u009b', 'forged'],
    ['lines of its own', '/CN=web\nX', 'forged'],
    ['marks that turn the line around', '/CN=a\u202eb', 'forged'],
    ['more than anybody needs', `/CN=${'x'.repeat(60)}${'/OU=y'.repeat(300)}`, 'forged'],
  ])('whose name holds %s leaves printable and bounded text', async (_name, subject) => {
    const client = await forgeSelfSigned(site, subject, CLIENT);
    nextMinute();
    const entry = await watch(() => speak(site, client, lastRequest(RELEASE)));
    const text = JSON.stringify(entry);
    expect(text).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]|\\u00|\\n/u);
    expect(text.length).toBeLessThan(1500);
    expect(entry.subject).toContain(await fingerprintOf(client));
  });

  it('that never finished a handshake is no refusal of the gate', async () => {
    const before = (await readAll()).length;
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x02\x01\x00', '']) {
      const socket = connectTcp(site.port, '127.0.0.1', () => socket.end(bytes, 'latin1'));
      await new Promise((resolve) => socket.on('error', resolve).once('close', resolve).resume());
    }
    nextMinute();
    await watch(() => speak(site, undefined, lastRequest(RELEASE)));
    const gained = (await readAll()).slice(before).map(({ outcome }) => outcome);
    expect(gained).toEqual(['refused CERTIFICATE_MISSING']);
  });
});

describe('a certificate of ours', () => {
  const refused: [string, string, () => Promise<Client>, Partial<Entry>][] = [
    [
      'that was revoked',
      'CERTIFICATE_REVOKED',
      async () => {
        const client = await site.issue('gone', 'uploader');
        await site.perform('certificate.revoke', { certificate: client.serial });
        return client;
      },
      { actor: 'gone', role: 'uploader' },
    ],
    [
      'that expired, though it is recorded',
      'CERTIFICATE_EXPIRED',
      async () => {
        const client = { ...(await forge(site, { from: -9, to: -1 })), name: 'late' };
        await record(site, client, 'observer');
        return client;
      },
      { actor: 'late', role: 'observer' },
    ],
    [
      'that is not yet valid',
      'CERTIFICATE_NOT_YET_VALID',
      () => forge(site, { from: 1, to: 9 }),
      { actor: 'web', role: 'unknown' },
    ],
    [
      'that nobody recorded',
      'CERTIFICATE_NOT_RECORDED',
      () => forge(site, { subject: '/OU=admin/CN=root' }),
      { actor: 'root', role: 'unknown' },
    ],
    [
      'with the serial of another one',
      'CERTIFICATE_NOT_RECORDED',
      () => forge(site, { subject: '/OU=admin/CN=root', serial: host.serial }),
      { actor: 'root', role: 'unknown' },
    ],
  ];
  it.each(refused)('%s is written down as %s', async (_name, code, make, who) => {
    const client = await make();
    const { serialNumber } = new X509Certificate(await readFile(client.certificate));
    nextMinute();
    const entry = await watch(() => speak(site, client, lastRequest(`${RELEASE}?x=secret`)));
    expect(entry).toMatchObject({
      ...who,
      ...{ serial: serialNumber.toLowerCase().replace(/^0+(?=.)/, ''), address: '127.0.0.1' },
      ...{ operation: 'gate.request', outcome: `refused ${code}`, subject: RELEASE },
    });
    expect(entry.detail).toContain(`serial ${entry.serial}`);
  });

  it('on an open connection is written down too', async () => {
    const client = await site.issue('mid-way', 'host');
    const { port, ca } = site;
    const connection = await openConnection({ port, ca, client });
    nextMinute();
    await site.perform('crl.refresh', {});
    clock.advance(2 * DAY_MS);
    const entry = await watch(async () => {
      connection.send(lastRequest(RELEASE));
      expect(readStatusLines(await connection.ended())).toEqual([
        'HTTP/1.1 503 Revocation list out of date',
      ]);
    });
    expect(entry).toMatchObject({
      ...{ actor: 'mid-way', role: 'host', serial: client.serial },
      outcome: 'refused CRL_STALE',
    });
    await site.perform('crl.refresh', {});
  });

  it('that is let in leaves nothing of the gate', async () => {
    const before = (await readAll()).length;
    expect((await ask(site, host, RELEASE)).status).toBe(200);
    nextMinute();
    await watch(() => speak(site, undefined, lastRequest(RELEASE)));
    expect((await readAll()).slice(before).map(({ actor }) => actor)).toEqual(['unknown']);
  });
});

describe('with tls.strictHandshake', () => {
  it('who is hung up on in silence is written down with the reason', async () => {
    const strictClock = createClock();
    const strict = await startSite(join(scratch, 'strict'), {
      clock: strictClock,
      settings: { 'tls.strictHandshake': 'true', 'crl.refresh': '3650d' },
    });
    try {
      const [gone, web] = [await strict.issue('gone', 'host'), await strict.issue('web', 'host')];
      await strict.perform('certificate.revoke', { certificate: 'gone' });
      const hang = (client: Client) =>
        watch(() => speak(strict, client, lastRequest(RELEASE)), strict);
      expect(await hang(gone)).toMatchObject({
        ...{ operation: 'gate.handshake', actor: 'gone', role: 'host', serial: gone.serial },
        ...{ outcome: 'refused CERTIFICATE_REVOKED', subject: '' },
      });
      strictClock.advance(2 * DAY_MS);
      expect(await hang(web)).toMatchObject({
        ...{ operation: 'gate.handshake', actor: 'web', outcome: 'refused CRL_STALE' },
      });
    } finally {
      await strict.daemon.stop();
    }
  });
});

describe('a flood', () => {
  /** `count` handshakes, fifty at a time; resolves when the server has closed each. */
  async function flood(count: number, client?: Client): Promise<void> {
    const identity = client && {
      cert: await readFile(client.certificate),
      key: await readFile(client.key),
    };
    const ca = await readFile(site.ca);
    let left = count;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const options = { host: '127.0.0.1', servername: 'localhost', port: site.port, ca };
        const socket = connectTls({ ...options, ...identity });
        socket.on('error', () => undefined); // it is refused
        if (client) socket.write(lastRequest(RELEASE));
        await new Promise((resolve) => socket.once('close', resolve).resume());
      }
    };
    await Promise.all(Array.from({ length: 50 }, lane));
  }

  it('of 2,000 refused handshakes and requests makes few rows, and others are served', async () => {
    const gone = await site.issue('flooding', 'host');
    await site.perform('certificate.revoke', { certificate: gone.serial });
    nextMinute();
    // What is left of the tests before is written first.
    await watch(() => speak(site, undefined, lastRequest(RELEASE)));
    nextMinute();
    const before = (await readAll()).length;
    const { refusals } = site.parts.activity;
    const flooding = Promise.all([flood(1200), flood(800, gone)]);
    for (let count = 0; count < 20; count += 1) {
      expect((await ask(site, host, RELEASE)).status).toBe(200);
    }
    await flooding;
    expect(site.parts.activity.refusals - refusals).toBe(2000);
    nextMinute();
    await watch(() => speak(site, undefined, lastRequest(RELEASE)));
    const rows = await waitFor('all of them to be counted', async () => {
      const gained = (await readAll()).slice(before);
      const counts = gained.map(({ detail }) => Number(/^and (\d+) more/.exec(detail)?.[1] ?? 1));
      return counts.reduce((sum, one) => sum + one, 0) >= 2000 ? gained : undefined;
    });
    // A first one and a count of each kind, once more for every minute that the flood took.
    expect(rows.length).toBeLessThan(30);
    expect((await site.perform('audit.verify', {})).valid).toBe(true);
  }, 180_000);
});

describe('the end', () => {
  it('writes what was counted, leaves a whole chain, and nothing secret in it', async () => {
    const other = await startSite(join(scratch, 'other'));
    const key = await readFile(join(other.data, 'certs/client-ca.key'), 'utf8');
    const secret = key.split('\n')[1] ?? '';
    const asked = other.perform('certificate.issue', { name: 'x', role: 'host', csr: key });
    await expect(asked).rejects.toMatchObject({ code: 'CSR_MALFORMED' });
    await expect(other.perform('suite.publish', { suite: 'nowhere' })).rejects.toThrow();
    for (let count = 0; count < 5; count += 1) {
      await speak(other, undefined, lastRequest(RELEASE));
    }
    await other.daemon.stop();
    const again = await startSite(other.data);
    const entries = await readAll(again);
    expect(entries.map(({ operation }) => operation)).toEqual([
      ...['certificate.issue', 'suite.publish', 'gate.handshake', 'gate.handshake'],
    ]);
    expect(entries.at(-1)?.detail).toMatch(/^and 4 more /);
    expect(secret.length).toBeGreaterThan(40);
    expect(JSON.stringify(entries)).not.toContain(secret);
    expect(JSON.stringify(entries)).not.toContain('PRIVATE KEY');
    expect((await again.perform('audit.verify', {})).valid).toBe(true);
    await again.daemon.stop();
  });
});
