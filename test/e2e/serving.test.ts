/** What the machines around the program do to it: pipelining, deep folders, a clean environment. */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from './command.ts';
import { getRequest, openConnection, readStatusLines } from './connection.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, putFile } from './site.ts';

/** Longer than the 107 bytes that the path of a socket may have (unix(7)). */
const DEEP = Array.from({ length: 12 }, (_, number) => `deep-folder-${number}`).join('/');
const REQUESTS = 45;
const CONNECTIONS = 20;
const PAYLOAD_BYTES = 40_000;

const scratch = createScratch('serving');
const data = join(scratch, DEEP);
const file = join(scratch, 'large_1_all.deb');
let server: Server;
let host: Client;

beforeAll(async () => {
  await mkdir(data, { recursive: true });
  server = await startServer({ data });
  host = await issueClient(data, 'web', 'host');
});

describe('a data directory whose path is longer than a socket may have', () => {
  it('takes an upload through its private socket, whole', async () => {
    const wanted = { name: 'large', version: '1', payloadBytes: PAYLOAD_BYTES };
    expect(await buildSmall(wanted, scratch)).toBe(file);
    await aptkeep('upload', file, '--suite', 'stable', '--data', data);
    const answer = await curl(host, `${server.url}/pool/main/l/large/large_1_all.deb`, '--head');
    expect(answer.body).toMatch(new RegExp(`^content-length: ${(await stat(file)).size}\r$`, 'im'));
    expect(server.output()).not.toContain('internal error');
  });

  it('serves a host', async () => {
    const { root } = await enrolHost(data, 'web2', join(scratch, 'web2'));
    expect((await root.aptGet('update')).status).toBe(0);
    expect((await root.aptGet('install', 'large')).status).toBe(0);
  });
});

describe('requests sent ahead, as apt does', () => {
  it('are answered whole and in order, however fast they come', async () => {
    const expected = (await readFile(file)).toString('latin1');
    const path = '/pool/main/l/large/large_1_all.deb';
    const exchange = async (): Promise<string[]> => {
      const connection = await openConnection({ port: server.port, client: host, ca: host.ca });
      let sent = 0;
      const sendNext = (): void => {
        sent += 1;
        const request = getRequest(path);
        const last = request.replace(/\r\n$/, 'Connection: close\r\n\r\n');
        if (sent <= REQUESTS) connection.send(sent === REQUESTS ? last : request);
      };
      // Two at a time, each in a TLS record of its own, while answers are still on their way.
      connection.socket.on('data', () => {
        sendNext();
        sendNext();
      });
      sendNext();
      const received = await connection.ended();
      const whole = received.split(expected).length - 1;
      return [...readStatusLines(received), `${whole} whole packages`];
    };
    const answers = await Promise.all(Array.from({ length: CONNECTIONS }, exchange));
    const ok = Array.from({ length: REQUESTS }, () => 'HTTP/1.1 200 OK');
    for (const answer of answers) expect(answer).toEqual([...ok, `${REQUESTS} whole packages`]);
  });
});

describe('an upload that is cut off by its sender', () => {
  it('leaves nothing, and the same upload succeeds after', async () => {
    const uploader = await issueClient(data, 'build-server', 'uploader');
    const bytes = await readFile(
      await buildSmall({ name: 'again', version: '1', payloadBytes: PAYLOAD_BYTES }, scratch),
    );
    const connection = await openConnection({
      port: server.port,
      client: uploader,
      ca: uploader.ca,
    });
    const head = ['Host: localhost', `Content-Length: ${bytes.length}`, '', ''].join('\r\n');
    connection.send(`PUT /upload/stable/again_1_all.deb HTTP/1.1\r\n${head}`);
    connection.socket.write(bytes.subarray(0, PAYLOAD_BYTES / 2), () =>
      connection.socket.destroy(),
    );
    await connection.ended();
    const answer = await putFile(uploader, server.url, join(scratch, 'again_1_all.deb'));
    expect(answer.status).toBe(201);
    expect(await server.stop()).toBe(0);
  });
});
