/**
 * A server that serves from several workers, as its operator and its hosts see it: apt pulls, the
 * load is summed, a worker that dies is replaced, SIGTERM finishes what is in flight in all of them.
 */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, startProcess, succeed, waitFor } from './command.ts';
import { getRequest } from './connection.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, curlFlags, enrolHost, listFiles, putFile } from './site.ts';
import { connectToEach, listChildren } from './worker-processes.ts';

const WORKERS = 3;
/** Far more than the buffers between two processes hold; some seconds at curl's limit. */
const LARGE_BYTES = 24 * 1024 * 1024;
const RATE = '8M';

const scratch = createScratch('workers');
// So deep that no socket's address could hold its path.
const data = join(scratch, 'deep-'.repeat(20), 'data');
let server: Server;
let uploader: Client;
let observer: Client;
let host: { client: Client; root: AptRoot };
let large = '';
let url = '';

const start = (port?: number): Promise<Server> =>
  startServer({
    data,
    env: { APTKEEP_WORKERS: String(WORKERS) },
    ...(port === undefined ? {} : { port }),
  });

beforeAll(async () => {
  server = await start();
  // Through the command line: the path is too long for the test's own way to the socket.
  const issue = async (name: string, role: string): Promise<Client> => {
    const folder = join(scratch, name);
    const flags = ['--role', role, '--out', folder, '--data', data];
    await aptkeep('cert', 'issue', name, ...flags);
    const [certificate, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
    return { name, folder, certificate, key, ca: join(folder, 'ca.crt') };
  };
  [uploader, observer] = [await issue('build', 'uploader'), await issue('monitor', 'observer')];
  host = await enrolHost(data, 'web', join(scratch, 'web'));
  const wanted = { name: 'large', version: '1', payloadBytes: LARGE_BYTES };
  large = await buildSmall(wanted, scratch);
  expect((await putFile(uploader, server.url, large)).status).toBe(201);
  const [path] = (await listFiles(join(data, 'pool'))).filter((file) => file.endsWith('.deb'));
  url = `${server.url}/pool/${path}`;
});

describe('several workers', () => {
  it('open no debugger for a signal that rotates the logs of others', async () => {
    const workers = await listChildren(server.process.pid ?? 0);
    expect(workers.length).toBe(WORKERS);
    for (const pid of workers) process.kill(pid, 'SIGUSR1');
    // A debugger is opened by a thread of its own, and says so.
    await delay(500);
    expect((await curl(observer, `${server.url}/v1/status`)).status).toBe(200);
    expect(await listChildren(server.process.pid ?? 0)).toEqual(workers);
    expect(server.output()).not.toMatch(/debugger/i);
  });

  it('hand over what the main process alone knows: the past of a suite', async () => {
    await aptkeep('suite', 'set', 'stable', '--snapshots', '--data', data);
    const ask = (path: string, ...flags: string[]) => {
      const id = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
      return curl(host.client, `${server.url}/snapshots/${id}/${path}`, ...flags);
    };
    const release = await waitFor('a second after the publication', async () => {
      const answer = await ask('dists/stable/InRelease');
      return answer.status === 200 ? answer.body : undefined;
    });
    expect(release).toContain('\nSuite: stable\n');
    const copy = join(scratch, 'from-a-snapshot.deb');
    const path = url.slice(server.url.length + 1);
    expect((await ask(path, '--output', copy)).status).toBe(200);
    await succeed('cmp', [copy, large]);
  });

  it('are as many as were asked for, on one port', async () => {
    expect(await listChildren(server.process.pid ?? 0)).toHaveLength(WORKERS);
  });

  it('serve apt-get', async () => {
    const updates = await Promise.all(
      Array.from({ length: 3 }, async (_, index) => {
        const { root } = await enrolHost(data, `web-${index}`, join(scratch, `web-${index}`));
        return root.aptGet('update');
      }),
    );
    expect(updates.map(({ status }) => status)).toEqual([0, 0, 0]);
    expect((await host.root.aptGet('update')).status).toBe(0);
    const small = await buildSmall({ name: 'small', version: '1' }, scratch);
    expect((await putFile(uploader, server.url, small)).status).toBe(201);
    expect((await host.root.aptGet('update')).status).toBe(0);
    expect((await host.root.aptGet('install', 'small', 'large')).status).toBe(0);
    expect((await host.root.listInstalled()).get('large')).toBe('1');
  });

  it('are summed by status and metrics', async () => {
    const pid = server.process.pid ?? 0;
    const options = { port: server.port, client: observer, ca: observer.ca };
    const read = async (): Promise<{ workers: number; requests: number }> =>
      JSON.parse(await aptkeep('status', '--json', '--data', data)).load;
    const before = await read();
    expect(before.workers).toBe(WORKERS);
    const connections = await connectToEach(pid, WORKERS, options);
    for (const connection of connections.values()) {
      connection.send(getRequest('/dists/stable/Release'));
      await waitFor('an answer', () => (connection.received() ? true : undefined));
    }
    await waitFor('the requests in the sum', async () =>
      (await read()).requests >= before.requests + WORKERS ? true : undefined,
    );
    for (const { socket } of connections.values()) socket.destroy();
    const { body } = await curl(observer, `${server.url}/metrics`);
    expect(body).toMatch(/^aptkeep_workers 3$/m);
    const resident = Number(/^aptkeep_resident_memory_bytes (\d+)$/m.exec(body)?.[1]);
    const ofMain = /^VmRSS:\s+(\d+) kB$/m.exec(await succeed('cat', [`/proc/${pid}/status`]))?.[1];
    expect(resident).toBeGreaterThan(2 * 1024 * Number(ofMain));
  });

  it('are replaced when they die, and the log says so', async () => {
    const [killed = 0] = await listChildren(server.process.pid ?? 0);
    process.kill(killed, 'SIGKILL');
    await waitFor('another one', async () => {
      const { load } = JSON.parse(await aptkeep('status', '--json', '--data', data));
      const pids = await listChildren(server.process.pid ?? 0);
      return load.workers === WORKERS && !pids.includes(killed) ? true : undefined;
    });
    expect(server.output()).toMatch(new RegExp(`"worker ended","pid":${killed},"how":"SIGKILL"`));
  });
});

describe('SIGTERM', () => {
  it('finishes the downloads and the upload in flight, refuses what is new, and exits 0', async () => {
    const uploaded = await buildSmall(
      { name: 'up', version: '1', payloadBytes: LARGE_BYTES },
      scratch,
    );
    const copies = Array.from({ length: 6 }, (_, index) => join(scratch, `copy-${index}`));
    const downs = copies.map((copy) => {
      const flags = [...curlFlags(host.client), '--limit-rate', RATE, '--output', copy, url];
      return startProcess('curl', flags);
    });
    const target = ['--upload-file', uploaded, `${server.url}/upload/stable/`];
    const flags = ['--limit-rate', RATE, '--output', '/dev/null', '--write-out', '%{http_code}'];
    const up = startProcess('curl', [...curlFlags(uploader), ...flags, ...target]);
    let printed = '';
    up.stdout?.on('data', (chunk: Buffer) => {
      printed += chunk.toString('latin1');
    });
    const ends = [...downs, up].map((child) => once(child, 'close'));
    const staging = join(data, 'pool/.staging');
    await waitFor('all to be under way', async () => {
      const files = [...copies, ...(await listFiles(staging)).map((file) => join(staging, file))];
      const sizes = await Promise.all(
        files.map(async (file) => (await stat(file).catch(() => undefined))?.size ?? 0),
      );
      return sizes.length > copies.length && sizes.every((size) => size > 0) ? true : undefined;
    });
    const stopped = server.stop();
    await waitFor('the door to close', async () => {
      const { status } = await curl(host.client, `${server.url}/dists/stable/InRelease`);
      return status === 200 ? undefined : true;
    });
    expect((await Promise.all(ends)).map(([status]) => status)).toEqual(Array(7).fill(0));
    for (const copy of copies) await succeed('cmp', [copy, large]);
    expect(printed).toBe('201');
    expect(await stopped).toBe(0);
    expect(await listFiles(staging)).toEqual([]);
  });

  it('loses nothing: the upload is there after the next start', async () => {
    server = await start(server.port);
    expect((await host.root.aptGet('update')).status).toBe(0);
    expect((await host.root.aptGet('install', 'up')).status).toBe(0);
    expect(await server.stop('SIGINT')).toBe(0);
  });
});

describe('the setting', () => {
  it.each(['0', '65', '-1', '2.5', 'many', '01', ''])('refuses %j', async (value) => {
    const refused = await runAptkeep(['config', 'show'], { APTKEEP_WORKERS: value });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('workers: ');
    expect(refused.stderr).toContain('auto, or a number from 1 to 64');
  });

  it.each([
    ['nothing', undefined],
    ['auto', 'auto'],
  ])('is one for each processor where it says %s', async (_what, value) => {
    const place = join(scratch, `processors-${value}`);
    const count = Number(await succeed('nproc', []));
    const fresh = await startServer({ data: place, env: { APTKEEP_WORKERS: value } });
    const status = JSON.parse(await aptkeep('status', '--json', '--data', place));
    expect(status.load.workers).toBe(count);
    const workers = await listChildren(fresh.process.pid ?? 0);
    expect(workers).toHaveLength(count === 1 ? 0 : count);
    // Killed, its workers have the port for some moments still.
    await fresh.kill();
    const again = await startServer({
      ...{ data: place, port: fresh.port, env: { APTKEEP_WORKERS: value } },
    });
    const { root } = await enrolHost(place, 'web', join(scratch, `root-${value}`));
    expect((await root.aptGet('update')).status).toBe(0);
    expect(await again.stop()).toBe(0);
  });
});
