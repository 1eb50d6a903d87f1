/** Servers take turns, in another order every round, with a control; what came out, as a table. */
import { median } from '../server.ts';

export interface Peer {
  name: string;
  port: number;
  /** Milliseconds of CPU so far, of all its threads. */
  cpu(): number;
}

export interface Row {
  what: string;
  /** Requests, or megabytes, in a round: what the figures are of. */
  count: number;
  unit: string;
  /** How many such units a figure is given for. */
  per: number;
  /** Of the CPU time of the peer that is the measure. */
  atMost?: number;
  /** At least this much of its speed, where that is a target. */
  atLeastSpeed?: number;
  /** What stands before each run, and is not measured. */
  prepare?: (peer: Peer) => void;
  run: (peer: Peer) => Promise<void>;
}

interface Taken {
  wall: number;
  cpu: number;
}

async function take(peer: Peer, { prepare, run }: Row): Promise<Taken> {
  prepare?.(peer);
  const before = peer.cpu();
  const began = performance.now();
  await run(peer);
  return { wall: performance.now() - began, cpu: peer.cpu() - before };
}

const ratio = (
  all: ReadonlyMap<string, Taken[]>,
  [name, other]: readonly [string, string],
  pick: (one: Taken) => number,
): number =>
  median(
    (all.get(name) ?? []).map((one, round) => {
      const theirs = all.get(other)?.[round];
      return theirs ? pick(one) / pick(theirs) : Number.NaN;
    }),
  );

function judge(row: Row, cpu: number, wall: number): string {
  if (row.atMost === undefined) return '';
  const words = [
    cpu <= row.atMost ? `at most ${row.atMost}: met` : `at most ${row.atMost}: missed`,
  ];
  const { atLeastSpeed } = row;
  if (atLeastSpeed !== undefined) {
    const speed = 1 / wall;
    words.push(`speed ${speed.toFixed(2)}, at least ${atLeastSpeed}`);
  }
  return words.join('; ');
}

/** @param measure the peer that ratios are to. */
export async function compare(
  peers: readonly Peer[],
  measure: string,
  rows: readonly Row[],
  rounds: number,
): Promise<void> {
  for (const row of rows) {
    const all = new Map(peers.map(({ name }) => [name, [] as Taken[]]));
    for (const peer of peers) await take(peer, row);
    for (let round = 0; round < rounds; round += 1) {
      for (let turn = 0; turn < peers.length; turn += 1) {
        const peer = peers[(round + turn) % peers.length];
        if (peer) all.get(peer.name)?.push(await take(peer, row));
      }
    }
    console.log(
      `\n${row.what.padEnd(34)}${['CPU ms', 'CPU ratio', `${row.unit}/s`, 'wall ratio'].map((one) => one.padStart(12)).join('')}`,
    );
    for (const [name, taken] of all) {
      const cpu = (median(taken.map((one) => one.cpu)) / row.count) * row.per;
      const speed = row.count / (median(taken.map((one) => one.wall)) / 1000);
      const [byCpu, byWall] = [
        ratio(all, [name, measure], (one) => one.cpu),
        ratio(all, [name, measure], (one) => one.wall),
      ];
      const cells = [
        cpu.toFixed(cpu < 100 ? 1 : 0),
        Number.isNaN(byCpu) ? '' : byCpu.toFixed(3),
        speed.toFixed(speed < 100 ? 1 : 0),
      ];
      const line = [...cells, byWall.toFixed(3)].map((one) => one.padStart(12)).join('');
      const verdict = name === 'aptkeep' ? `   ${judge(row, byCpu, byWall)}` : '';
      console.log(`  ${name.padEnd(32)}${line}${verdict}`);
    }
  }
}
