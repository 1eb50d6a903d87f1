/** One thread of the fuzz: every so-manieth input, each made from the seed and its number. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Corpus } from './corpus.ts';
import { createRandom } from './random.ts';
import { Finding, Readers, type Verdict } from './readers.ts';

export interface Task {
  corpus: Corpus;
  seed: number;
  inputs: number;
  thread: number;
  threads: number;
  /** One number a thread: the input under way. */
  progress: SharedArrayBuffer;
}

/** Of one reader; times in milliseconds, without those of the making of inputs. */
export interface Tally {
  counts: Record<Verdict, number>;
  findings: number;
  total: number;
  slowest: number;
  slowestInput: number;
}

export type Report =
  | { kind: 'finding'; reader: string; input: number; reason: string; bytes: string | Uint8Array }
  | { kind: 'done'; tallies: Record<string, Tally> };

/** Of findings that look alike, so many are told. */
const MAX_ALIKE = 2;

const createTally = (): Tally => ({
  ...{ counts: { accepted: 0, altered: 0, refused: 0 }, findings: 0 },
  ...{ total: 0, slowest: 0, slowestInput: 0 },
});

function run(task: Task): void {
  const bench = new Readers(task.corpus);
  const readers = Object.entries(bench.all);
  const tallies = Object.fromEntries(readers.map(([name]) => [name, createTally()]));
  const progress = new Int32Array(task.progress);
  const alike = new Map<string, number>();
  const tell = (report: Report): void => parentPort?.postMessage(report);
  for (let input = task.thread; input < task.inputs; input += task.threads) {
    const [name, read] = readers[Math.floor(input / task.threads) % readers.length] ?? [];
    const tally = tallies[name ?? ''];
    if (name === undefined || read === undefined || tally === undefined)
      throw new Error('no reader');
    Atomics.store(progress, task.thread, input);
    const before = bench.spent;
    try {
      tally.counts[read(createRandom(task.seed, input))] += 1;
    } catch (error) {
      if (!(error instanceof Finding)) throw error;
      tally.findings += 1;
      const sort = `${name} ${error.message.replaceAll(/"[^"]*"|\d+/g, '')}`;
      const times = (alike.get(sort) ?? 0) + 1;
      alike.set(sort, times);
      if (times <= MAX_ALIKE) {
        const { message: reason, input: bytes } = error;
        tell({ kind: 'finding', reader: name, input, reason, bytes });
      }
    }
    const took = bench.spent - before;
    tally.total += took;
    if (took > tally.slowest) {
      tally.slowest = took;
      tally.slowestInput = input;
    }
  }
  tell({ kind: 'done', tallies });
}

run(workerData as Task);
