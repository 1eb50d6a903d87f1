/** The steps that are measured, in rounds whose order rotates; what each published is judged. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Facts, FIRST_NEW, factsOf, makeSample } from './corpus.ts';
import type { Handed, Peer } from './peer.ts';
import { type Results, record } from './table.ts';
import { checkSigned } from './verify.ts';

const BURST = 100;
const LARGE_BYTES = 80_000_000;
const LARGE_ROUNDS = 3;
const BURST_ROUNDS = 3;
const WARM_ROUNDS = 5;

/** The names of the rows. */
export const ROWS = {
  import: 'bulk import',
  add: 'one more package',
  replace: 'a newer version, in the middle',
  remove: 'a package removed, in the middle',
  burst: `a burst of ${BURST}`,
  large: 'a package of 80 MB',
  largeAfter: 'a package of 80 MB, once it is sent',
} as const;

const roundsFor = (size: number): number => (size > 30_000 ? 3 : size > 3000 ? 7 : 11);

/** What is handed over is made before it is measured, and gone after. */
export class Hands {
  readonly #folder: string;
  #next = FIRST_NEW;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Numbers that were not handed over yet. */
  take(count: number): number {
    const first = this.#next;
    this.#next += count;
    return first;
  }

  make(number: number, update = 0, bytes?: number): Handed {
    const { bytes: content, file, ...facts } = makeSample(number, update, bytes);
    const path = join(this.#folder, file);
    writeFileSync(path, content);
    return { ...facts, path };
  }
}

export const lineOf = (one: Facts): string => `${one.name} ${one.version} ${one.architecture}`;

export interface Field {
  peers: readonly Peer[];
  size: number;
  results: Results;
  hands: Hands;
  scratch: string;
}

type Step = 'add' | 'replace' | 'remove';
const STEPS: readonly Step[] = ['add', 'replace', 'remove'];

/** Hands over one step to one program, and has what it published judged. */
async function take(field: Field, peer: Peer, step: Step, number: number): Promise<void> {
  const { hands, results } = field;
  if (step === 'add') {
    const file = hands.make(number + (peer.variant ?? 0));
    record(results, ROWS[step], peer.name, await peer.add(file));
    peer.listed.add(lineOf(file));
  } else {
    const { replace, remove } = peer;
    const old = factsOf(number + (peer.variant ?? 0));
    if (step === 'replace' && replace) {
      const file = hands.make(number + (peer.variant ?? 0), 1);
      record(results, ROWS[step], peer.name, await replace(file, old));
      peer.listed.add(lineOf(file));
    } else if (step === 'remove' && remove) {
      record(results, ROWS[step], peer.name, await remove(old));
    } else return;
    peer.listed.delete(lineOf(old));
  }
  await checkSigned(peer, field.scratch);
}

/** Programs in an order that is another one in every round. */
function* rotate(peers: readonly Peer[], round: number): Generator<Peer> {
  for (let turn = 0; turn < peers.length; turn += 1) {
    const peer = peers[(round + turn) % peers.length];
    if (peer) yield peer;
  }
}

const placesOf = (peers: readonly Peer[]): number =>
  1 + Math.max(...peers.map(({ variant }) => variant ?? 0));

/** Those that keep running are asked before it counts: what is measured is not their start. */
export async function warmUp(field: Field): Promise<void> {
  const unmeasured = { ...field, results: new Map() };
  for (let round = 0; round < WARM_ROUNDS; round += 1) {
    const number = field.hands.take(placesOf(field.peers));
    for (const peer of field.peers) if (peer.begin) await take(unmeasured, peer, 'add', number);
  }
}

export async function runSteps(field: Field): Promise<void> {
  const { peers, size, hands } = field;
  const places = placesOf(peers);
  let middle = size < 1000 ? 0 : Math.floor(size / 2);
  for (let round = 0; round < roundsFor(size); round += 1) {
    for (const step of STEPS) {
      const number = step === 'add' ? hands.take(places) : middle;
      if (step !== 'add') middle += places;
      // Ten packages have a middle that is soon used up.
      if (step !== 'add' && number + places > size) continue;
      for (const peer of rotate(peers, round)) await take(field, peer, step, number);
    }
  }
}

export async function runBursts(field: Field): Promise<void> {
  const { peers, hands, results } = field;
  for (let round = 0; round < BURST_ROUNDS; round += 1) {
    const first = hands.take(BURST);
    const files = Array.from({ length: BURST }, (_, at) => hands.make(first + at));
    for (const peer of rotate(peers, round)) {
      if (!peer.burst) continue;
      record(results, ROWS.burst, peer.name, await peer.burst(files));
      for (const file of files) peer.listed.add(lineOf(file));
      await checkSigned(peer, field.scratch);
    }
  }
}

export async function runLarge(field: Field): Promise<void> {
  const { peers, hands, results } = field;
  for (let round = 0; round < LARGE_ROUNDS; round += 1) {
    const file = hands.make(hands.take(1), 0, LARGE_BYTES);
    for (const peer of rotate(peers, round)) {
      if ((peer.variant ?? 0) > 0) continue;
      const add = peer.addLarge ?? peer.add;
      const cost = await add(file);
      record(results, ROWS.large, peer.name, cost);
      if ('after' in cost) {
        const after = { ...cost, wall: cost.after as number };
        record(results, ROWS.largeAfter, peer.name, after);
      }
      peer.listed.add(lineOf(file));
      await checkSigned(peer, field.scratch);
    }
    rmSync(file.path);
  }
}
