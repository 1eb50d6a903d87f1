/**
 * The indexes of every suite, resident and brought up to date by a change: only the touched
 * (component, architecture) pairs are made again, and an addition touches only their tails. Floor 3.
 */
import { listContentsOf } from '../catalog/contents.ts';
import { listPackagesOf } from '../catalog/packages.ts';
import type { Catalog } from '../catalog/sql.ts';
import { byHashKey } from '../deb/layout.ts';
import type { Storage } from '../storage/storage.ts';
import type { Change } from './change.ts';
import { loadLines } from './contents.ts';
import {
  belongsTo,
  chooseIndexes,
  type Entry,
  type IndexDefinition,
  listAdded,
} from './index-definitions.ts';
import type { LivePublication, PublishedFile } from './live.ts';
import { type IndexImage, ResidentIndex } from './resident-index.ts';
import type { Suite } from './suites.ts';
import { finishAll } from './together.ts';

interface Resident {
  index: ResidentIndex;
  /** The publication whose contents it holds; a mismatch means it is read again. */
  publication: number;
}

export class Indexes {
  readonly #catalog: Catalog;
  readonly #storage: Storage;
  readonly #residents = new Map<string, Resident>();

  constructor(catalog: Catalog, storage: Storage) {
    this.#catalog = catalog;
    this.#storage = storage;
  }

  /**
   * Store the indexes that the next publication of a suite needs and name all of its files.
   * What is resident is ahead of the catalog until `settle`; a failure in between forgets it.
   * @param contents the entries whose lines enter Contents with the change.
   */
  async update(
    suite: Suite,
    previous: LivePublication | undefined,
    change: Change,
    contents: readonly Entry[] = [],
  ): Promise<PublishedFile[]> {
    // Together, so that the disk makes them durable together.
    const files = await finishAll(
      chooseIndexes(suite, previous, change).map(async (definition) => {
        const { path } = definition;
        const plain = previous?.files.get(path);
        const compressed = previous?.files.get(`${path}.gz`);
        if (plain && compressed && !isTouched(definition, change, contents)) {
          return [plain, compressed];
        }
        const image = await this.#render(suite, definition, change, contents);
        return this.#store(suite, path, image);
      }),
    );
    return files.flat();
  }

  /** The publication is in force: what is resident of this suite belongs to it. */
  settle(suite: string, publication: number): void {
    for (const [key, resident] of this.#residents) {
      if (key.startsWith(`${suite} `)) resident.publication = publication;
    }
  }

  /** Drops what is resident of a suite: the next publication reads the catalog again. */
  forget(suite: string): void {
    for (const key of this.#residents.keys()) {
      if (key.startsWith(`${suite} `)) this.#residents.delete(key);
    }
  }

  async #render(
    suite: Suite,
    definition: IndexDefinition,
    change: Change,
    contents: readonly Entry[],
  ): Promise<IndexImage> {
    const key = `${suite.name} ${definition.path}`;
    const removed = new Set(
      change.removals
        .filter((removal) => belongsTo(definition, removal))
        .map((removal) => removal.row.id),
    );
    let resident = this.#residents.get(key);
    if (!resident || resident.publication !== suite.publication || removed.size > 0) {
      const entries = await readEntries(this.#catalog, suite, definition);
      resident = { index: new ResidentIndex(definition.separator), publication: suite.publication };
      this.#residents.set(key, resident);
      const staying = entries.filter(({ row }) => !removed.has(row.id));
      await resident.index.append(renderAll(definition, staying));
    }
    const added = listAdded(definition, change, contents);
    await resident.index.append(renderAll(definition, added));
    return resident.index.render();
  }

  async #store(suite: Suite, path: string, image: IndexImage): Promise<PublishedFile[]> {
    const { plain, compressed } = image;
    const key = byHashKey(suite.name, `${path}.gz`, 'SHA256', compressed.sha256);
    if (!(await this.#storage.stat(key))) {
      await this.#storage.write(key, Buffer.concat(compressed.parts));
    }
    return [
      { path, size: plain.size, sha256: plain.sha256, key: null },
      { path: `${path}.gz`, size: compressed.size, sha256: compressed.sha256, key },
    ];
  }
}

function renderAll(definition: IndexDefinition, entries: readonly Entry[]): Uint8Array[] {
  return entries
    .map((entry) => definition.render(entry))
    .filter((bytes): bytes is Uint8Array => bytes !== undefined);
}

function isTouched(
  definition: IndexDefinition,
  change: Change,
  contents: readonly Entry[],
): boolean {
  return (
    listAdded(definition, change, contents).length > 0 ||
    change.removals.some((removal) => belongsTo(definition, removal))
  );
}

/** What stands in an index now, in its order. */
async function readEntries(
  catalog: Catalog,
  suite: Suite,
  definition: IndexDefinition,
): Promise<Entry[]> {
  const { component, kinds, architecture, since } = definition;
  const place = { suite: suite.name, component, kinds, architecture };
  if (since === 'contents') {
    const rows = await listContentsOf(catalog, place);
    return loadLines(
      catalog,
      rows.map((row) => ({ component, row })),
    );
  }
  const rows = await listPackagesOf(catalog, place);
  return rows.map((row) => ({ component, row, phased: row.phased }));
}
