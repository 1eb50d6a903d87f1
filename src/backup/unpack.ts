/**
 * A backup taken apart into a folder, every member judged before it is written: by its name, by its
 * size, by what the catalog in it says. A tar from anywhere can name any path and any link; here
 * nothing gets a place that is not one of ours. Floor 4.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { openSnapshot } from '../catalog/snapshot.ts';
import { listStoredObjects, type StoredObject } from '../catalog/stored-objects.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { findKeyFault } from '../storage/key.ts';
import {
  CATALOG_NAME,
  CERTS_PREFIX,
  END_NAME,
  findCertsMode,
  MANIFEST_NAME,
  MAX_CERTS_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_SETTINGS_BYTES,
  type Manifest,
  manifestSchema,
  SETTINGS_NAME,
} from './contents.ts';

const WRITE_BUFFER_BYTES = 1024 * 1024;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];

const refuse = (why: string): RefusalError => new RefusalError('BACKUP_UNACCEPTABLE', why);

const spell = (name: string): string => JSON.stringify(name.slice(0, 200));

export interface UnpackSteps {
  progress: (done: number, total: number) => void;
  /** Brings a catalog of an older program to the schema of this one. */
  migrate: (catalog: string) => Promise<void>;
}

type Entry = Readable & { header: Header };

/** One backup being read. */
class Unpacking {
  readonly #folder: string;
  readonly #progress: (done: number, total: number) => void;
  readonly #names = new Set<string>();
  #manifest: Manifest | undefined;
  /** What is still to come; undefined until the catalog is there. */
  #missing: Map<string, StoredObject> | undefined;
  #isWhole = false;
  #done = 0;

  readonly #migrate: (catalog: string) => Promise<void>;

  constructor(folder: string, { progress, migrate }: UnpackSteps) {
    this.#folder = folder;
    this.#progress = progress;
    this.#migrate = migrate;
  }

  async take(entry: Entry): Promise<void> {
    const { name, type = 'file', size = 0 } = entry.header;
    if (type !== 'file')
      throw refuse(`member ${spell(name)} is a ${type}; only files are restored`);
    if (this.#isWhole) throw refuse(`member ${spell(name)} stands behind the end`);
    if (this.#names.has(name)) throw refuse(`member ${spell(name)} is there twice`);
    this.#names.add(name);
    if (!this.#manifest) return this.#takeManifest(entry, name, size);
    if (!this.#missing) return this.#takeCatalog(entry, name, size, this.#manifest);
    if (name === END_NAME) {
      this.#isWhole = true;
      return this.#drop(entry, size);
    }
    if (name === SETTINGS_NAME) return this.#takeSmall(entry, name, 0o600, MAX_SETTINGS_BYTES);
    if (name.startsWith(CERTS_PREFIX)) {
      const mode = findCertsMode(name.slice(CERTS_PREFIX.length));
      if (mode === undefined) throw refuse(`member ${spell(name)} is no file of certs/`);
      return this.#takeSmall(entry, name, mode, MAX_CERTS_BYTES);
    }
    return this.#takeObject(entry, name, this.#missing);
  }

  /** What the backup says of itself, when all of it was there. */
  finish(): Manifest {
    const [first] = this.#missing?.keys() ?? [];
    if (!this.#manifest || !this.#missing) throw refuse('it ends before its catalog');
    if (first !== undefined) {
      throw refuse(`${this.#missing.size} objects are missing from it, ${spell(first)} for one`);
    }
    if (!this.#isWhole) throw refuse('it is cut off');
    return this.#manifest;
  }

  async #takeManifest(entry: Entry, name: string, size: number): Promise<void> {
    if (name !== MANIFEST_NAME || size > MAX_MANIFEST_BYTES) {
      throw refuse('it does not begin as one of aptkeep does');
    }
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    let content: unknown;
    try {
      content = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch {
      throw refuse(`${MANIFEST_NAME} is no JSON`);
    }
    const parsed = manifestSchema.safeParse(content);
    if (!parsed.success) {
      throw refuse(
        `${MANIFEST_NAME} is none that this version knows: ${parsed.error.issues[0]?.path.join('.')}`,
      );
    }
    this.#manifest = parsed.data;
  }

  async #takeCatalog(entry: Entry, name: string, size: number, manifest: Manifest): Promise<void> {
    const { catalog } = manifest;
    if (name !== CATALOG_NAME || size !== catalog.size) {
      throw refuse(`behind ${MANIFEST_NAME} stands ${spell(name)}, not the catalog it speaks of`);
    }
    const path = await this.#write(entry, { key: name, ...catalog }, 0o600);
    this.#missing = await readObjects(path, this.#migrate);
  }

  async #takeObject(entry: Entry, name: string, missing: Map<string, StoredObject>): Promise<void> {
    const object = missing.get(name);
    // The wall of the storage as well: the catalog is no more to be trusted than the tar.
    if (!object || findKeyFault(name) !== undefined) {
      throw refuse(`member ${spell(name)} is nothing that its catalog refers to`);
    }
    missing.delete(name);
    await this.#write(entry, object, 0o644);
  }

  /** Streamed to its place, and what its catalog says it is. */
  async #write(entry: Entry, object: StoredObject, mode: number): Promise<string> {
    const { key, size, sha256 } = object;
    if (entry.header.size !== size) {
      throw refuse(`${spell(key)} has ${entry.header.size} bytes; its catalog says ${size}`);
    }
    const path = join(this.#folder, key);
    await mkdir(dirname(path), { recursive: true });
    const hash = createHash('sha256');
    const tap = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk);
        this.#count(chunk.length);
        done(null, chunk);
      },
    });
    const target = createWriteStream(path, {
      flags: 'wx',
      mode,
      highWaterMark: WRITE_BUFFER_BYTES,
    });
    await pipeline(entry as Readable, tap, target);
    const found = hash.digest('hex');
    if (found === sha256) return path;
    throw refuse(`${spell(key)} has SHA256 ${found}; its catalog says ${sha256}`);
  }

  async #takeSmall(entry: Entry, name: string, mode: number, maxBytes: number): Promise<void> {
    if ((entry.header.size ?? 0) > maxBytes) throw refuse(`${spell(name)} is too large`);
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    const path = join(this.#folder, name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, Buffer.concat(chunks), { flag: 'wx', mode });
  }

  async #drop(entry: Entry, size: number): Promise<void> {
    if (size !== 0) throw refuse(`${END_NAME} is not empty`);
    entry.resume();
  }

  #count(bytes: number): void {
    this.#done += bytes;
    const { bytes: objects = 0, catalog } = this.#manifest ?? {};
    this.#progress(this.#done, objects + (catalog?.size ?? 0));
  }
}

async function readObjects(
  path: string,
  migrate: UnpackSteps['migrate'],
): Promise<Map<string, StoredObject>> {
  const handle = await open(path, 'r');
  const { buffer } = await handle.read(Buffer.alloc(16), 0, 16, 0).finally(() => handle.close());
  const head = buffer.toString('latin1');
  if (head !== 'SQLite format 3\0') throw refuse('its catalog is no SQLite database');
  try {
    await migrate(path);
  } catch (error) {
    throw refuse(`its catalog cannot be used: ${(error as Error).message}`);
  }
  const sql = openSnapshot(path);
  try {
    const objects = new Map<string, StoredObject>();
    for await (const object of listStoredObjects(sql)) objects.set(object.key, object);
    return objects;
  } catch (error) {
    throw refuse(`its catalog cannot be read: ${(error as Error).message}`);
  } finally {
    sql.close();
  }
}

/**
 * Take a backup apart into an empty folder; what was written of one that is refused is the caller's
 * to remove.
 * @throws RefusalError BACKUP_UNACCEPTABLE, SPACE_EXHAUSTED
 */
export async function unpackBackup(
  input: Readable,
  folder: string,
  steps: UnpackSteps,
): Promise<Manifest> {
  const unpacking = new Unpacking(folder, steps);
  const members = extract();
  const reading = pipeline(input, members);
  reading.catch(() => {});
  try {
    for await (const entry of members as AsyncIterable<Entry>) await unpacking.take(entry);
    await reading;
  } catch (error) {
    input.destroy();
    if (error instanceof RefusalError) throw error;
    if (FULL_CODES.includes(systemCode(error))) {
      throw new RefusalError('SPACE_EXHAUSTED', 'no room for all that is in the backup');
    }
    if (systemCode(error) !== '' && !/^ERR_|^Z_/.test(systemCode(error))) throw error;
    throw refuse(`it is no tar archive, or a damaged one: ${(error as Error).message}`);
  }
  return unpacking.finish();
}
