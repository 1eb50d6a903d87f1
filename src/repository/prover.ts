/**
 * Large package files read to their end by a thread of its own, while they come or after: the event
 * loop does not wait, and what decoders leave behind is collected in a heap that has nothing else.
 * Floor 3.
 */
import type { Worker } from 'node:worker_threads';
import { type RefusalCode, RefusalError } from '../errors.ts';
import { startThread } from '../thread.ts';
import type { Proof } from './early-proof.ts';

/** A smaller file is read before a thread has begun. */
export const MIN_PROVEN_BYTES = 262_144;

const THREAD = new URL('./proof-thread.ts', import.meta.url);
const IDLE_MS = 30_000;
/** A thread that is woken for less spends its time on waking. */
const TOLD_BYTES = 4 * 1_048_576;

/** `written` bytes of the file at `path` are there; where it is still coming, the rest follows. */
export interface ProofJob {
  id: number;
  path: string;
  size: number;
  written: number;
  isComing: boolean;
}

/** A job; how much of its file is there by now; that no more of it will come. */
export type ProofOrder = ProofJob | { id: number; written: number } | { id: number; ended: true };

/** None of the three where a file that is coming could not be proven on the way. */
export interface ProofAnswer {
  id: number;
  proof?: Proof | undefined;
  fault?: { code: RefusalCode; why: string };
  failure?: string;
}

/** A file that is read while it comes. */
export interface EarlyProof {
  /** So many bytes are in the file now; they do not change any more. */
  advance(written: number): void;
  /** Nothing more will come. Of no effect where everything has. */
  end(): void;
  /** Undefined where it is not right, or cannot be read this way. Never rejects. */
  proof: Promise<Proof | undefined>;
}

interface Waiting {
  resolve: (proof: Proof | undefined) => void;
  reject: (error: unknown) => void;
}

export class Prover {
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #last = 0;

  /** Begins with a file that has nothing yet, and will have `size` bytes. */
  begin(path: string, size: number): EarlyProof {
    const { id, proof } = this.#order({ path, size, written: 0, isComing: true });
    const tell = (order: ProofOrder): void => {
      if (this.#waiting.has(id)) this.#thread?.postMessage(order);
    };
    let told = 0;
    return {
      advance: (written) => {
        if (written < size && written - told < TOLD_BYTES) return;
        told = written;
        tell({ id, written });
      },
      end: () => tell({ id, ended: true }),
      proof: proof.catch(() => undefined),
    };
  }

  /** Of a file that is there. @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE */
  async prove(path: string, size: number): Promise<Proof> {
    const { proof } = this.#order({ path, size, written: size, isComing: false });
    const proven = await proof;
    if (!proven) throw new Error('the thread that reads packages gave no answer');
    return proven;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const thread = this.#thread;
    this.#lose(new Error('the repository is closed'));
    await thread?.terminate();
  }

  #order(job: Omit<ProofJob, 'id'>): { id: number; proof: Promise<Proof | undefined> } {
    this.#last += 1;
    const id = this.#last;
    const { promise, resolve, reject } = Promise.withResolvers<Proof | undefined>();
    this.#waiting.set(id, { resolve, reject });
    clearTimeout(this.#timer);
    this.#thread ??= this.#start();
    this.#thread.postMessage({ id, ...job } satisfies ProofOrder);
    return { id, proof: promise };
  }

  #start(): Worker {
    const thread = startThread(THREAD);
    thread.on('message', (answer: ProofAnswer) => this.#settle(answer));
    thread.once('error', (error) => {
      if (this.#thread === thread) this.#lose(error);
    });
    return thread;
  }

  #settle({ id, proof, fault, failure }: ProofAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (fault) waiting?.reject(new RefusalError(fault.code, fault.why));
    else if (failure !== undefined) waiting?.reject(new Error(failure));
    else waiting?.resolve(proof && own(proof));
    if (this.#waiting.size > 0) return;
    this.#timer = setTimeout(() => {
      const thread = this.#thread;
      this.#thread = undefined;
      void thread?.terminate();
    }, IDLE_MS).unref();
  }

  /** Nobody waits for ever for a thread that is gone; who comes next begins another. */
  #lose(error: unknown): void {
    this.#thread = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Buffers cross over as plain arrays. */
function own({ archive, paths }: Proof): Proof {
  return { archive: { ...archive, control: Buffer.from(archive.control) }, paths };
}
