/**
 * The current publication of every suite, in memory: what a request for a name under dists/ is
 * answered from. Switched in one assignment, so a reader sees one publication whole. Floor 3.
 */
import { findPublication, type PublicationRow } from '../catalog/publications.ts';
import type { Catalog } from '../catalog/sql.ts';
import { listSuites } from '../catalog/suites.ts';

/** A file that Release lists; `key` is where its bytes stand, null where `Packages` is not stored. */
export interface PublishedFile {
  path: string;
  size: number;
  sha256: string;
  key: string | null;
}

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

export type LivePublications = Map<string, LivePublication>;

export function readPublicationRow(row: PublicationRow): LivePublication {
  const files = JSON.parse(row.files) as PublishedFile[];
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

/** Every suite's current publication as the catalog points to it. */
export async function loadLivePublications(catalog: Catalog): Promise<LivePublications> {
  const live: LivePublications = new Map();
  for (const suite of await listSuites(catalog)) {
    const row = await findPublication(catalog, suite.name, suite.publication);
    if (row) live.set(suite.name, readPublicationRow(row));
  }
  return live;
}
