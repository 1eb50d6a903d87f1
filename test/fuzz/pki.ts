/**
 * Fuzzes the readers of certificates, requests, revocation lists and PEM with a fixed budget:
 *
 *     npm run fuzz                                # a million inputs, a seed of its own
 *     npm run fuzz -- --seed 7 --inputs 50000     # as often as one likes
 *
 * Keys are new in every run, so a finding is kept as a file. Exit status 1 where there is one.
 */
import { randomInt } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Corpus, makeCorpus } from './corpus.ts';
import type { Report, Tally, Task } from './worker.ts';

const INPUTS = 1_000_000;
const THREADS = 2;
/** An input takes a millisecond; only a reader that does not end takes this long. */
const HANG_MS = 60_000;
const MAX_HEAP_MIB = 512;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

let folder: string | undefined;
/** Keeps what was found, and the authorities that it was read against. */
function keep(corpus: Corpus, name: string, bytes: string | Uint8Array): string {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'aptkeep-fuzz-findings-'));
    writeFileSync(join(folder, 'authorities.pem'), corpus.authorities.join(''));
  }
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** Runs one thread to its end; its tallies, or undefined where it hung or broke. */
function runThread(task: Task): Promise<Record<string, Tally> | undefined> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  });
  const progress = new Int32Array(task.progress);
  return new Promise((resolve) => {
    let last = 0;
    let since = performance.now();
    const end = (tallies: Record<string, Tally> | undefined): void => {
      clearInterval(watch);
      worker.terminate().then(
        () => resolve(tallies),
        () => resolve(tallies),
      );
    };
    const watch = setInterval(() => {
      const now = Atomics.load(progress, task.thread);
      if (now !== last) since = performance.now();
      const tenth = Math.floor((now * 10) / task.inputs);
      if (task.thread === 0 && tenth > Math.floor((last * 10) / task.inputs))
        say(`${tenth * 10} %`);
      last = now;
      if (performance.now() - since < HANG_MS) return;
      say(`FINDING input ${now}: no end after ${HANG_MS} ms`);
      end(undefined);
    }, 500);
    worker.on('error', (error: Error) => {
      say(`FINDING near input ${Atomics.load(progress, task.thread)}: ${error.stack}`);
      end(undefined);
    });
    worker.on('message', (report: Report) => {
      if (report.kind === 'done') return end(report.tallies);
      const { reader, input, reason, bytes } = report;
      say(`FINDING ${reader}, input ${input}: ${reason}`);
      say(`  kept as ${keep(task.corpus, `${reader}-${input}`, bytes)}`);
    });
  });
}

function addTallies(all: readonly Record<string, Tally>[]): Record<string, Tally> {
  const sums: Record<string, Tally> = {};
  for (const [name, tally] of all.flatMap((tallies) => Object.entries(tallies))) {
    const sum = sums[name];
    if (sum === undefined) {
      sums[name] = structuredClone(tally);
      continue;
    }
    for (const verdict of ['accepted', 'altered', 'refused'] as const) {
      sum.counts[verdict] += tally.counts[verdict];
    }
    sum.findings += tally.findings;
    sum.total += tally.total;
    if (tally.slowest > sum.slowest) {
      sum.slowest = tally.slowest;
      sum.slowestInput = tally.slowestInput;
    }
  }
  return sums;
}

function printTable(tallies: Record<string, Tally>): void {
  const rows = Object.entries(tallies).map(
    ([name, { counts, findings, total, slowest, slowestInput }]) => [
      ...[name, counts.accepted + counts.altered + counts.refused + findings],
      ...[counts.accepted, counts.altered, counts.refused, findings],
      ...[(total / 1000).toFixed(1), `${slowest.toFixed(0)} ms (input ${slowestInput})`],
    ],
  );
  const heading = [
    'READER',
    'INPUTS',
    'ACCEPTED',
    'ALTERED',
    'REFUSED',
    'FINDINGS',
    'SECONDS',
    'SLOWEST',
  ];
  for (const row of [heading, ...rows]) {
    say(
      row
        .map((cell, at) => (at === 0 ? String(cell).padEnd(16) : String(cell).padStart(9)))
        .join(' '),
    );
  }
}

const { values } = parseArgs({ options: { seed: { type: 'string' }, inputs: { type: 'string' } } });
const seed = Number(values.seed ?? randomInt(2 ** 31));
const inputs = Number(values.inputs ?? INPUTS);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(inputs) || inputs < 1) {
  throw new RangeError('--seed and --inputs take whole numbers');
}
say(`seed ${seed}, ${inputs} inputs`);
const began = performance.now();
const corpus = await makeCorpus();
const progress = new SharedArrayBuffer(4 * THREADS);
const ended = await Promise.all(
  Array.from({ length: THREADS }, (_, thread) =>
    runThread({ corpus, seed, inputs, thread, threads: THREADS, progress }),
  ),
);
const tallies = addTallies(ended.filter((one) => one !== undefined));
printTable(tallies);
const seconds = ((performance.now() - began) / 1000).toFixed(0);
const { maxRSS } = process.resourceUsage();
say(
  `${seconds} s with the corpus, at most ${Math.round(maxRSS / 1024)} MiB; altered: accepted with the signed part unchanged`,
);
const failed = ended.includes(undefined) || Object.values(tallies).some((one) => one.findings > 0);
process.exitCode = failed ? 1 : 0;
