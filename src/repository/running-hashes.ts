/**
 * Hashes of bytes that come one after another, whose states can be kept: what is added later costs
 * its own size. Floor 3.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ExtraHash } from './suite-options.ts';

/** By its name in Release. */
export type HashName = 'SHA256' | ExtraHash;

/** Lower-case hex; SHA256 is always there. */
export type Digests = { SHA256: string } & Partial<Record<ExtraHash, string>>;

/** Some 2 ms of SHA-256: what the event loop may be held up. */
const STEP_BYTES = 4 * 1024 * 1024;

const ALGORITHMS: Readonly<Record<HashName, string>> = {
  SHA256: 'sha256',
  SHA512: 'sha512',
  MD5sum: 'md5',
};

export class RunningHashes {
  readonly #hashes: ReadonlyMap<HashName, Hash>;
  #size: number;

  private constructor(hashes: ReadonlyMap<HashName, Hash>, size: number) {
    this.#hashes = hashes;
    this.#size = size;
  }

  /** Of no bytes yet. @param extra besides SHA256. */
  static create(extra: readonly ExtraHash[]): RunningHashes {
    const names: HashName[] = ['SHA256', ...extra];
    return new RunningHashes(new Map(names.map((name) => [name, createHash(ALGORITHMS[name])])), 0);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  /** Goes on by itself from here. */
  copy(): RunningHashes {
    const copies = [...this.#hashes].map(([name, hash]) => [name, hash.copy()] as const);
    return new RunningHashes(new Map(copies), this.#size);
  }

  async update(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      if (at > 0) await nextTurn();
      const step = bytes.subarray(at, at + STEP_BYTES);
      for (const hash of this.#hashes.values()) hash.update(step);
      this.#size += step.length;
    }
  }

  /** The hashes of the bytes so far; more may follow. */
  digest(): Digests {
    const digests = [...this.#hashes].map(([name, hash]) => [name, hash.copy().digest('hex')]);
    return Object.fromEntries(digests) as Digests;
  }
}
