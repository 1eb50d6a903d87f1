/**
 * Files that came one by one and wait for the .changes or .dsc that names them: kept apart for each
 * sender and place, bounded, forgotten after some hours and when the server ends, never published
 * by themselves. Floor 3.
 */
import { rm } from 'node:fs/promises';
import { RefusalError } from '../errors.ts';
import { linkStagingFile, writeStagingFile } from '../storage/staging.ts';
import type { ReceivedFile } from './ingest-request.ts';

/** Who sent it, and for where: nobody else's papers find it. */
export interface Owner {
  actor: string;
  suite: string;
  component: string | undefined;
}

/** `until` in milliseconds since the epoch. */
export interface WaitingFile {
  name: string;
  file: ReceivedFile & { path: string };
  until: number;
}

export interface IncomingLimits {
  /** How long a file waits, in milliseconds. */
  waitFor: number;
  /** The most that waits of one sender. */
  maxBytes: number;
  now: () => number;
}

const MAX_FILES = 1000;

const spell = ({ actor, suite, component }: Owner): string =>
  JSON.stringify([actor, suite, component ?? null]);

export class Incoming {
  readonly #limits: IncomingLimits;
  readonly #owners = new Map<string, Map<string, WaitingFile>>();

  constructor(limits: IncomingLimits) {
    this.#limits = limits;
  }

  /** What waits of an owner; asked for by a paper, it goes on waiting as if it had just come. */
  list(owner: Owner): ReceivedFile[] {
    const files = [...(this.#owners.get(spell(owner))?.values() ?? [])];
    for (const one of files) one.until = this.#limits.now() + this.#limits.waitFor;
    return files.map(({ file }) => file);
  }

  /**
   * Keeps a received file under another name in staging, in place of one that came under the same
   * name; the caller still owns the name it came with.
   * @throws RefusalError TOO_LARGE where too much would wait.
   */
  async keep(
    owner: Owner,
    name: string,
    received: ReceivedFile,
    staging: string,
  ): Promise<WaitingFile> {
    const { size, sha256 } = received;
    // Whatever its size: what waits for hours is no burden to the memory.
    const path = await (received.bytes === undefined
      ? linkStagingFile(staging, received.path)
      : writeStagingFile(staging, received.bytes));
    const kept = { path, size, sha256 };
    // From here to the end in one go: another file of the same sender may come at the same time.
    const key = spell(owner);
    const before = this.#owners.get(key)?.get(name);
    const others = this.#listOf(owner.actor).filter((one) => one !== before);
    const bytes = others.reduce((sum, { file }) => sum + file.size, size);
    const { maxBytes, now, waitFor } = this.#limits;
    if (bytes > maxBytes || others.length >= MAX_FILES) {
      await rm(kept.path, { force: true });
      throw new RefusalError(
        'TOO_LARGE',
        `${others.length + 1} files of ${owner.actor} with ${bytes} bytes would wait for their .changes; ${MAX_FILES} files and ${maxBytes} bytes may`,
      );
    }
    const waiting = { name, file: kept, until: now() + waitFor };
    const files = this.#owners.get(key) ?? new Map<string, WaitingFile>();
    this.#owners.set(key, files.set(name, waiting));
    if (before) await rm(before.file.path, { force: true });
    return waiting;
  }

  /** What waits of a sender, wherever for. */
  #listOf(actor: string): WaitingFile[] {
    const own = [...this.#owners].filter(([key]) => (JSON.parse(key) as string[])[0] === actor);
    return own.flatMap(([, files]) => [...files.values()]);
  }

  /** Forgets files of an owner that have been published. */
  async drop(owner: Owner, published: readonly ReceivedFile[]): Promise<void> {
    await this.#forget(({ file }) => published.includes(file), spell(owner));
  }

  /** Forgets what has waited long enough. */
  async expire(): Promise<void> {
    await this.#forget(({ until }) => until <= this.#limits.now());
  }

  /** When the next file is forgotten; Infinity where none waits. */
  get due(): number {
    const files = [...this.#owners.values()].flatMap((one) => [...one.values()]);
    return Math.min(...files.map(({ until }) => until));
  }

  async #forget(isOver: (one: WaitingFile) => boolean, only?: string): Promise<void> {
    for (const [owner, files] of [...this.#owners]) {
      if (only !== undefined && owner !== only) continue;
      for (const one of [...files.values()].filter(isOver)) {
        files.delete(one.name);
        await rm(one.file.path, { force: true });
      }
      if (files.size === 0) this.#owners.delete(owner);
    }
  }
}
