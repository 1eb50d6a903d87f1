/**
 * Clients of ours that hold what they have: two thousand connections on which nothing is said, uploads
 * that send a byte now and then or none at all. Others are served meanwhile, in bounded memory.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, waitFor } from '../e2e/command.ts';
import { type Connection, openConnection, readStatusLines } from '../e2e/connection.ts';
import { issuePrivately } from '../e2e/private-socket.ts';
import { type Server, startServer } from '../e2e/program.ts';
import { type Client, curl, enrolHost, listFiles } from '../e2e/site.ts';

const CONNECTIONS = 2000;
const AT_ONCE = 50;
/** Of one idle connection, with what TLS keeps for it. */
const MAX_BYTES_EACH = 150_000;
const RELEASE = '/dists/stable/InRelease';

const scratch = createScratch('idle');
const data = join(scratch, 'data');
let server: Server;
let client: Client;

const readMemory = async (): Promise<number> =>
  Number(
    /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${server.process.pid}/status`, 'utf8'))?.[1],
  ) * 1024;

const open = (): Promise<Connection> =>
  openConnection({ port: server.port, client, ca: client.ca });

beforeAll(async () => {
  server = await startServer({ data, env: { APTKEEP_UPLOAD_IDLE_TIMEOUT: '2s' } });
  client = await issuePrivately(data, 'build', 'uploader');
});

afterAll(() => server.stop());

describe('an upload', () => {
  const begin = async (): Promise<Connection> => {
    const connection = await open();
    const head =
      'PUT /upload/stable/x.deb HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n';
    connection.send(`${head}\r\n${'x'.repeat(100_000)}`);
    return connection;
  };
  const staging = (): Promise<string[]> => listFiles(join(data, 'pool/.staging'));

  it('that stands still is cut, and nothing of it stays', async () => {
    const connection = await begin();
    await waitFor('the upload', async () => ((await staging()).length > 0 ? true : undefined));
    await connection.ended();
    await waitFor('nothing of it', async () => ((await staging()).length === 0 ? true : undefined));
  });

  it('that goes on slowly is not, for much longer than it may stand still', async () => {
    const connection = await begin();
    let sent = 0;
    const timer = setInterval(() => {
      sent += 1;
      connection.send('x');
    }, 250);
    await waitFor('three times the limit', () => (sent >= 24 ? true : undefined));
    clearInterval(timer);
    expect(connection.socket.destroyed).toBe(false);
    expect(readStatusLines(connection.received())).toEqual([]);
    connection.socket.destroy();
    await waitFor('nothing of it', async () => ((await staging()).length === 0 ? true : undefined));
  });
});

describe('two thousand connections of one client', () => {
  it('on which nothing is said hinder neither curl nor apt-get', async () => {
    const before = await readMemory();
    const connections: Connection[] = [];
    while (connections.length < CONNECTIONS) {
      connections.push(...(await Promise.all(Array.from({ length: AT_ONCE }, open))));
    }
    const alive = connections.filter(({ socket }) => !socket.destroyed).length;
    expect((await readMemory()) - before).toBeLessThan(CONNECTIONS * MAX_BYTES_EACH);
    expect((await curl(client, server.url + RELEASE)).status).toBe(200);
    const { root } = await enrolHost(data, 'web', join(scratch, 'web'));
    expect((await root.aptGet('update')).status).toBe(0);
    expect(alive).toBeGreaterThan(0);
    for (const { socket } of connections) socket.destroy();
  });
});
