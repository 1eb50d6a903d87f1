/**
 * The morning: so many hosts run `apt-get update` within a minute, each with a handshake of its own,
 * while a build job uploads. A host asks for InRelease by the date it has, and, where that is new,
 * for the index that it names, by hash, whose bytes must have that hash. As many workers as the machine
 * has processors; the hosts share a hundred certificates and run in this process.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect, createSecureContext } from 'node:tls';
import { createRequest } from '../src/pki/csr.ts';
import { encodePrivateKey, generatePrivateKey } from '../src/pki/key.ts';
import type { Bearer } from './handshakes.ts';
import { FIRST_NEW, makeSample, openCorpus } from './publish/corpus.ts';
import { readPeak, readThreadsCpu } from './publish/cost.ts';
import { importFolder, OwnRepository, prepareOwn } from './publish/own.ts';
import { ARCHITECTURE, SUITE } from './publish/peer.ts';
import { makeDataDirectory, median } from './server.ts';

const MINUTE_MS = 60_000;
const PACKAGES = 2000;
const CERTIFICATES = 100;
const UPLOAD_EVERY_MS = 2000;
const RELEASE = `/dists/${SUITE}/InRelease`;
const INDEX = new RegExp(`^ ([0-9a-f]{64}) +\\d+ main/binary-${ARCHITECTURE}/Packages\\.gz$`, 'm');

/** Issued over the private socket: a process for each would take longer than the storm. */
async function issueBearer(data: string, name: string): Promise<Bearer> {
  const key = generatePrivateKey();
  const body = JSON.stringify({
    name,
    role: 'host',
    csr: createRequest(key, { commonName: name }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const post = request(
    {
      ...{ socketPath: join(data, 'aptkeep.sock'), path: '/v1/certificates', method: 'POST' },
      headers: { 'Content-Type': 'application/json' },
    },
    (response) => text(response).then(resolve, reject),
  );
  post.once('error', reject);
  post.end(body);
  const { pem } = JSON.parse(await promise) as { pem: string };
  const ca = readFileSync(join(data, 'certs/server-ca.crt'));
  const identity = { cert: pem, key: encodePrivateKey(key), ca };
  return { context: createSecureContext({ ...identity, ecdhCurve: 'X25519' }) };
}

interface Answer {
  status: number;
  head: string;
  body: Buffer;
}

/** A connection on which one request follows another. */
async function openHost({ context }: Bearer, port: number) {
  const socket = connect({
    ...{ host: '127.0.0.1', port, servername: 'localhost', secureContext: context },
  });
  let waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;
  let chunks: Buffer[] = [];
  let wanted = 0;
  let received = 0;
  let head = '';
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    received += chunk.length;
    if (wanted === 0) {
      const all = Buffer.concat(chunks);
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = all.toString('latin1', 0, end);
      const length = head.startsWith('HTTP/1.1 304')
        ? 0
        : Number(/^Content-Length: (\d+)/im.exec(head)?.[1]);
      wanted = end + 4 + length;
    }
    if (received < wanted) return;
    const whole = Buffer.concat(chunks);
    const body = whole.subarray(head.length + 4, wanted);
    [chunks, wanted, received] = [[], 0, 0];
    waiting?.resolve({ status: Number(head.slice(9, 12)), head, body });
  });
  socket.on('error', (error) => waiting?.reject(error));
  socket.on('close', () => waiting?.reject(new Error('the server hung up')));
  return {
    ask: (path: string, ...headers: string[]): Promise<Answer> =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        const lines = [
          `GET ${path} HTTP/1.1`,
          'Host: localhost',
          'User-Agent: Debian APT-HTTP/1.3',
        ];
        socket.write(`${[...lines, ...headers].join('\r\n')}\r\n\r\n`);
      }),
    close: () => socket.destroy(),
  };
}

interface Known {
  date: string;
  index: string;
}

/** What a host does; resolves with whether there was something new. @throws where a byte is wrong. */
async function update(bearer: Bearer, port: number, known: Known): Promise<boolean> {
  const host = await openHost(bearer, port);
  try {
    const release = await host.ask(RELEASE, `If-Modified-Since: ${known.date}`);
    if (release.status === 304) return false;
    if (release.status !== 200) throw new Error(`InRelease: ${release.status}`);
    const hash = INDEX.exec(release.body.toString())?.[1];
    if (hash === known.index) return true;
    const path = `/dists/${SUITE}/main/binary-${ARCHITECTURE}/by-hash/SHA256/${hash}`;
    const index = await host.ask(path);
    const found = createHash('sha256').update(index.body).digest('hex');
    if (index.status !== 200 || found !== hash) throw new Error(`Packages: ${index.status}`);
    return true;
  } finally {
    host.close();
  }
}

/** The server and its workers. */
const listProcesses = (pid: number): number[] => [
  pid,
  ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .map(Number),
];

const readResident = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;

/** One package after another until it is told to end; resolves with how long each took. */
async function uploadSteadily(own: OwnRepository, from: number, ended: () => boolean) {
  const folder = join(own.data, 'uploads');
  mkdirSync(folder, { recursive: true });
  const times: number[] = [];
  for (let number = from; !ended(); number += 1) {
    const { file, bytes } = makeSample(FIRST_NEW + number);
    writeFileSync(join(folder, file), bytes);
    const began = performance.now();
    await own.put(join(folder, file));
    times.push(performance.now() - began);
    const left = Math.max(UPLOAD_EVERY_MS - (performance.now() - began), 0);
    await new Promise((resolve) => setTimeout(resolve, left));
  }
  return times;
}

async function runStorm(
  own: OwnRepository,
  bearers: readonly Bearer[],
  hosts: number,
  from: number,
): Promise<number> {
  const port = Number(new URL(own.server.url).port);
  const first = await openHost(bearers[0] as Bearer, port);
  const { head, body } = await first.ask(RELEASE);
  first.close();
  const known: Known = {
    date: /^Last-Modified: (.*)$/im.exec(head)?.[1]?.trim() ?? '',
    index: INDEX.exec(body.toString())?.[1] ?? '',
  };
  const pids = listProcesses(own.server.pid);
  const before = sum(pids.map(readThreadsCpu));
  const resident = sum(pids.map(readResident));
  let isOver = false;
  const uploading = uploadSteadily(own, from, () => isOver);
  const span = Math.min(MINUTE_MS, hosts * 30);
  const began = performance.now();
  const times: number[] = [];
  const failures: string[] = [];
  let fresh = 0;
  await Promise.all(
    Array.from({ length: hosts }, async (_, number) => {
      const due = began + (number * span) / hosts;
      await new Promise((resolve) => setTimeout(resolve, Math.max(due - performance.now(), 0)));
      const start = performance.now();
      try {
        if (await update(bearers[number % bearers.length] as Bearer, port, known)) fresh += 1;
        times.push(performance.now() - start);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }),
  );
  const wall = (performance.now() - began) / 1000;
  isOver = true;
  const uploads = await uploading;
  const cpu = (sum(pids.map(readThreadsCpu)) - before) / 1000;
  times.sort((a, b) => a - b);
  const cells = [
    hosts.toLocaleString('en'),
    ...[wall.toFixed(0), String(failures.length), String(fresh)],
    ...[0.5, 0.99, 1].map((share) => at(times, share).toFixed(0)),
    `${uploads.length}, ${median(uploads).toFixed(0)}, ${Math.max(...uploads).toFixed(0)}`,
    ...[cpu.toFixed(1), resident.toFixed(0), sum(pids.map(readResident)).toFixed(0)],
    (sum(pids.map(readPeak)) / 2 ** 20).toFixed(0),
  ];
  console.log(cells.map((cell, column) => cell.padStart(WIDTHS[column] ?? 0)).join(''));
  for (const failure of new Set(failures)) console.log(`  ${failure}`);
  return from + uploads.length;
}

const COLUMNS = [
  ...['hosts', 'in s', 'failed', 'new', 'p50 ms', 'p99', 'max'],
  ...['uploads, p50, max', 'CPU s', 'MB before', 'after', 'RSS peak'],
];
const WIDTHS = COLUMNS.map((name) => Math.max(name.length + 3, 8));

/** `words` are the numbers of hosts; the last runs twice, so that memory that grows is seen. */
export async function measureStorm(words: readonly string[]): Promise<void> {
  const sizes = words.length > 0 ? words.map(Number) : [1000, 10_000];
  const data = makeDataDirectory();
  prepareOwn(data);
  await importFolder(data, openCorpus(PACKAGES).root);
  const own = new OwnRepository(data, { APTKEEP_WORKERS: 'auto' });
  try {
    await own.begin();
    const bearers: Bearer[] = [];
    for (let number = 0; number < CERTIFICATES; number += 1) {
      bearers.push(await issueBearer(data, `storm-${number}`));
    }
    const workers = listProcesses(own.server.pid).length - 1;
    console.log(
      `${workers} workers, an index of ${PACKAGES} packages, an upload every ${UPLOAD_EVERY_MS / 1000} s; memory is shared out (PSS), its peak is the sum of each process's own (RSS)`,
    );
    console.log(COLUMNS.map((name, column) => name.padStart(WIDTHS[column] ?? 0)).join(''));
    let from = 0;
    for (const hosts of [...sizes, ...sizes.slice(-1)]) {
      from = await runStorm(own, bearers, hosts, from);
    }
  } finally {
    await own.halt();
    rmSync(data, { recursive: true });
  }
}
