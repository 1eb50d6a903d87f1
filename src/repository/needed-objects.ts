/**
 * Which stored objects under dists/ a suite needs: the segments of its kept publications, and the
 * mirror of the current one. Floor 3.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  deleteIndexFile,
  deleteSegment,
  listIndexFiles,
  listSegmentKeys,
} from '../catalog/index-files.ts';
import { pagePublications } from '../catalog/publications.ts';
import type { Catalog, SqlExecutor } from '../catalog/sql.ts';
import { distsKey, distsPrefix } from '../deb/layout.ts';
import type { LivePublication } from './live.ts';
import { type FileName, findKeys, readFileNames } from './published-files.ts';

const PAGE_PUBLICATIONS = 50;
const ROWS_A_TRANSACTION = 200;
const SIGNED_FILES = ['InRelease', 'Release', 'Release.gpg'];

const nameOf = ({ path, sha256 }: FileName): string => `${sha256} ${path}`;

/** The files of each publication of a suite that is not swept and follows `after`. */
async function* walkFiles(
  sql: SqlExecutor,
  suite: string,
  after = 0,
): AsyncGenerator<{ number: number; files: FileName[] }> {
  for (let seen = after; ; ) {
    const rows = await pagePublications(sql, suite, seen, PAGE_PUBLICATIONS);
    for (const row of rows) {
      yield { number: row.number, files: readFileNames(row.files) };
      seen = row.number;
    }
    if (rows.length < PAGE_PUBLICATIONS) return;
    // The driver answers at once: without this, nobody else were served until the end.
    await nextTurn();
  }
}

/** Every file of the publications given, each once. */
export async function listFiles(
  sql: SqlExecutor,
  suite: string,
  publications: readonly { number: number }[],
): Promise<FileName[]> {
  const numbers = new Set(publications.map(({ number }) => number));
  const last = Math.max(...numbers);
  const found = new Map<string, FileName>();
  for await (const { number, files } of walkFiles(sql, suite)) {
    if (number > last) break;
    if (numbers.has(number)) for (const file of files) found.set(nameOf(file), file);
  }
  return [...found.values()];
}

/** Every object that these files need, each once. */
export async function listObjects(
  sql: SqlExecutor,
  suite: string,
  files: readonly FileName[],
): Promise<string[]> {
  const keys = new Set<string>();
  for (const file of files) for (const key of await findKeys(sql, suite, file)) keys.add(key);
  return [...keys];
}

/** What is known to be needed, and up to which publication that was read. */
export class NeededObjects {
  readonly #suite: string;
  readonly #isKept: (number: number) => boolean;
  readonly #files = new Set<string>();
  readonly #keys = new Set<string>();
  #mirror: ReadonlySet<string> = new Set();
  #seen = 0;
  /** The current publication when the first was read. */
  #settled: number | undefined;

  /** @param isKept false for a publication that is about to be swept. */
  constructor(suite: string, isKept: (number: number) => boolean = () => true) {
    this.#suite = suite;
    this.#isKept = isKept;
  }

  /** Reads the publications that came since; what is needed only grows. */
  async extend(sql: SqlExecutor, live: LivePublication | undefined): Promise<void> {
    this.#settled ??= live?.number ?? 0;
    for await (const { number, files } of walkFiles(sql, this.#suite, this.#seen)) {
      this.#seen = number;
      // A publication made meanwhile may have moved what an older one has, too.
      const isNew = number > this.#settled;
      if (this.#isKept(number)) for (const file of files) await this.#add(sql, file, isNew);
    }
    const mirrored = live ? [...live.files.keys(), ...SIGNED_FILES] : [];
    this.#mirror = new Set(mirrored.map((path) => distsKey(this.#suite, path)));
  }

  async #add(sql: SqlExecutor, file: FileName, isNew: boolean): Promise<void> {
    if (!isNew && this.#files.has(nameOf(file))) return;
    this.#files.add(nameOf(file));
    for (const key of await findKeys(sql, this.#suite, file)) this.#keys.add(key);
  }

  has(key: string): boolean {
    return this.#keys.has(key) || this.#mirror.has(key);
  }

  hasFile(file: FileName): boolean {
    return this.#files.has(nameOf(file));
  }
}

/**
 * Takes the facts of files and objects that `needed` does not know, also of publications that were
 * swept by a process that was killed. The caller holds the lock of the suite.
 */
export async function forgetUnneeded(
  catalog: Catalog,
  suite: string,
  needed: NeededObjects,
): Promise<void> {
  const files = (await listIndexFiles(catalog, suite)).filter((file) => !needed.hasFile(file));
  const prefix = distsPrefix(suite);
  const keys = (await listSegmentKeys(catalog, prefix)).filter((key) => !needed.has(key));
  for (let at = 0; at < Math.max(files.length, keys.length); at += ROWS_A_TRANSACTION) {
    const end = at + ROWS_A_TRANSACTION;
    await catalog.transaction(async (sql) => {
      for (const file of files.slice(at, end)) await deleteIndexFile(sql, suite, file);
      for (const key of keys.slice(at, end)) await deleteSegment(sql, key);
    });
  }
}
