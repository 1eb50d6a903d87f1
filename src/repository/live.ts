/**
 * The current publication of every suite, in memory: what a request for a name under dists/ is
 * answered from. Switched in one assignment, so a reader sees one publication whole. Floor 3.
 */
import { Announcer, type Listener } from '../announcer.ts';
import { findPublication, type PublicationRow } from '../catalog/publications.ts';
import type { Catalog, SqlExecutor } from '../catalog/sql.ts';
import { listSuites } from '../catalog/suites.ts';
import { loadFiles, type PublishedFile } from './published-files.ts';

/** `date` and `validUntil` in milliseconds since the epoch, whole seconds. */
export interface LivePublication {
  suite: string;
  number: number;
  date: number;
  validUntil: number;
  inRelease: Buffer;
  release: Buffer;
  releaseGpg: Buffer;
  files: ReadonlyMap<string, PublishedFile>;
}

/** A suite's publication that came into force, or the name of a suite that has none any more. */
export type LiveChange = { publication: LivePublication } | { gone: string };

/** By suite. Whoever keeps a copy, in another process, subscribes to what changes. */
export class LivePublications extends Map<string, LivePublication> {
  // Private names of a subclass are not there yet while the constructor of Map runs: nothing is
  // given to it.
  readonly #announcer = new Announcer<LiveChange>();

  override set(suite: string, publication: LivePublication): this {
    super.set(suite, publication);
    this.#announcer.tell({ publication });
    return this;
  }

  override delete(suite: string): boolean {
    const had = super.delete(suite);
    if (had) this.#announcer.tell({ gone: suite });
    return had;
  }

  /** Calls `listener` after every change; the answer ends that. */
  subscribe(listener: Listener<LiveChange>): () => void {
    return this.#announcer.subscribe(listener);
  }

  /** Resolves when every listener has taken over what was told so far. */
  settled(): Promise<void> {
    return this.#announcer.settled();
  }
}

/** @param files of the publication, with where their bytes are. */
export function describeLive(
  row: PublicationRow,
  files: readonly PublishedFile[],
): LivePublication {
  return {
    suite: row.suite,
    number: row.number,
    date: Date.parse(row.date),
    validUntil: Date.parse(row.valid_until),
    inRelease: Buffer.from(row.in_release, 'utf8'),
    release: Buffer.from(row.release, 'utf8'),
    releaseGpg: Buffer.from(row.release_gpg, 'utf8'),
    files: new Map(files.map((file) => [file.path, file])),
  };
}

/** A publication as the catalog has it. @throws Error where its files are not recorded any more. */
export async function readPublicationRow(
  sql: SqlExecutor,
  row: PublicationRow,
): Promise<LivePublication> {
  return describeLive(row, await loadFiles(sql, row.suite, row.files));
}

/** Every suite's current publication as the catalog points to it. */
export async function loadLivePublications(catalog: Catalog): Promise<LivePublications> {
  const live = new LivePublications();
  for (const suite of await listSuites(catalog)) {
    const row = await findPublication(catalog, suite.name, suite.publication);
    if (row) live.set(suite.name, await readPublicationRow(catalog, row));
  }
  return live;
}
