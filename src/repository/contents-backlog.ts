/**
 * Contents in the background: packages that nobody has read yet are read from the pool, and lines
 * that no other publication takes along get one of their own. Floor 3.
 */
import { setTimeout as delay } from 'node:timers/promises';
import {
  insertContents,
  type ListingCursor,
  listLateContents,
  listUnreadPackages,
  type PackedPaths,
} from '../catalog/contents.ts';
import { listSuites } from '../catalog/suites.ts';
import { readPackage } from '../deb/archive.ts';
import { RefusalError } from '../errors.ts';
import { openObjectSource } from '../storage/object-source.ts';
import { packPaths } from './contents.ts';
import { readToEnd } from './early-proof.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { readSuiteRow } from './suites.ts';

type BacklogParts = Repository & { publisher: Publisher };

/** Packages written down in one transaction. */
const PACKAGES_AT_ONCE = 50;
/** After so many that were read there is a publication. */
const PACKAGES_TO_PUBLISH = 2000;
const BEGINNING: ListingCursor = { added_in: -1, id: '' };
const MAX_PAUSE_MS = 1000;

async function readPaths(parts: Repository, filename: string): Promise<PackedPaths | undefined> {
  const source = await openObjectSource(parts.storage, filename);
  if (!source) return undefined;
  const { paths } = await readToEnd(source, await readPackage(source));
  return packPaths(paths);
}

export class ContentsBacklog {
  readonly #parts: BacklogParts;
  /** Packages that could not be read; `check` says of them what is wrong. */
  readonly #unreadable = new Set<string>();
  #ended = false;
  #running: Promise<void> | undefined;

  constructor(parts: BacklogParts) {
    this.#parts = parts;
  }

  /** Goes to work, unless it is at work already; nobody waits for it. */
  start(): void {
    if (this.#ended) return;
    this.#running ??= this.work()
      .catch((error: unknown) => {
        this.#parts.log.error({ event: 'contents.failed', error: String(error) });
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** What is under way stops after the package that is being read. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#running;
  }

  /** Reads what was never read and publishes what is late; resolves when nothing is left. */
  async work(): Promise<void> {
    for (const suite of (await listSuites(this.#parts.catalog)).map(readSuiteRow)) {
      if (!suite.options.contents) continue;
      let last: ListingCursor | undefined = BEGINNING;
      while (last && !this.#ended) {
        last = await this.#readSome(suite.name, last);
        await this.#publish(suite.name);
      }
    }
  }

  /** The last that was read; undefined at the end. */
  async #readSome(suite: string, after: ListingCursor): Promise<ListingCursor | undefined> {
    let last: ListingCursor | undefined = after;
    for (let count = 0; last && count < PACKAGES_TO_PUBLISH; count += PACKAGES_AT_ONCE) {
      if (this.#ended) break;
      const unread = await listUnreadPackages(this.#parts.catalog, suite, last, PACKAGES_AT_ONCE);
      last = unread.at(-1);
      await this.#read(unread.filter(({ id }) => !this.#unreadable.has(id)));
    }
    return last;
  }

  async #read(unread: readonly { id: string; filename: string }[]): Promise<void> {
    const read: { id: string; packed: PackedPaths }[] = [];
    for (const { id, filename } of unread) {
      if (this.#ended) break;
      const began = performance.now();
      try {
        const packed = await readPaths(this.#parts, filename);
        if (packed) read.push({ id, packed });
        else this.#unreadable.add(id);
      } catch (error) {
        if (!(error instanceof RefusalError)) throw error;
        this.#unreadable.add(id);
        const why = error.message;
        this.#parts.log.error({ event: 'contents.unreadable', filename, error: why });
      }
      // Half of the time is for those who wait for an answer.
      await delay(Math.min(performance.now() - began, MAX_PAUSE_MS));
    }
    if (read.length === 0) return;
    await this.#parts.catalog.transaction(async (sql) => {
      for (const { id, packed } of read) await insertContents(sql, { package_id: id, ...packed });
    });
  }

  /** One publication after another as long as something is late; others come in between. */
  async #publish(name: string): Promise<void> {
    const { catalog, publisher } = this.#parts;
    let last = 0;
    while (!this.#ended) {
      const { number } = await publisher.submit(name, async (suite) => {
        const late = await listLateContents(catalog, suite.name, 1);
        if (late.length === 0 || !suite.options.contents) return undefined;
        const change = { additions: [], removals: [], isBacklog: true };
        return { ...change, reason: 'complete Contents', actor: 'timer' };
      });
      if (number === last || (await listLateContents(catalog, name, 1)).length === 0) return;
      last = number;
    }
  }
}
