/**
 * Which stored objects under dists/ a suite needs: the indexes of its kept publications, and the
 * mirror of the current one. Floor 3.
 */
import { pagePublications } from '../catalog/publications.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { distsKey } from '../deb/layout.ts';
import type { LivePublication, PublishedFile } from './live.ts';

const PAGE_PUBLICATIONS = 50;
const SIGNED_FILES = ['InRelease', 'Release', 'Release.gpg'];

/** The objects of each publication of a suite that is not swept and follows `after`. */
async function* walkObjects(
  sql: SqlExecutor,
  suite: string,
  after = 0,
): AsyncGenerator<{ number: number; keys: string[] }> {
  for (let seen = after; ; ) {
    const rows = await pagePublications(sql, suite, seen, PAGE_PUBLICATIONS);
    for (const row of rows) {
      const files = JSON.parse(row.files) as PublishedFile[];
      yield { number: row.number, keys: files.flatMap(({ key }) => key ?? []) };
      seen = row.number;
    }
    if (rows.length < PAGE_PUBLICATIONS) return;
  }
}

/** Every object of the publications given, each once. */
export async function listObjects(
  sql: SqlExecutor,
  suite: string,
  publications: readonly { number: number }[],
): Promise<string[]> {
  const numbers = new Set(publications.map(({ number }) => number));
  const last = Math.max(...numbers);
  const found = new Set<string>();
  for await (const { number, keys } of walkObjects(sql, suite)) {
    if (number > last) break;
    if (numbers.has(number)) for (const key of keys) found.add(key);
  }
  return [...found];
}

/** What is known to be needed, and up to which publication that was read. */
export class NeededObjects {
  readonly #suite: string;
  readonly #isKept: (number: number) => boolean;
  readonly #keys = new Set<string>();
  #mirror: ReadonlySet<string> = new Set();
  #seen = 0;

  /** @param isKept false for a publication that is about to be swept. */
  constructor(suite: string, isKept: (number: number) => boolean = () => true) {
    this.#suite = suite;
    this.#isKept = isKept;
  }

  /** Reads the publications that came since; what is needed only grows. */
  async extend(sql: SqlExecutor, live: LivePublication | undefined): Promise<void> {
    for await (const { number, keys } of walkObjects(sql, this.#suite, this.#seen)) {
      this.#seen = number;
      if (this.#isKept(number)) for (const key of keys) this.#keys.add(key);
    }
    const mirrored = live ? [...live.files.keys(), ...SIGNED_FILES] : [];
    this.#mirror = new Set(mirrored.map((path) => distsKey(this.#suite, path)));
  }

  has(key: string): boolean {
    return this.#keys.has(key) || this.#mirror.has(key);
  }
}
