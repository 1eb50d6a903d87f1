/** Servers side by side: full handshakes with one request each, in one run, and their CPU time. */
import { join } from 'node:path';
import { askMany, type Bearer, loadBearer } from './handshakes.ts';
import { type BenchServer, median } from './server.ts';

const HANDSHAKES = 300;
const HANDSHAKE_ROUNDS = 5;
/** What is asked for: small, and there in every repository. */
export const PATH = '/dists/stable/InRelease';

export const portOf = (server: BenchServer): number => Number(new URL(server.url).port);

export interface Times {
  wall: number;
  cpu: number;
}

/** Of one call, CPU of this process. */
export async function time(run: () => unknown): Promise<Times> {
  const began = performance.now();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { wall: performance.now() - began, cpu: (user + system) / 1000 };
}

export interface Peer {
  name: string;
  port: number;
  /** Of a client that it lets in. */
  bearer: Bearer;
  cpu(): number;
}

/**
 * Full handshakes with one request each, in rounds whose order rotates. Prints the CPU time of each
 * server, and the ratio of the first to each other; answers it, in ms per 1,000, by name.
 */
export async function compareHandshakes(peers: readonly Peer[]): Promise<(name: string) => number> {
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
  return cpuOf;
}

export const asPeer = (name: string, server: BenchServer): Peer => ({
  ...{ name, port: portOf(server), bearer: loadBearer(join(server.data, 'web'), 'web') },
  cpu: () => server.cpu(),
});
