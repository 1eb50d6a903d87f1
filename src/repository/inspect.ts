/**
 * Many package files read and proven by threads of their own, so that neither the processors idle
 * nor the event loop waits. What comes back is what the catalog will hold. Floor 3.
 */
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { PackageRow } from '../catalog/packages.ts';
import type { RefusalCode } from '../errors.ts';
import { startThread } from '../thread.ts';

export interface BinaryJob {
  kind: 'binary';
  /** Of a file on this machine. */
  path: string;
  /** As the source calls it: a suffix may say what the package does not. */
  named: string;
  component: string;
  /** What its index says of it; undefined where no index does. */
  expected: Expected | undefined;
  /** Whether data.tar is read to its end. */
  checkData: boolean;
}

/** A file that is only to be known by its bytes. */
export interface PlainJob {
  kind: 'plain';
  path: string;
  expected: Expected | undefined;
}

export type InspectionJob = BinaryJob | PlainJob;

/** What an index says of a file. */
export interface Expected {
  size: number;
  sha256: string | undefined;
}

/** `modified` in milliseconds since the epoch, as stat(2) has it. */
export interface InspectedFile {
  size: number;
  sha256: string;
  modified: number;
}

export type InspectedRow = Omit<PackageRow, 'id' | 'uploaded_at' | 'uploaded_by'>;

/** `row` for a binary package alone. */
export interface Inspected {
  file: InspectedFile;
  row?: InspectedRow;
}

export type Inspection =
  | { inspected: Inspected; fault?: undefined }
  | { inspected?: undefined; fault: { code: RefusalCode; why: string } };

/** How a thread and the one that feeds it talk: a list of jobs, a list of results. */
export type InspectionOrder = readonly InspectionJob[];

const THREAD = new URL('./inspect-thread.ts', import.meta.url);
const MAX_THREADS = 4;
/** Enough to make the way between threads short, few enough to keep all of them busy to the end. */
const JOBS_AT_ONCE = 64;

/**
 * Of what is made of a package nearly nothing lives on: a nursery that is large from the beginning is
 * cleared seldom. V8 looks at it when a thread begins.
 */
const NURSERY_MB = 16;

interface Waiting {
  job: InspectionJob;
  resolve: (inspection: Inspection) => void;
  reject: (error: unknown) => void;
}

export class Inspector {
  readonly #idle: Worker[] = [];
  readonly #threads: Worker[] = [];
  readonly #under = new Map<Worker, Waiting[]>();
  #waiting: Waiting[] = [];
  #scheduled = false;

  /** Resolves when the file was read; a refused one is an answer, not an error. */
  inspect(job: InspectionJob): Promise<Inspection> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      // What is asked for together is handed over together.
      setImmediate(() => {
        this.#scheduled = false;
        this.#handOut();
      });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }

  #handOut(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idle.pop() ?? this.#start();
      if (!thread) return;
      const batch = this.#waiting.splice(0, JOBS_AT_ONCE);
      this.#under.set(thread, batch);
      thread.postMessage(batch.map(({ job }) => job) satisfies InspectionOrder);
    }
  }

  #start(): Worker | undefined {
    if (this.#threads.length >= Math.min(MAX_THREADS, availableParallelism())) return undefined;
    const thread = startThread(THREAD, { nurseryMb: NURSERY_MB });
    this.#threads.push(thread);
    thread.on('message', (results: Inspection[]) => {
      const batch = this.#under.get(thread) ?? [];
      this.#under.delete(thread);
      this.#idle.push(thread);
      for (const [position, { resolve }] of batch.entries()) {
        resolve(results[position] as Inspection);
      }
      this.#handOut();
    });
    thread.once('error', (error) => {
      // Nobody waits for ever: all that was asked for fails with it.
      const lost = [...(this.#under.get(thread) ?? []), ...this.#waiting.splice(0)];
      for (const { reject } of lost) reject(error);
    });
    return thread;
  }
}
