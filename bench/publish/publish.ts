/**
 * Publishing side by side: the same packages handed to aptkeep, reprepro, aptly and apt-ftparchive,
 * in rounds whose order rotates, every result judged by gpgv. `npm run bench -- publish 1000 10000`
 * for the sizes. Prints tables and the targets; asserts nothing about time.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAptly, openAptlyApi } from './aptly.ts';
import { type Corpus, factsOf, openCorpus } from './corpus.ts';
import { openFtparchive } from './ftparchive.ts';
import { openInProcess } from './in-process.ts';
import { importFolder, OwnRepository, openCurl, openWarm, prepareOwn } from './own.ts';
import {
  createSigningKey,
  describePrograms,
  type Peer,
  requirePrograms,
  type SigningKey,
  stopAgent,
} from './peer.ts';
import { openReprepro } from './reprepro.ts';
import { type Field, Hands, lineOf, ROWS, runBursts, runLarge, runSteps, warmUp } from './steps.ts';
import { printResults, type Results, record } from './table.ts';
import { printAllTargets } from './targets.ts';
import { checkContents, checkPool } from './verify.ts';

const DEFAULT_SIZES = [10, 1000, 10_000];
const APTLY_PORT = 18_080;

interface Stage {
  corpus: Corpus;
  key: SigningKey;
  results: Results;
  /** Filled as they open, so that what was opened is stopped where another fails. */
  opened: Peer[];
}

const copyTree = (from: string, to: string): void => {
  execFileSync('cp', ['-a', from, to]);
};

/** All of them, each with the whole corpus; the controls begin with a copy. */
async function openPeers(folder: string, { corpus, key, results, opened }: Stage): Promise<void> {
  const at = (name: string): string => join(folder, name);
  prepareOwn(at('aptkeep'));
  const own = new OwnRepository(at('aptkeep'));
  opened.push(
    openWarm('aptkeep', own),
    openReprepro('reprepro', at('reprepro'), key),
    openAptly(at('aptly'), key),
    await openAptlyApi(at('aptly-api'), key, APTLY_PORT),
    openFtparchive(at('ftparchive'), key),
  );
  for (const peer of opened) {
    if (peer.import) record(results, ROWS.import, peer.name, await peer.import(corpus));
  }
  prepareOwn(at('aptkeep-unread'));
  const unread = await importFolder(at('aptkeep-unread'), corpus.root, '--no-check-data');
  record(results, ROWS.import, 'aptkeep --no-check-data', unread);
  rmSync(at('aptkeep-unread'), { recursive: true });
  await own.halt();
  for (const name of ['aptkeep-control', 'aptkeep-inside']) copyTree(at('aptkeep'), at(name));
  copyTree(at('reprepro'), at('reprepro-control'));
  opened.push(
    openCurl('aptkeep, fresh curl', own),
    openWarm('aptkeep, control', new OwnRepository(at('aptkeep-control'))),
    ...openInProcess(at('aptkeep-inside')),
    openReprepro('reprepro, control', at('reprepro-control'), key),
  );
  for (const peer of opened) await peer.begin?.();
}

async function measureSize(size: number, isLargest: boolean): Promise<Results> {
  console.log(`\n-- ${size.toLocaleString('en')} packages`);
  const results: Results = new Map();
  const corpus = openCorpus(size);
  const folder = mkdtempSync(join(tmpdir(), 'aptkeep-publish-'));
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch);
  const key = createSigningKey(folder);
  const opened: Peer[] = [];
  try {
    await openPeers(folder, { corpus, key, results, opened });
    for (let number = 0; number < size; number += 1) {
      for (const { listed } of opened) listed.add(lineOf(factsOf(number)));
    }
    const hands = new Hands(join(folder, 'handed'));
    const field: Field = { peers: opened, size, results, hands, scratch };
    await warmUp(field);
    await runSteps(field);
    if (size >= 1000) await runBursts(field);
    if (size >= 1000 && isLargest) await runLarge(field);
    for (const peer of opened) {
      if (peer.pool) await checkPool(peer, peer.pool, scratch);
      else await checkContents(peer, scratch);
    }
    printResults(results, 'reprepro');
    return results;
  } finally {
    for (const peer of opened) await peer.stop();
    stopAgent(key);
    rmSync(folder, { recursive: true });
  }
}

export async function measurePublishing(words: readonly string[]): Promise<void> {
  requirePrograms();
  console.log(describePrograms());
  const sizes = words.length ? words.map(Number) : DEFAULT_SIZES;
  const all = new Map<number, Results>();
  for (const size of sizes) {
    all.set(size, await measureSize(size, size === Math.max(...sizes)));
  }
  printAllTargets(all);
}
