/**
 * Bytes that two readers of HTTP could understand differently, on the connection of an honest
 * client: refused, and nothing behind them is taken for a request. RFC 9112 sections 2.2, 3.2, 5,
 * 6.1, 6.3, 7.1 and 11.2.
 */
import type { AddressInfo } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGate, describeGate } from '../../src/http/server.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { listFiles } from '../e2e/site.ts';
import { ask, type IssuedClient, type Site, startSite } from '../http/start.ts';
import { speak } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const data = join(createScratch('smuggling'), 'data');
let site: Site;
let uploader: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  uploader = await site.issue('build', 'uploader');
});

afterAll(() => site.daemon.stop());

/** What a smuggler would have behind the first request. */
const HIDDEN = getRequest('/v1/status');
const PUT = 'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\n';
const GET = `GET ${RELEASE} HTTP/1.1\r\n`;

describe('a malformed request is refused, the connection closed, nothing behind it read', () => {
  const cases: [string, number, string][] = [
    [
      'a length and chunks',
      400,
      `${PUT}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'chunks and a length',
      400,
      `${PUT}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
    ],
    ['two lengths', 400, `${PUT}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`],
    ['a list of lengths', 400, `${PUT}Content-Length: 4, 5\r\n\r\nabcde`],
    ['a length with a sign', 400, `${PUT}Content-Length: +4\r\n\r\nabcd`],
    ['a negative length', 400, `${PUT}Content-Length: -4\r\n\r\nabcd`],
    ['a length in hexadecimal', 400, `${PUT}Content-Length: 0x4\r\n\r\nabcd`],
    ['a length past 2^64', 400, `${PUT}Content-Length: 18446744073709551620\r\n\r\nabcd`],
    ['a length with a space inside', 400, `${PUT}Content-Length: 4 4\r\n\r\nabcd`],
    [
      'an encoding that is not the last',
      400,
      `${PUT}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    ['an encoding of another name', 400, `${PUT}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    [
      'an encoding behind a control character',
      400,
      `${PUT}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a space before the colon', 400, `${PUT}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    [
      'a chunk size with 0x',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n`,
    ],
    [
      'a negative chunk size',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\n-4\r\nabcd\r\n0\r\n\r\n`,
    ],
    [
      'a chunk size past 2^64',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
    ],
    [
      'a chunk longer than its size',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n`,
    ],
    [
      'a chunk ended by a bare LF',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\n0\r\n\r\n`,
    ],
    [
      'a chunk extension with a bare LF',
      400,
      `${PUT}Transfer-Encoding: chunked\r\n\r\n4;x\nabcd\r\n0\r\n\r\n`,
    ],
    ['lines ended by bare LF', 400, `GET ${RELEASE} HTTP/1.1\nHost: localhost\n\n`],
    ['one header ended by a bare CR', 400, `${GET}Host: localhost\rX: y\r\n\r\n`],
    ['a folded header', 400, `${GET}Host: localhost\r\nX: a\r\n b\r\n\r\n`],
    ['a header that begins with a space', 400, `${GET} Host: localhost\r\n\r\n`],
    ['a NUL in a header', 400, `${GET}Host: localhost\r\nX: a\0b\r\n\r\n`],
    ['a header without a name', 400, `${GET}Host: localhost\r\n: x\r\n\r\n`],
    ['no Host', 400, `${GET}X: y\r\n\r\n`],
    ['two Hosts', 400, `${GET}Host: localhost\r\nHost: evil.example\r\n\r\n`],
    [
      'a space in the target',
      400,
      `GET /dists/stable/In Release HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    ],
    ['a version that is none', 400, `GET ${RELEASE} HTTP/9.9\r\nHost: localhost\r\n\r\n`],
    ['a method that is none', 400, `BREW ${RELEASE} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['a method in lower case', 400, `get ${RELEASE} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['the beginning of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['bytes', 400, '\x00\xff\x16\x03\x01 hello\r\n\r\n'],
    ['20 KB of header', 431, `${GET}Host: localhost\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`],
    ['2000 headers', 431, `${GET}Host: localhost\r\n${'X-Y: 12345\r\n'.repeat(2000)}\r\n`],
    ['20 KB of target', 431, `GET /${'y'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
  ];
  it.each(cases)('%s: %i', async (_name, status, bytes) => {
    const { received } = await speak(site, uploader, bytes + HIDDEN);
    const lines = readStatusLines(received);
    expect(lines.map((line) => Number(line.split(' ')[1]))).toEqual([status]);
    expect(received).toMatch(/^Connection: close\r$/im);
    expect(received).not.toContain('"health"');
    await waitFor('a pool with nothing in it', async () =>
      (await listFiles(join(data, 'pool'))).length === 0 ? true : undefined,
    );
  });
});

describe('what looks like a second request and is a body', () => {
  it('of a GET is never answered', async () => {
    const inside = getRequest('/v1/status');
    const head = `${GET}Host: localhost\r\nContent-Length: ${inside.length}\r\n\r\n`;
    const { received } = await speak(site, uploader, head + inside + lastRequest('/dists/no'));
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 404 Not found']);
  });

  it('of a refused upload is never answered', async () => {
    const inside = getRequest('/v1/status');
    const head = `PUT /upload/nowhere/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${inside.length}\r\n\r\n`;
    const { received } = await speak(site, uploader, head + inside + lastRequest('/dists/no'));
    const lines = readStatusLines(received);
    expect(lines[0]).toBe('HTTP/1.1 404 No such suite');
    expect(received).not.toContain('"health"');
  });

  it('of an upload that is told to continue is its body', async () => {
    const inside = getRequest('/v1/status');
    const head = `${PUT}Expect: 100-continue\r\nContent-Length: ${inside.length}\r\n\r\n`;
    const { received } = await speak(site, uploader, head + inside + lastRequest('/dists/no'));
    const codes = readStatusLines(received).map((line) => line.split(' ')[1]);
    expect(codes).toEqual(['100', '422', '404']);
  });
});

describe('other protocols', () => {
  it('CONNECT opens nothing', async () => {
    const bytes = `CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n${HIDDEN}`;
    const { received } = await speak(site, uploader, bytes);
    expect(received).not.toMatch(/ 200 |SSH|"health"/);
  });

  it.each(['websocket', 'h2c', 'TLS/1.0'])('Upgrade: %s is not followed', async (protocol) => {
    const upgrade = `Connection: Upgrade, close\r\nUpgrade: ${protocol}\r\n`;
    const settings = 'HTTP2-Settings: AAMAAABkAAQAAP__\r\nSec-WebSocket-Key: x\r\n';
    const bytes = `${GET}Host: localhost\r\n${upgrade}${settings}\r\n`;
    const { received } = await speak(site, uploader, bytes);
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
  });

  it('an expectation that nobody knows is judged like any request', async () => {
    const client = await site.issue('expecting', 'host');
    const bytes = `${GET}Host: localhost\r\nExpect: the-worst\r\nConnection: close\r\n\r\n`;
    await site.perform('certificate.revoke', { certificate: client.serial });
    const { received } = await speak(site, client, bytes);
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 403 Certificate revoked']);
  });
});

describe('a peer that takes its time', () => {
  const patience = { handshake: 300, headers: 300, check: 100 };
  let slow: Site;
  let gate: Awaited<ReturnType<typeof createGate>>;

  beforeAll(async () => {
    gate = await createGate(
      describeGate(site.parts),
      (_request, response) => response.end('in'),
      patience,
    );
    await new Promise<void>((resolve) => gate.server.listen(0, '127.0.0.1', resolve));
    slow = { ...site, port: (gate.server.address() as AddressInfo).port };
  });

  afterAll(async () => {
    await gate.close();
    gate.server.close();
  });

  it('over its headers is told so and closed, however steadily it goes on', async () => {
    const connection = await openConnection({ port: slow.port, client: uploader, ca: site.ca });
    connection.send(`${GET}Host: localhost\r\n`);
    const dripping = setInterval(() => connection.send('X: y\r\n'), 50);
    const received = await connection.ended().finally(() => clearInterval(dripping));
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 408 Request timeout']);
  });

  it('over its handshake is closed', async () => {
    const socket = connectTcp(slow.port, '127.0.0.1');
    let closed = false;
    socket.on('error', () => undefined); // a reset is an end too
    socket.on('close', () => {
      closed = true;
    });
    socket.resume().write(Buffer.from('1603010200010001fc0303', 'hex'));
    await waitFor('the end', () => (closed ? true : undefined), 10_000);
  });

  it('does not hinder another one', async () => {
    const connection = await openConnection({ port: slow.port, client: uploader, ca: site.ca });
    connection.send(GET);
    expect((await ask(slow, uploader, RELEASE)).text).toBe('in');
    connection.socket.destroy();
  });
});
