/**
 * What trust costs: a revocation list of a hundred thousand entries, the time from a revocation to
 * its refusal, and full mutual handshakes beside nginx with the same keys and the same list.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { openParts } from '../src/compose.ts';
import { loadConfig } from '../src/config.ts';
import { createLogger } from '../src/log.ts';
import { readCertificate } from '../src/pki/certificate.ts';
import { issueCrl, readCrl } from '../src/pki/crl.ts';
import { createSerial } from '../src/pki/serial.ts';
import { askMany, askOnce, type Bearer, loadBearer } from './handshakes.ts';
import { findNginx, startNginx } from './nginx.ts';
import { buildSample } from './packages.ts';
import { type BenchServer, makeDataDirectory, median, runProgram, startServer } from './server.ts';

const REVOKED = 100_000;
const LIST_ROUNDS = 5;
const CHECKS = 1_000_000;
const HANDSHAKES = 300;
const HANDSHAKE_ROUNDS = 5;
const REVOCATIONS = 7;
const DOWNLOAD_BYTES = 30_000_000;
const PATH = '/dists/stable/InRelease';

const portOf = (server: BenchServer): number => Number(new URL(server.url).port);
const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** An initialised data directory whose catalog has so many certificates, all revoked, and a host. */
function prepareData(revoked: number): string {
  const data = makeDataDirectory();
  runProgram('init', '--data', data);
  const flags = ['--role', 'host', '--out', join(data, 'web'), '--data', data];
  runProgram('cert', 'issue', 'web', ...flags);
  if (revoked === 0) return data;
  const sql = new DatabaseSync(join(data, 'catalog.sqlite'));
  // Copies of a real row, whatever columns there are.
  const columns = sql.prepare('select name from pragma_table_info(?1)').all('certificate');
  const changed: Record<string, string> = {
    ...{ serial: '?1', name: "'gone'", fingerprint: '?1', revocation_reason: "'superseded'" },
    revoked_at: 'issued_at',
  };
  const names = columns.map(({ name }) => String(name));
  const values = names.map((name) => changed[name] ?? name).join(', ');
  const insert = sql.prepare(
    `insert into certificate (${names.join(', ')}) select ${values} from certificate where name = 'web'`,
  );
  sql.exec('begin');
  for (let i = 0; i < revoked; i += 1) insert.run(createSerial(randomBytes(16)));
  sql.exec('commit');
  sql.close();
  runProgram('crl', 'refresh', '--data', data);
  return data;
}

interface Times {
  wall: number;
  cpu: number;
}

/** Of one call, CPU of this process. */
async function time(run: () => unknown): Promise<Times> {
  const began = performance.now();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { wall: performance.now() - began, cpu: (user + system) / 1000 };
}

async function measureOften(run: () => unknown): Promise<string> {
  const times: Times[] = [];
  for (let round = 0; round < LIST_ROUNDS; round += 1) times.push(await time(run));
  const wall = median(times.map((one) => one.wall));
  return `wall ${milliseconds(wall)}, CPU ${milliseconds(median(times.map((one) => one.cpu)))}`;
}

/** The list itself, in this process: the gate's own parts, opened on the data directory. */
async function measureList(label: string, data: string): Promise<void> {
  const parts = await openParts(loadConfig({ data, settings: {} }, {}), createLogger('silent'));
  try {
    const { trust, issuers } = parts.authority;
    const [issuer] = issuers;
    const [authority] = trust.authorities;
    const list = trust.crl;
    if (authority === undefined || list === undefined || issuer === undefined)
      throw new Error('there is no list');
    const [ca, cert, key] = ['client-ca.crt', 'server.crt', 'server.key'].map((name) =>
      readFileSync(join(data, 'certs', name)),
    );
    console.log(`${label}: ${list.entries.length} entries, ${Buffer.byteLength(list.pem)} bytes`);
    console.log(`  issue        ${await measureOften(() => issueCrl(issuer.signer, list))}`);
    console.log(`  read, verify ${await measureOften(() => readCrl(list.pem, authority))}`);
    const context = () => createSecureContext({ cert, key, ca, crl: list.pem });
    console.log(`  TLS context  ${await measureOften(context)}`);
    const facts = readCertificate(readFileSync(join(data, 'web/web.crt')));
    const presented = {
      ...{ serial: facts.serial, fingerprint: facts.fingerprint },
      authority: authority.fingerprint,
      ...{ notBefore: facts.notBefore.getTime(), notAfter: facts.notAfter.getTime() },
    };
    const check = (): void => {
      for (let i = 0; i < CHECKS; i += 1) {
        const now = Date.now();
        if (!trust.isFresh(now) || trust.findFault(presented, now)) throw new Error('refused');
      }
    };
    const costs: number[] = [];
    for (let round = 0; round < LIST_ROUNDS; round += 1) costs.push((await time(check)).cpu);
    console.log(`  check of a request ${((median(costs) / CHECKS) * 1000).toFixed(2)} µs of CPU`);
  } finally {
    await parts.close();
  }
}

interface Peer {
  name: string;
  port: number;
  /** Of a client that it lets in. */
  bearer: Bearer;
  cpu(): number;
}

/** Full handshakes with one request each, in rounds whose order rotates; CPU of each server. */
async function compareHandshakes(peers: readonly Peer[]): Promise<void> {
  const results = new Map(peers.map((peer) => [peer.name, [] as Times[]]));
  for (const peer of peers) await askMany(peer.bearer, peer.port, PATH, 50);
  for (let round = 0; round < HANDSHAKE_ROUNDS; round += 1) {
    for (let turn = 0; turn < peers.length; turn += 1) {
      const peer = peers[(round + turn) % peers.length];
      if (peer === undefined) continue;
      const before = peer.cpu();
      const { wall } = await time(() => askMany(peer.bearer, peer.port, PATH, HANDSHAKES));
      results.get(peer.name)?.push({ wall, cpu: peer.cpu() - before });
    }
  }
  const cpuOf = (name: string): number =>
    (median((results.get(name) ?? []).map((one) => one.cpu)) / HANDSHAKES) * 1000;
  for (const [name, times] of results) {
    const rate = HANDSHAKES / (median(times.map((one) => one.wall)) / 1000);
    console.log(
      `${name}: server CPU ${cpuOf(name).toFixed(0)} ms per 1,000 handshakes with a request each, ${rate.toFixed(0)}/s with this load (median of ${HANDSHAKE_ROUNDS} × ${HANDSHAKES})`,
    );
  }
  const [first, ...others] = peers;
  for (const other of first === undefined ? [] : others) {
    const ratio = cpuOf(first?.name ?? '') / cpuOf(other.name);
    console.log(`ratio of CPU, ${first?.name} to ${other.name}: ${ratio.toFixed(2)}`);
  }
  const [, control, again] = peers;
  if (control === undefined || again === undefined) return;
  const ratio = cpuOf(control.name) / cpuOf(again.name);
  console.log(
    `ratio of CPU, ${control.name} to ${again.name} (nothing differs): ${ratio.toFixed(2)}`,
  );
}

const asPeer = (name: string, server: BenchServer): Peer => ({
  ...{ name, port: portOf(server), bearer: loadBearer(join(server.data, 'web'), 'web') },
  cpu: () => server.cpu(),
});

async function measureLargeList(): Promise<void> {
  const [full, empty] = [prepareData(REVOKED), prepareData(0)];
  await measureList('a list of many', full);
  await measureList('an empty list', empty);
  const servers = [await startServer(full), await startServer(empty)];
  try {
    for (const [at, server] of servers.entries()) {
      const before = server.cpu();
      const { wall } = await time(() => server.run('crl', 'refresh'));
      const cpu = server.cpu() - before;
      const label = at === 0 ? 'many' : 'none';
      console.log(
        `crl refresh, ${label}: wall ${milliseconds(wall)}, server CPU ${milliseconds(cpu)}`,
      );
    }
    const [many, none] = servers;
    if (many === undefined || none === undefined) return;
    await compareHandshakes([asPeer('list of many', many), asPeer('list of none', none)]);
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** Asks the server to revoke, on a connection that stands already; resolves when it has answered. */
function createRevoker(server: BenchServer): {
  revoke(name: string): Promise<number>;
  close(): void;
} {
  const folder = join(server.data, 'root');
  server.run('cert', 'issue', 'root', '--role', 'admin', '--out', folder);
  const agent = new Agent({
    keepAlive: true,
    ca: readFileSync(join(folder, 'ca.crt')),
    cert: readFileSync(join(folder, 'root.crt')),
    key: readFileSync(join(folder, 'root.key')),
  });
  const revoke = (name: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json', 'Content-Length': 2 };
      const path = `/v1/certificates/${name}/revoke`;
      const post = request(
        ...([new URL(path, server.url), { method: 'POST', agent, headers }] as const),
        (response) => {
          response.resume();
          response.once('end', () => resolve(performance.now()));
        },
      );
      post.once('error', reject);
      post.end('{}');
    });
  return { revoke, close: () => agent.destroy() };
}

/** Resolves with the moment the peer ended the connection. */
const whenClosed = (socket: TLSSocket): Promise<number> =>
  new Promise((resolve) => socket.once('close', () => resolve(performance.now())));

function openKeptAlive(server: BenchServer, folder: string, name: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { context } = loadBearer(folder, name);
    const target = { host: '127.0.0.1', port: portOf(server), servername: 'localhost' };
    const socket = connectTls({ ...target, secureContext: context });
    socket.once('error', reject);
    socket.once('secureConnect', () =>
      socket.write(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    );
    socket.once('data', () => {
      socket.removeListener('error', reject);
      socket.on('error', () => {});
      socket.on('data', () => {});
      resolve(socket);
    });
  });
}

/** A download whose reader takes little at a time, until the connection ends. */
async function openDownload(
  server: BenchServer,
  folder: string,
  name: string,
  path: string,
): Promise<TLSSocket> {
  const socket = await openKeptAlive(server, folder, name);
  socket.removeAllListeners('data');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await new Promise((resolve) => socket.once('readable', resolve));
  const timer = setInterval(() => socket.read(Math.min(16_384, socket.readableLength)), 2);
  socket.once('close', () => clearInterval(timer));
  return socket;
}

/** Uploads a package that takes a while to download; its path. */
async function uploadLarge(server: BenchServer): Promise<string> {
  const file = buildSample('large', '1', DOWNLOAD_BYTES);
  server.run('upload', file, '--suite', 'stable');
  rmSync(dirname(file), { recursive: true });
  return '/pool/main/l/large/large_1_all.deb';
}

/**
 * From the moment the answer to the revocation was read, here. What other processes of one server
 * do (workers) belongs beside these, once there are some: the same connections, accepted by another.
 */
async function measureRevocation(): Promise<void> {
  const server = await startServer();
  const revoker = createRevoker(server);
  try {
    const path = await uploadLarge(server);
    const waits: Record<string, number[]> = {
      ...{ 'new connection, before': [], 'new connection': [], 'kept alive': [], download: [] },
    };
    for (let round = 0; round < REVOCATIONS; round += 1) {
      const name = `host-${round}`;
      const folder = join(server.data, name);
      server.run('cert', 'issue', name, '--role', 'host', '--out', folder);
      const bearer = loadBearer(folder, name);
      const before = await time(() => askOnce(bearer, portOf(server), PATH));
      const kept = whenClosed(await openKeptAlive(server, folder, name));
      const download = whenClosed(await openDownload(server, folder, name, path));
      const revoked = await revoker.revoke(name);
      const status = await askOnce(bearer, portOf(server), PATH);
      if (status !== 403) throw new Error(`status ${status} after the revocation`);
      waits['new connection']?.push(performance.now() - revoked);
      waits['new connection, before']?.push(before.wall);
      waits['kept alive']?.push((await kept) - revoked);
      waits.download?.push((await download) - revoked);
    }
    for (const [what, values] of Object.entries(waits)) {
      const sorted = [...values].sort((a, b) => a - b);
      console.log(
        `${what}: median ${median(values).toFixed(1)} ms, at most ${sorted.at(-1)?.toFixed(1)} ms`,
      );
    }
  } finally {
    revoker.close();
    await server.stop();
  }
}

async function measureBesideNginx(): Promise<void> {
  const version = findNginx();
  if (version === undefined) {
    console.log(
      'beside nginx: not measured, nginx is missing; on Debian: apt-get install nginx-light',
    );
    return;
  }
  const server = await startServer();
  server.run('cert', 'issue', 'web', '--role', 'host', '--out', join(server.data, 'web'));
  server.run('cert', 'issue', 'gone', '--role', 'host', '--out', join(server.data, 'gone'));
  server.run('cert', 'revoke', 'gone');
  const peers = [
    await startNginx(server.data, portOf(server) + 1),
    await startNginx(server.data, portOf(server) + 2),
  ];
  try {
    const gone = loadBearer(join(server.data, 'gone'), 'gone');
    for (const { port } of peers) {
      if ((await askOnce(gone, port, PATH)) === 200) throw new Error('nginx let a revoked one in');
    }
    console.log(`InRelease of ${statSync(join(server.data, PATH)).size} bytes, nginx ${version}`);
    const own = asPeer('aptkeep', server);
    const { bearer } = own;
    const others = peers.map((peer, at) => ({ ...peer, bearer, name: `nginx ${at ? 'B' : 'A'}` }));
    await compareHandshakes([own, ...others]);
  } finally {
    for (const peer of peers) await peer.stop();
    await server.stop();
  }
}

export async function measureTrust(): Promise<void> {
  await measureRevocation();
  await measureBesideNginx();
  await measureLargeList();
}
