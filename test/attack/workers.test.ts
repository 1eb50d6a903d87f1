/**
 * Several workers, one truth about revocation: what is revoked is refused by every one of them when
 * the revocation returns, its connections cut, whichever worker holds them; a worker that cannot be
 * told does not live; none serves without the main process.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PROCESS_FLAGS } from '../../src/thread.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { type Connection, getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { askPrivately, issuePrivately, revokePrivately } from '../e2e/private-socket.ts';
import { runAptkeep, type Server, startServer } from '../e2e/program.ts';
import { type Client, curl, listFiles, putFile } from '../e2e/site.ts';
import { connectToEach, findWorker, isAlive, listChildren } from '../e2e/worker-processes.ts';
import { buildDeb } from '../http/packages.ts';
import { startSite } from '../http/start.ts';
import { revokeMany } from './forge.ts';
import { stallAnswer } from './speak.ts';

const WORKERS = 4;
const RELEASE = '/dists/stable/InRelease';
const REFUSED = 'HTTP/1.1 403 Certificate revoked';
const STALE = 'HTTP/1.1 503 Revocation list out of date';
const env = { APTKEEP_WORKERS: String(WORKERS) };

const scratch = createScratch('workers-attack');
const data = join(scratch, 'data');
/** Far more than the buffers between two sockets hold. */
const large = buildDeb('large', { payload: randomBytes(16 * 1024 * 1024) });
let server: Server;
let witness: Client;
let file = '';

const pidOf = (one: Server): number => one.process.pid ?? 0;
const optionsOf = (client: Client, one = server) => ({ port: one.port, client, ca: client.ca });
const toEach = (client: Client, one = server) =>
  connectToEach(pidOf(one), WORKERS, optionsOf(client, one));
const issue = (name: string, role = 'host'): Promise<Client> => issuePrivately(data, name, role);
const listStaging = (): Promise<string[]> => listFiles(join(data, 'pool/.staging'));

async function upload(client: Client, url: string, bytes: Buffer): Promise<string> {
  const path = join(scratch, `${randomBytes(6).toString('hex')}.deb`);
  await writeFile(path, bytes);
  const answer = await putFile(client, url, path);
  expect(answer.status).toBe(201);
  return `/${JSON.parse(answer.body).filename}`;
}

/** Answered once more on the same connection. */
async function isServed(connection: Connection): Promise<boolean> {
  const before = connection.received().length;
  connection.send(getRequest(RELEASE));
  await waitFor('an answer', () =>
    connection.received().slice(before).includes('-----END PGP SIGNATURE-----') ||
    connection.socket.destroyed
      ? true
      : undefined,
  );
  return connection.received().slice(before).startsWith('HTTP/1.1 200 OK');
}

const closeAll = (connections: Iterable<Connection>): void => {
  for (const { socket } of connections) socket.destroy();
};

beforeAll(async () => {
  server = await startServer({ data, env });
  witness = await issue('witness', 'uploader');
  file = await upload(witness, server.url, large);
});

afterAll(() => server.stop());

describe('a revoked certificate', () => {
  it('is refused by every worker when the revocation returns: idle connections, busy ones, new ones', async () => {
    const client = await issue('leaving');
    const [idle, busy, others] = [
      await toEach(client),
      await toEach(client),
      await toEach(witness),
    ];
    for (const connection of [...idle.values(), ...others.values()]) {
      expect(await isServed(connection)).toBe(true);
    }
    await Promise.all([...busy.values()].map((one) => stallAnswer(one, getRequest(file))));
    const asked = performance.now();
    await revokePrivately(data, 'leaving');
    const returned = performance.now();
    for (const connection of [...idle.values(), ...busy.values()]) {
      connection.send(getRequest(RELEASE));
      connection.socket.resume();
    }
    for (const connection of idle.values()) {
      expect(readStatusLines(await connection.ended())).toEqual(['HTTP/1.1 200 OK', REFUSED]);
    }
    for (const connection of busy.values()) {
      const received = await connection.ended();
      expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
      expect(received.length).toBeLessThan(large.length);
    }
    const ended = performance.now();
    const figures = [returned - asked, ended - returned].map((one) => one.toFixed(1));
    process.stdout.write(
      `revocation: ${figures[0]} ms to its answer, ${figures[1]} ms more until ${idle.size + busy.size} connections on ${WORKERS} workers had ended\n`,
    );
    const anew = await Promise.all(
      Array.from({ length: 5 * WORKERS }, async () => {
        const connection = await openConnection(optionsOf(client));
        connection.send(getRequest(RELEASE));
        return connection.ended();
      }),
    );
    expect(new Set(anew.flatMap(readStatusLines))).toEqual(new Set([REFUSED]));
    for (const connection of others.values()) expect(await isServed(connection)).toBe(true);
    closeAll(others.values());
  });

  it('publishes nothing of an upload that was under way in any worker', async () => {
    const client = await issue('uploading', 'uploader');
    const before = await askPrivately(data, '/v1/suites/stable');
    const connections = await toEach(client);
    const debs = [...connections.values()].map((connection, index) => {
      // Too large to wait in memory.
      const deb = buildDeb(`never-${index}`, { payload: randomBytes(100_000) });
      connection.send(
        `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${deb.length}\r\n\r\n`,
      );
      connection.socket.write(deb.subarray(0, 500));
      return { connection, rest: deb.subarray(500) };
    });
    await waitFor('bytes of each in staging', async () =>
      (await listStaging()).length === WORKERS ? true : undefined,
    );
    await revokePrivately(data, 'uploading');
    for (const { connection, rest } of debs) {
      if (connection.socket.writable) connection.socket.write(rest);
    }
    for (const { connection } of debs) expect(await connection.ended()).toBe('');
    await waitFor('an empty staging folder', async () =>
      (await listStaging()).length === 0 ? true : undefined,
    );
    expect(await askPrivately(data, '/v1/suites/stable')).toEqual(before);
    expect((await listFiles(join(data, 'pool'))).join()).not.toContain('never');
  });

  it('by an admin over the network, who is answered, is refused by every worker too', async () => {
    const [admin, client] = [await issue('the-admin', 'admin'), await issue('leaving-too')];
    const connections = await toEach(client);
    const flags = ['--json', '{}'];
    const answer = await curl(admin, `${server.url}/v1/certificates/leaving-too/revoke`, ...flags);
    expect(answer.status).toBe(200);
    for (const connection of connections.values()) connection.send(getRequest(RELEASE));
    for (const connection of connections.values()) {
      expect(readStatusLines(await connection.ended())).toEqual([REFUSED]);
    }
  });

  it('is refused before the list that names it is signed, however long that takes', async () => {
    const site = await startSite(join(scratch, 'long'), { settings: { workers: '2' } });
    const gone = await site.issue('gone', 'host');
    await revokeMany(site, 50_000);
    await site.perform('crl.refresh', {});
    const connections = await connectToEach(process.pid, 2, {
      ...{ port: site.port, client: gone, ca: gone.ca },
    });
    const order: string[] = [];
    const ends = [...connections.values()].map(async ({ socket }) => {
      await once(socket, 'end');
      order.push('ended');
    });
    await site.perform('certificate.revoke', { certificate: 'gone' });
    order.push('answered');
    await Promise.all(ends);
    expect(order).toEqual(['ended', 'ended', 'answered']);
    expect(site.parts.authority.trust.crl?.serials.size).toBe(50_001);
    await site.daemon.stop();
  });

  it('may be issued anew, and the new one is let in by every worker at once', async () => {
    for (const name of ['anew-0', 'anew-1', 'anew-2']) {
      const connections = await toEach(await issue(name));
      for (const connection of connections.values()) expect(await isServed(connection)).toBe(true);
      closeAll(connections.values());
    }
  });

  it('disturbs nobody else in twenty revocations in a row', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `row-${index}`);
    for (const name of names) await issue(name);
    const connections = await toEach(witness);
    await Promise.all(
      [...connections.values()].map((connection) => stallAnswer(connection, getRequest(file))),
    );
    await Promise.all(names.map((name) => revokePrivately(data, name)));
    for (const { socket, received } of connections.values()) {
      socket.resume();
      await waitFor('the whole file', () => (received().length > large.length ? true : undefined));
      socket.destroy();
    }
  });
});

describe('a worker', () => {
  it('that does not take over a revocation does not live when it returns', async () => {
    const client = await issue('unheard');
    const connections = await toEach(client);
    const [[deaf, held] = [0, undefined]] = connections;
    process.kill(deaf, 'SIGSTOP');
    await revokePrivately(data, 'unheard');
    expect(await isAlive(deaf)).toBe(false);
    for (const connection of connections.values()) connection.send(getRequest(RELEASE));
    for (const connection of connections.values()) {
      const lines = readStatusLines(await connection.ended());
      expect(lines).toEqual(connection === held ? [] : [REFUSED]);
    }
    await waitFor('another worker', async () =>
      (await listChildren(pidOf(server))).length === WORKERS ? true : undefined,
    );
  });

  it('that is killed takes nobody else with it, and new connections go to the others', async () => {
    const connections = await toEach(witness);
    const [[killed] = [0]] = connections;
    process.kill(killed, 'SIGKILL');
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => curl(witness, `${server.url}${RELEASE}`)),
    );
    expect(answers.filter((answer) => answer.status !== 200)).toEqual([]);
    connections.delete(killed);
    for (const connection of connections.values()) expect(await isServed(connection)).toBe(true);
    closeAll(connections.values());
    const anew = await toEach(witness);
    expect(anew.has(killed)).toBe(false);
    for (const connection of anew.values()) expect(await isServed(connection)).toBe(true);
    closeAll(anew.values());
  });

  it('is missed by nobody when all of them are killed at once: connections wait for the next', async () => {
    for (const pid of await listChildren(pidOf(server))) process.kill(pid, 'SIGKILL');
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => curl(witness, `${server.url}${RELEASE}`)),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(200));
  });

  it('that begins anew knows every revocation from before', async () => {
    const client = await issue('long-gone');
    await revokePrivately(data, 'long-gone');
    for (const pid of await listChildren(pidOf(server))) process.kill(pid, 'SIGKILL');
    const connections = await toEach(client);
    for (const connection of connections.values()) connection.send(getRequest(RELEASE));
    for (const connection of connections.values()) {
      expect(readStatusLines(await connection.ended())).toEqual([REFUSED]);
    }
  });

  it('does not end by a signal from the terminal', async () => {
    const pids = await listChildren(pidOf(server));
    for (const pid of pids) {
      process.kill(pid, 'SIGINT');
      process.kill(pid, 'SIGTERM');
    }
    const connections = await toEach(witness);
    expect([...connections.keys()].sort()).toEqual(pids.sort());
    closeAll(connections.values());
  });

  it('has no secret in its environment or on its command line', async () => {
    const secret = 'a-passphrase-that-nobody-may-see';
    const other = join(scratch, 'environment');
    const started = await startServer({
      data: other,
      env: { ...env, APTKEEP_NAME: secret, OTHER_SECRET: secret },
    });
    const pids = await listChildren(pidOf(started));
    expect(pids).toHaveLength(WORKERS);
    for (const pid of pids) {
      const [environ, cmdline] = [
        await readFile(`/proc/${pid}/environ`, 'latin1'),
        await readFile(`/proc/${pid}/cmdline`, 'latin1'),
      ];
      expect(environ).not.toMatch(/APTKEEP|SECRET|PRIVATE/);
      expect(environ + cmdline).not.toContain(secret);
      expect(cmdline.split('\0').slice(1)).toEqual([
        ...PROCESS_FLAGS,
        expect.stringMatching(/worker\.ts$/),
        '',
      ]);
    }
    expect(await started.stop()).toBe(0);
  });
});

describe('what workers hand over', () => {
  const askReception = (headers: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      const socketPath = join(data, 'aptkeep-workers.sock');
      const asking = request({ socketPath, path: '/v1/status', headers, agent: false });
      asking.once('response', (response) => resolve(`answered ${response.statusCode}`));
      asking.once('error', () => resolve('cut'));
      asking.end();
    });

  it('comes over a socket that is its owner’s alone, and from this server’s workers alone', async () => {
    expect((await stat(join(data, 'aptkeep-workers.sock'))).mode & 0o777).toBe(0o600);
    const presented = { serial: '1', fingerprint: '', commonName: 'root', authority: '' };
    const caller = Buffer.from(JSON.stringify({ token: 'x', presented })).toString('base64url');
    expect(await askReception({})).toBe('cut');
    expect(await askReception({ 'aptkeep-caller': 'x' })).toBe('cut');
    expect(await askReception({ 'aptkeep-caller': caller })).toBe('cut');
  });

  it('is not what a client says of itself', async () => {
    const host = await issue('claiming');
    const presented = { serial: '1', commonName: 'root', role: 'admin' };
    const caller = Buffer.from(JSON.stringify({ token: '', presented })).toString('base64url');
    for (const name of ['aptkeep-caller', 'Aptkeep-Caller', 'aptkeep-role']) {
      const answer = await curl(host, `${server.url}/v1/audit`, '--header', `${name}: ${caller}`);
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'ROLE_FORBIDDEN']);
    }
  });
});

describe('the main process', () => {
  it('killed with -9 leaves no worker that serves, and a directory that can be opened again', async () => {
    const other = join(scratch, 'killed');
    const started = await startServer({ data: other, env });
    const host = await issuePrivately(other, 'web', 'host');
    const pids = await listChildren(pidOf(started));
    const connections = await toEach(host, started);
    await started.kill();
    for (const pid of pids) {
      await waitFor('the end of a worker', async () => ((await isAlive(pid)) ? undefined : true));
    }
    for (const connection of connections.values()) await connection.ended();
    expect((await curl(host, `${started.url}${RELEASE}`)).status).toBe(0);
    const again = await startServer({ data: other, env, port: started.port });
    expect((await curl(host, `${again.url}${RELEASE}`)).status).toBe(200);
    const second = await runAptkeep(['serve', '--data', other, '--listen', '127.0.0.1:0'], env);
    expect([second.status, second.stderr]).toEqual([1, expect.stringMatching(/in use/)]);
    expect(await again.stop()).toBe(0);
  });

  it('that cannot have its port says so, and leaves no worker behind', async () => {
    const other = join(scratch, 'no-port');
    const flags = ['serve', '--data', other, '--listen', `127.0.0.1:${server.port}`];
    const refused = await runAptkeep(flags, env);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('another program listens there');
  });
});

describe('a list that runs out', () => {
  it('closes every worker to everyone, in the middle of a download too, until the next list', async () => {
    const settings = { ...env, APTKEEP_CRL_LIFETIME: '5s', APTKEEP_CRL_REFRESH: '3650d' };
    const other = join(scratch, 'stale');
    const first = await startServer({ data: other, env });
    const host = await issuePrivately(other, 'web', 'uploader');
    const path = await upload(host, first.url, large);
    expect(await first.stop()).toBe(0);
    const started = await startServer({ data: other, env: settings });
    const [down, idle] = [await toEach(host, started), await toEach(host, started)];
    await askPrivately(other, '/v1/crl/refresh', {});
    await Promise.all([...down.values()].map((one) => stallAnswer(one, getRequest(path))));
    await waitFor('the end of the list', async () =>
      (await askPrivately(other, '/v1/status')).door === 'closed' ? true : undefined,
    );
    for (const { socket } of down.values()) socket.resume();
    for (const connection of down.values()) {
      const received = await connection.ended();
      expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
      expect(received.length).toBeLessThan(large.length);
    }
    for (const connection of idle.values()) connection.send(getRequest(RELEASE));
    for (const connection of idle.values()) {
      expect(readStatusLines(await connection.ended())).toEqual([STALE]);
    }
    const shut = await toEach(host, started);
    await askPrivately(other, '/v1/crl/refresh', {});
    for (const connection of shut.values()) expect(await isServed(connection)).toBe(true);
    closeAll(shut.values());
    await started.stop();
  });
});

describe('an upload', () => {
  it('through any worker is there through every other one when it is answered', async () => {
    const connections = await toEach(witness);
    for (let round = 0; round < 2 * WORKERS; round += 1) {
      const name = `seen-${round}`;
      const uploader = [...connections.values()][round % WORKERS] as Connection;
      const deb = buildDeb(name);
      const before = uploader.received().length;
      uploader.send(
        `PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${deb.length}\r\n\r\n`,
      );
      uploader.socket.write(deb);
      await waitFor('201', () =>
        uploader.received().slice(before).includes('201 Created') ? true : undefined,
      );
      for (const connection of connections.values()) {
        const from = connection.received().length;
        connection.send(getRequest('/dists/stable/main/binary-amd64/Packages'));
        const index = await waitFor('the index', () => {
          const answer = connection.received().slice(from);
          return answer.includes(`Package: large\n`) && answer.endsWith('\n') ? answer : undefined;
        });
        expect(index).toContain(`Package: ${name}\n`);
      }
      expect(await findWorker(pidOf(server), server.port, uploader)).toBe(
        [...connections.keys()][round % WORKERS],
      );
    }
    closeAll(connections.values());
  });
});
