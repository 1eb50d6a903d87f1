/**
 * The indexes of every suite, resident and brought up to date by a change: only the touched
 * (component, architecture) pairs are made again, and only the segments that the change touches.
 * Floor 3.
 */
import type { Position } from '../catalog/listings.ts';
import type { Catalog, SqlExecutor } from '../catalog/sql.ts';
import type { LineEdit } from '../deb/line-edit.ts';
import { systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Storage } from '../storage/storage.ts';
import type { Change } from './change.ts';
import { findRemoved, listAdded, listEntries, renderUnits } from './contents-of.ts';
import { type Form, GZIP_FORM } from './form.ts';
import { belongsTo, chooseIndexes, type Entry, type IndexDefinition } from './index-definitions.ts';
import { editIndex, type IndexEdit, IndexMismatch } from './index-edit.ts';
import {
  describeFiles,
  findFiles,
  isThatOf,
  type Previous,
  recordSegments,
  type Wanted,
} from './index-images.ts';
import { listPatchFiles, makePatches, type PatchTools } from './index-patches.ts';
import { loadSegments } from './load-segments.ts';
import type { PublishedFile } from './published-files.ts';
import { createIndex, type IndexTools, type ResidentIndex, readIndex } from './resident-index.ts';
import { SegmentStore } from './segment-store.ts';
import { LIMITS, type Limits, type Segment, type Unit } from './segments.ts';
import type { Suite } from './suites.ts';
import { finishAll } from './together.ts';
import { XZ_FORM } from './xz-form.ts';

/** The publication that is being made; `date` in milliseconds. */
export interface NextPublication {
  number: number;
  date: number;
}

export interface IndexUpdate {
  /** All files of the publication. */
  files: PublishedFile[];
  /** Those that the one before had not. */
  made: PublishedFile[];
  /** Writes down the segments that were made. */
  record: (sql: SqlExecutor) => Promise<void>;
}

/** What is built from the catalog is compressed in steps of this size. */
const BUILD_BYTES = 8 * 1024 * 1024;

/** The forms that a suite offers; the first is what the plain file is uncompressed from. */
function listForms({ options }: Suite): readonly Form[] {
  return options.xz ? [GZIP_FORM, XZ_FORM] : [GZIP_FORM];
}

export class Indexes {
  readonly #catalog: Catalog;
  readonly #store: SegmentStore;
  readonly #distrusted = new Set<string>();
  readonly #log: Logger;
  readonly #limits: Limits;
  /** Suite and path -> the index as the last publication has it. */
  readonly #residents = new Map<string, ResidentIndex>();
  #isClosed = false;
  readonly #loading = new Map<string, Promise<void>>();
  /** Suite -> path -> what becomes resident once the publication is in force. */
  readonly #next = new Map<string, Map<string, ResidentIndex>>();

  constructor(catalog: Catalog, storage: Storage, log: Logger, limits: Limits = LIMITS) {
    this.#catalog = catalog;
    this.#store = new SegmentStore(storage);
    this.#log = log;
    this.#limits = limits;
  }

  /**
   * Store the indexes that the next publication of a suite needs and name all of its files. They
   * become resident with `settle`; after a failure `forget` drops them.
   * @param contents the entries whose lines enter Contents with the change.
   */
  async update(
    suite: Suite,
    next: NextPublication,
    previous: Previous | undefined,
    change: Change,
    contents: readonly Entry[] = [],
  ): Promise<IndexUpdate> {
    const modified = next.date;
    const made: PublishedFile[] = [];
    const segments: { path: string; segment: Segment }[] = [];
    this.#next.set(suite.name, new Map());
    const trusted = this.#distrusted.has(suite.name) ? undefined : previous;
    const files = await finishAll(
      chooseIndexes(suite, previous, change).map(async (definition) => {
        const wanted = { definition, forms: listForms(suite), extra: suite.options.hashes };
        const kept = findFiles(wanted, trusted);
        const added = listAdded(definition, change, contents, next.number);
        const removals = change.removals.filter((removal) => belongsTo(definition, removal));
        if (kept && added.length === 0 && removals.length === 0) {
          return suite.options.pdiffs
            ? [...kept, ...listPatchFiles(previous, definition.path)]
            : kept;
        }
        const edit: IndexEdit = {
          removed: await findRemoved(this.#catalog, suite.name, definition, removals),
          added: renderUnits(definition, added),
          reread: (after, upTo) => this.#reread(suite, definition, after, upTo),
        };
        const { index, step } = await this.#advance(suite, wanted, trusted, edit);
        this.#next.get(suite.name)?.set(definition.path, index);
        const fresh = describeFiles(wanted, index, modified);
        if (suite.options.pdiffs) {
          const { path } = definition;
          const asked = { path, previous, files: fresh, step, extra: wanted.extra };
          fresh.push(...(await makePatches(this.#patchToolsOf(suite), { ...asked, modified })));
        }
        made.push(...fresh);
        for (const segment of index.layers.flatMap((layer) => layer.segments)) {
          if (this.#store.isFresh(segment.key)) segments.push({ path: definition.path, segment });
        }
        return fresh;
      }),
    );
    // Together, so that the disk makes them durable together.
    await this.#store.persist(made.flatMap(({ parts }) => (parts ?? []).map(({ key }) => key)));
    const record = (sql: SqlExecutor): Promise<void> => recordSegments(sql, segments);
    return { files: files.flat(), made, record };
  }

  /** The publication is in force: what it was made of is what is resident. */
  settle(suite: string): void {
    for (const [path, index] of this.#next.get(suite) ?? []) {
      this.#residents.set(`${suite} ${path}`, index);
    }
    this.#distrusted.delete(suite);
    this.forget(suite);
  }

  /** Drops what was made for a publication of a suite; what was resident before stays. */
  forget(suite: string): void {
    this.#next.delete(suite);
    this.#store.forget(suite);
  }

  /** What is stored of a suite is not trusted: its next publication is made from the catalog. */
  distrust(suite: string): void {
    this.leave(suite);
    this.#distrusted.add(suite);
  }

  /** Drops all of a suite that is no more. */
  leave(suite: string): void {
    this.forget(suite);
    for (const key of this.#residents.keys()) {
      if (key.startsWith(`${suite} `)) this.#residents.delete(key);
    }
  }

  /**
   * Reads the indexes of a publication, so that the first change costs no more than the next. A
   * change that comes meanwhile waits for its own index only.
   */
  async warm(suite: Suite, previous: Previous): Promise<void> {
    for (const definition of chooseIndexes(suite, previous, { additions: [] })) {
      if (this.#isClosed) return;
      const wanted = { definition, forms: listForms(suite), extra: suite.options.hashes };
      await this.#load(suite, wanted, previous);
    }
  }

  /** Nothing more is read ahead; resolves when nothing is being read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#loading.values());
  }

  async #advance(
    suite: Suite,
    wanted: Wanted,
    previous: Previous | undefined,
    edit: IndexEdit,
  ): Promise<{ index: ResidentIndex; step: LineEdit | undefined }> {
    const base = await this.#find(suite, wanted, previous);
    const tools = this.#toolsOf(suite);
    if (base) {
      try {
        return await editIndex(tools, base, edit);
      } catch (error) {
        if (!isDamage(error)) throw error;
        const { path } = wanted.definition;
        this.#log.warn({ event: 'index.rebuilt', suite: suite.name, path, why: String(error) });
      }
    }
    const { index } = await editIndex(tools, await this.#build(suite, wanted), edit);
    return { index, step: undefined };
  }

  #patchToolsOf({ name }: Suite): PatchTools {
    return { suite: name, store: this.#store, log: this.#log };
  }

  #toolsOf(suite: Suite): IndexTools {
    return { suite: suite.name, store: this.#store, limits: this.#limits };
  }

  async #reread(
    suite: Suite,
    definition: IndexDefinition,
    after: Position,
    upTo: Position,
  ): Promise<Unit[]> {
    const units: Unit[] = [];
    const range = { after, upTo, publication: null };
    for await (const entries of listEntries(this.#catalog, suite.name, definition, range)) {
      units.push(...renderUnits(definition, entries));
    }
    return units;
  }

  /** The index as the last publication has it; undefined where it has to be built. */
  async #find(
    suite: Suite,
    wanted: Wanted,
    previous: Previous | undefined,
  ): Promise<ResidentIndex | undefined> {
    await this.#load(suite, wanted, previous);
    const resident = this.#residents.get(`${suite.name} ${wanted.definition.path}`);
    return resident && isThatOf(resident, wanted, previous) ? resident : undefined;
  }

  async #load(suite: Suite, wanted: Wanted, previous: Previous | undefined): Promise<void> {
    const key = `${suite.name} ${wanted.definition.path}`;
    await this.#loading.get(key);
    const resident = this.#residents.get(key);
    if (resident && isThatOf(resident, wanted, previous)) return;
    const loading = this.#read(suite, wanted, previous)
      .then((index) => {
        if (index) this.#residents.set(key, index);
      })
      .finally(() => this.#loading.delete(key));
    this.#loading.set(key, loading);
    await loading;
  }

  async #read(
    suite: Suite,
    wanted: Wanted,
    previous: Previous | undefined,
  ): Promise<ResidentIndex | undefined> {
    const { path } = wanted.definition;
    const images = wanted.forms.map(({ suffix }) => previous?.files.get(`${path}.${suffix}`));
    try {
      const layers = await loadSegments(this.#catalog, path, images);
      if (!layers) return undefined;
      const index = await readIndex(this.#toolsOf(suite), wanted.forms, layers, wanted.extra);
      // Of an index made before there were segments nothing fits, and nothing is wrong.
      if (isThatOf(index, wanted, previous)) return index;
      if (layers.every((segments) => segments.length === 0)) return undefined;
      throw new IndexMismatch('its bytes have another hash');
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#log.error({ event: 'index.damaged', suite: suite.name, path, why: String(error) });
      return undefined;
    }
  }

  /** From the catalog, as it stands before the change. */
  async #build(suite: Suite, wanted: Wanted): Promise<ResidentIndex> {
    const tools = this.#toolsOf(suite);
    const { definition } = wanted;
    let index = await createIndex(tools, wanted.forms, wanted.extra);
    let added: Unit[] = [];
    let size = 0;
    const append = async (): Promise<void> => {
      const edit: IndexEdit = { removed: [], added, reread: async () => [] };
      index = (await editIndex(tools, index, edit)).index;
      added = [];
      size = 0;
    };
    const range = { publication: null };
    for await (const entries of listEntries(this.#catalog, suite.name, definition, range)) {
      for (const unit of renderUnits(definition, entries)) {
        added.push(unit);
        size += unit.bytes.length;
      }
      if (size >= BUILD_BYTES) await append();
    }
    await append();
    return index;
  }
}

/** The bytes of segments are gone or are not what they were. */
function isDamage(error: unknown): boolean {
  const code = systemCode(error);
  return error instanceof IndexMismatch || code === 'ENOENT' || code.startsWith('Z_');
}
