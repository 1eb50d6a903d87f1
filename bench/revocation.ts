/** From the answer to a revocation to its refusal, on every kind of connection, in every worker. */
import { readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { PATH, portOf, time } from './compare.ts';
import { askOnce, loadBearer } from './handshakes.ts';
import { buildSample } from './packages.ts';
import { type BenchServer, median, startServer } from './server.ts';

const REVOCATIONS = 7;
const DOWNLOAD_BYTES = 30_000_000;
/** So many that every worker has some. */
const KEPT_ALIVE = 16;

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

const SEEN = ['new connection, before', 'new connection', 'kept alive', 'download'] as const;

/** Milliseconds from the moment the answer to the revocation was read, here; before it: negative. */
async function revokeOne(
  server: BenchServer,
  revoke: (name: string) => Promise<number>,
  { name, path }: { name: string; path: string },
): Promise<Record<(typeof SEEN)[number], number>> {
  const folder = join(server.data, name);
  server.run('cert', 'issue', name, '--role', 'host', '--out', folder);
  const bearer = loadBearer(folder, name);
  const before = await time(() => askOnce(bearer, portOf(server), PATH));
  const kept = await Promise.all(
    Array.from({ length: KEPT_ALIVE }, () => openKeptAlive(server, folder, name)),
  );
  const ended = Promise.all(kept.map(whenClosed));
  const download = whenClosed(await openDownload(server, folder, name, path));
  const revoked = await revoke(name);
  const status = await askOnce(bearer, portOf(server), PATH);
  if (status !== 403) throw new Error(`status ${status} after the revocation`);
  return {
    'new connection': performance.now() - revoked,
    'new connection, before': before.wall,
    'kept alive': Math.max(...(await ended)) - revoked,
    download: (await download) - revoked,
  };
}

/** The revocation is asked for through one worker; the connections are with all of them. */
export async function measureRevocation(workers: number): Promise<void> {
  const server = await startServer(undefined, { APTKEEP_WORKERS: String(workers) });
  const revoker = createRevoker(server);
  try {
    const path = await uploadLarge(server);
    const rounds: Awaited<ReturnType<typeof revokeOne>>[] = [];
    for (let round = 0; round < REVOCATIONS; round += 1) {
      const name = `host-${round}`;
      rounds.push(await revokeOne(server, revoker.revoke, { name, path }));
    }
    console.log(`revoked, with ${workers} worker${workers === 1 ? '' : 's'}:`);
    for (const what of SEEN) {
      const values = rounds.map((round) => round[what]);
      const last = what === 'kept alive' ? `, the last of ${KEPT_ALIVE}` : '';
      console.log(
        `  ${what}${last}: median ${median(values).toFixed(1)} ms, at most ${Math.max(...values).toFixed(1)} ms`,
      );
    }
  } finally {
    revoker.close();
    await server.stop();
  }
}
