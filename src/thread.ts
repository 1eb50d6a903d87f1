/**
 * Threads that begin with the compiled code that was kept: without it each would translate its
 * TypeScript again, which takes longer than many a thread works. Floor 0.
 */
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

/** What every Node of ours begins with; bin/aptkeep has the same, and says why. */
export const PROCESS_FLAGS = ['--disable-sigusr1'];

export interface ThreadOptions {
  workerData?: unknown;
  /** Of the memory for what is young, in MiB, from the beginning: V8 begins with one and grows it. */
  nurseryMb?: number;
}

let collect: ((options: { type: 'minor' }) => void) | undefined;

/**
 * Clears the nursery of this thread: V8 does not count what its objects hold outside the heap, and
 * would let dozens of megabytes of it stand. Some tenths of a millisecond where little is young.
 */
export function clearNursery(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as typeof collect;
  }
  collect?.({ type: 'minor' });
}

/** A thread that runs the file at `url`. */
export function startThread(url: URL, { workerData, nurseryMb }: ThreadOptions = {}): Worker {
  // A flag of the whole process, which V8 reads when the memory of a thread is set up.
  if (nurseryMb !== undefined) setFlagsFromString(`--min-semi-space-size=${nurseryMb}`);
  const resourceLimits = nurseryMb === undefined ? {} : { maxYoungGenerationSizeMb: 3 * nurseryMb };
  const cache = getCompileCacheDir();
  // It is that of this version of Node inside the one that was named.
  const kept = cache === undefined ? {} : { NODE_COMPILE_CACHE: dirname(cache) };
  return new Worker(url, { workerData, resourceLimits, env: { ...process.env, ...kept } });
}
