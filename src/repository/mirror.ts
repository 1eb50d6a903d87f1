/**
 * The current publication once more under its plain names in dists/, for a person's eyes and for
 * tools that read the tree from disk. Hosts are never served from it: they get the publication
 * itself, in one piece. So nobody waits for it: it follows in the background, the newest
 * publication only, and takes a small share of the disk's time. Floor 3.
 */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { distsKey } from '../deb/layout.ts';
import type { Logger } from '../log.ts';
import { createStagingFile } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { LivePublication } from './live.ts';
import { type PublishedFile, readPublishedFile } from './published-files.ts';

export interface MirrorParts {
  storage: Storage;
  staging: string;
  log: Logger;
}

/** Before a suite is written, and between two times: this long, and so many times as it took. */
const MIN_PAUSE_MS = 250;
const PAUSE_RATIO = 20;

/** Whether the mirror holds a publication whole: InRelease is written last. */
async function isMirrored(
  { storage }: Pick<MirrorParts, 'storage'>,
  publication: LivePublication,
): Promise<boolean> {
  const key = distsKey(publication.suite, 'InRelease');
  if (!(await storage.stat(key))) return false;
  return (await buffer(await storage.read(key))).equals(publication.inRelease);
}

/** Through a file, so that a large index takes no memory. */
async function copyFile(
  { storage, staging }: MirrorParts,
  suite: string,
  file: PublishedFile,
): Promise<void> {
  const { path, handle } = await createStagingFile(staging);
  await handle.close();
  try {
    await pipeline(await readPublishedFile(storage, file), createWriteStream(path));
    await storage.write(distsKey(suite, file.path), { path, size: file.size });
  } finally {
    await rm(path, { force: true });
  }
}

/** Writes what differs from `base`, the signed files last. */
async function writeMirror(
  parts: MirrorParts,
  publication: LivePublication,
  base: LivePublication | undefined,
): Promise<void> {
  const { storage } = parts;
  const { suite } = publication;
  for (const file of publication.files.values()) {
    if (base?.files.get(file.path)?.sha256 !== file.sha256) await copyFile(parts, suite, file);
  }
  await storage.write(distsKey(suite, 'Release'), publication.release);
  await storage.write(distsKey(suite, 'Release.gpg'), publication.releaseGpg);
  await storage.write(distsKey(suite, 'InRelease'), publication.inRelease);
  // Patches have other names in every publication.
  for (const path of base?.files.keys() ?? []) {
    if (!publication.files.has(path)) await storage.remove(distsKey(suite, path));
  }
}

/** What is known of the mirror of one suite. */
interface SuiteMirror {
  /** What it should hold. */
  wanted: LivePublication;
  /** What it holds whole, as far as this process has seen to it. */
  written: LivePublication | undefined;
  /** What it may hold whole, from before. */
  previous: LivePublication | undefined;
  running: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
  pauseUntil: number;
}

export class Mirror {
  readonly #parts: MirrorParts;
  readonly #suites = new Map<string, SuiteMirror>();

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  /**
   * To be called with every publication that comes into force, and with what is in force at start.
   * @param previous the one before, from which the mirror may have to be led on.
   */
  follow(publication: LivePublication, previous?: LivePublication): void {
    const { suite } = publication;
    const known = this.#suites.get(suite);
    if (known) known.wanted = publication;
    else {
      this.#suites.set(suite, {
        ...{ wanted: publication, written: undefined, previous, pauseUntil: performance.now() },
        ...{ running: undefined, timer: undefined },
      });
    }
    this.#schedule(suite);
  }

  /** The suite has no publication any more; resolves when nothing is written for it. */
  async leave(suite: string): Promise<void> {
    const known = this.#suites.get(suite);
    this.#suites.delete(suite);
    clearTimeout(known?.timer);
    await known?.running;
  }

  /** Resolves when the mirror holds what is in force; what could not be written is in the log. */
  async flush(): Promise<void> {
    for (const [suite, mirror] of this.#suites) {
      clearTimeout(mirror.timer);
      mirror.timer = undefined;
      await mirror.running;
      if (mirror.written !== mirror.wanted) await this.#run(suite, mirror);
    }
  }

  #schedule(suite: string): void {
    const mirror = this.#suites.get(suite);
    if (!mirror || mirror.running || mirror.timer || mirror.written === mirror.wanted) return;
    // Never at once: whoever published waits for the answer, and for the same disk.
    const pause = Math.max(mirror.pauseUntil - performance.now(), MIN_PAUSE_MS);
    mirror.timer = setTimeout(() => {
      mirror.timer = undefined;
      void this.#run(suite, mirror);
    }, pause);
    mirror.timer.unref();
  }

  #run(suite: string, mirror: SuiteMirror): Promise<void> {
    mirror.running ??= this.#write(mirror).finally(() => {
      mirror.running = undefined;
      this.#schedule(suite);
    });
    return mirror.running;
  }

  async #write(mirror: SuiteMirror): Promise<void> {
    const started = performance.now();
    const { wanted, written } = mirror;
    // After a failure nobody knows what is there.
    mirror.written = undefined;
    try {
      await this.#lead(wanted, written, mirror.previous);
      mirror.written = wanted;
    } catch (error) {
      const { suite, number } = wanted;
      const { log } = this.#parts;
      log.error({ event: 'mirror.failed', suite, number, error: String(error) });
    }
    const took = performance.now() - started;
    mirror.pauseUntil = performance.now() + Math.max(MIN_PAUSE_MS, PAUSE_RATIO * took);
  }

  async #lead(
    wanted: LivePublication,
    written: LivePublication | undefined,
    previous: LivePublication | undefined,
  ): Promise<void> {
    if (written) return writeMirror(this.#parts, wanted, written);
    if (await isMirrored(this.#parts, wanted)) return;
    const base = previous && (await isMirrored(this.#parts, previous)) ? previous : undefined;
    await writeMirror(this.#parts, wanted, base);
  }
}
