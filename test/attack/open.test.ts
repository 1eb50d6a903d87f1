/**
 * Connections that are open when their certificate is revoked, at the worst moments: refused or
 * cut, nothing published, other clients undisturbed.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb, buildForm } from '../http/packages.ts';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { speak, stallAnswer } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const REFUSED = 'HTTP/1.1 403 Certificate revoked';

const data = join(createScratch('open'), 'data');
/** Far more than the buffers between two sockets hold. */
const large = buildDeb('large', { payload: randomBytes(16 * 1024 * 1024) });
let site: Site;
let witness: IssuedClient;
let file = '';

beforeAll(async () => {
  site = await startSite(data);
  witness = await site.issue('witness', 'uploader');
  file = `/${JSON.parse((await put(site, witness, large)).text).filename}`;
});

afterAll(() => site.daemon.stop());

const revoke = (client: IssuedClient) =>
  site.perform('certificate.revoke', { certificate: client.serial });

const open = (client: IssuedClient, maxVersion: (typeof VERSIONS)[number] = 'TLSv1.3') =>
  openConnection({ port: site.port, client, ca: site.ca, maxVersion });

const listPool = async (): Promise<string> => (await listFiles(join(data, 'pool'))).join('\n');
const readPublication = async (): Promise<number> =>
  (await site.perform('suite.show', { suite: 'stable' })).publication;

afterEach(async () => {
  await waitFor('an empty staging folder', async () =>
    (await listFiles(join(data, 'pool/.staging'))).length === 0 ? true : undefined,
  );
});

/** What leaves the path of an ordinary request, whose first 30 bytes say nothing of it yet. */
const TRICKS: [string, string][] = [
  [
    'with Expect',
    'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
  ],
  [
    'with Expect, on the API',
    'POST /v1/renewal HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n',
  ],
  [
    'with Upgrade to a WebSocket',
    `GET ${RELEASE} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
  ],
  [
    'with Upgrade to HTTP/2',
    `GET ${RELEASE} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
  ],
  ['with CONNECT', 'CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n'],
];

describe.each(VERSIONS)('under %s, a revoked host', (version) => {
  it('that had ten requests pipelined gets no further answer; another one gets all of its', async () => {
    const host = await site.issue('pipelining', 'host');
    const [cut, whole] = [await open(host, version), await open(witness, version)];
    const asked = getRequest(file) + getRequest(RELEASE).repeat(9);
    await Promise.all([stallAnswer(cut, asked), stallAnswer(whole, asked)]);
    await revoke(host);
    for (const connection of [cut, whole]) connection.socket.resume();
    const received = await cut.ended();
    expect(received.length).toBeLessThan(large.length);
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
    await waitFor('ten answers', () =>
      whole.received().split('-----END PGP SIGNATURE-----').length === 10 ? true : undefined,
    );
    expect(whole.received().length).toBeGreaterThan(large.length);
    whole.socket.destroy();
  });

  it('in the middle of a request is refused, and its request not answered', async () => {
    const host = await site.issue('halfway', 'host');
    const connection = await open(host, version);
    const request = getRequest(RELEASE);
    connection.send(request.slice(0, 30));
    await ask(site, witness, RELEASE);
    await revoke(host);
    connection.send(request.slice(30));
    expect(readStatusLines(await connection.ended())).toEqual([REFUSED]);
  });

  it.each(TRICKS)('is refused a request halfway here, %s', async (name, bytes) => {
    const client = await site.issue(`tricky-${name.replaceAll(/\W/g, '-')}`, 'uploader');
    const connection = await open(client, version);
    connection.send(getRequest(RELEASE) + bytes.slice(0, 30));
    await waitFor('the answer before it', () =>
      connection.received().endsWith('-----END PGP SIGNATURE-----\n') ? true : undefined,
    );
    await revoke(client);
    connection.send(bytes.slice(30));
    const lines = readStatusLines(await connection.ended());
    expect(lines).toEqual(['HTTP/1.1 200 OK', REFUSED]);
  });

  it.each(TRICKS)('is refused on a new connection, %s', async (name, bytes) => {
    const client = await site.issue(`late-${name.replaceAll(/\W/g, '-')}`, 'uploader');
    await revoke(client);
    const { received } = await speak(site, client, bytes, { version });
    // CONNECT is hung up on, whoever asks.
    expect(readStatusLines(received)).toEqual(name === 'with CONNECT' ? [] : [REFUSED]);
  });

  it('on many idle connections loses them all', async () => {
    const host = await site.issue('many', 'host');
    const connections = [];
    const before = site.parts.activity.connections;
    for (let count = 0; count < 10; count += 1) connections.push(await open(host, version));
    // TLS 1.3: this side is done with the handshake before the server is.
    await waitFor('ten connections', () =>
      site.parts.activity.connections === before + 10 ? true : undefined,
    );
    await revoke(host);
    for (const connection of connections) {
      expect(readStatusLines(await connection.ended())).toEqual([REFUSED]);
    }
  });
});

/** Too large to wait in memory. */
const LARGE = { payload: randomBytes(100_000) };

describe('a revoked uploader publishes nothing', () => {
  /** Sends, revokes when `ready` says so, sends the rest. */
  async function interrupt(
    name: string,
    head: string,
    body: [Uint8Array, Uint8Array],
    ready: (received: string) => boolean | Promise<boolean>,
  ): Promise<string> {
    const before = [await listPool(), await readPublication()];
    const client = await site.issue(name, 'uploader');
    const connection = await open(client);
    connection.send(head);
    connection.socket.write(body[0]);
    await waitFor('the moment', async () =>
      (await ready(connection.received())) ? true : undefined,
    );
    await revoke(client);
    if (connection.socket.writable) connection.socket.write(body[1]);
    const received = await connection.ended();
    await waitFor('an empty staging folder', async () =>
      (await listFiles(join(data, 'pool/.staging'))).length === 0 ? true : undefined,
    );
    expect([await listPool(), await readPublication()]).toEqual(before);
    return received;
  }

  const staged = async (): Promise<boolean> =>
    (await listFiles(join(data, 'pool/.staging'))).length > 0;
  const halve = (bytes: Buffer): [Uint8Array, Uint8Array] => [
    bytes.subarray(0, 500),
    bytes.subarray(500),
  ];

  it('of PUT in mid-body', async () => {
    const deb = buildDeb('cut-put', LARGE);
    const head = `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${deb.length}\r\n\r\n`;
    expect(await interrupt('put', head, halve(deb), staged)).toBe('');
  });

  it('of a small PUT in mid-body, which is nowhere but in memory', async () => {
    const deb = buildDeb('cut-small');
    const head = `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${deb.length}\r\n\r\n`;
    const before = site.parts.activity.requests;
    const isRead = (): boolean => site.parts.activity.requests > before;
    expect(await interrupt('small', head, halve(deb), isRead)).toBe('');
  });

  it('of chunks in mid-body', async () => {
    const deb = buildDeb('cut-chunks');
    const size = deb.length.toString(16);
    const head = `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n`;
    const [first, rest] = halve(deb);
    const end = Buffer.concat([rest, Buffer.from('\r\n0\r\n\r\n')]);
    expect(await interrupt('chunks', head, [first, end], staged)).toBe('');
  });

  it('of a form between two parts', async () => {
    const second = buildDeb('cut-second');
    const { type, body } = buildForm([
      ['package', buildDeb('cut-first')],
      ['package', second],
    ]);
    const end = body.indexOf(second);
    const head = `POST /upload/stable HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const parts: [Uint8Array, Uint8Array] = [body.subarray(0, end), body.subarray(end)];
    expect(await interrupt('form', head, parts, staged)).toBe('');
  });

  it('after 100 Continue', async () => {
    const deb = buildDeb('cut-continue');
    const head = `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${deb.length}\r\n\r\n`;
    const heard = await interrupt('continue', head, [Buffer.alloc(0), deb], (received) =>
      received.includes('100 Continue'),
    );
    expect(readStatusLines(heard)).toEqual(['HTTP/1.1 100 Continue']);
  });

  it('with an upgrade announced', async () => {
    const deb = buildDeb('cut-upgrade', LARGE);
    const head = `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: ${deb.length}\r\n\r\n`;
    expect(await interrupt('upgrade', head, halve(deb), staged)).toBe('');
  });

  it('whose bytes are all here, in the moment before they are placed', async () => {
    const { catalog } = site.parts.repository;
    const deb = buildDeb('last-moment');
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const before = [await listPool(), await readPublication()];
    const holding = catalog.lock('package:last-moment_1.0_all', () => held);
    const client = await site.issue('last-moment', 'uploader');
    const uploads = site.parts.activity.uploads;
    const answer = put(site, client, deb).catch((error: Error) => error.message);
    await waitFor('the whole body', () =>
      site.parts.activity.uploads > uploads ? true : undefined,
    );
    await revoke(client);
    expect(await answer).toMatch(/socket hang up|ECONNRESET/);
    release();
    await holding;
    await waitFor('an entry in the audit log', async () => {
      const { entries } = await site.perform('audit.list', {});
      return entries.some((one) => one.outcome === 'refused CERTIFICATE_REVOKED')
        ? true
        : undefined;
    });
    const staging = join(data, 'pool/.staging');
    await waitFor('an empty staging folder', async () =>
      (await listFiles(staging)).length === 0 ? true : undefined,
    );
    expect([await listPool(), await readPublication()]).toEqual(before);
    expect((await put(site, witness, deb)).status).toBe(201);
  });
});

describe('everyone else', () => {
  it('is not disturbed by fifty revocations in a row', async () => {
    const clients: IssuedClient[] = [];
    for (let count = 0; count < 50; count += 1) {
      clients.push(await site.issue(`leaving-${count}`, 'host'));
    }
    const connection = await open(witness);
    await stallAnswer(connection, getRequest(file));
    await Promise.all(clients.map(revoke));
    connection.socket.resume();
    await waitFor('the whole file', () =>
      connection.received().length > large.length ? true : undefined,
    );
    const received = Buffer.from(connection.received(), 'latin1');
    expect(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(large)).toBe(true);
    connection.socket.destroy();
    expect((await readFile(join(data, file))).equals(large)).toBe(true);
  });
});
