/**
 * The bytes of segments: read, kept in memory as long as there is room, written when the
 * publication that needs them is made. Names are the SHA256 of the content, so that indexes with
 * equal contents share their segments. Floor 3.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { ByteCache } from '../byte-cache.ts';
import { segmentKey } from '../deb/layout.ts';
import { readObject } from '../storage/object-source.ts';
import type { Storage } from '../storage/storage.ts';
import type { Form } from './form.ts';
import type { FilePart, Segment } from './segments.ts';
import { finishAll } from './together.ts';

/** Of what is stored. */
const STORED_BYTES = 8 * 1024 * 1024;
/** Of what it unpacks to: all of an index of ten thousand packages. */
const RAW_BYTES = 12 * 1024 * 1024;
/** Members compressed a moment ago: two indexes often compress the same. */
const MAX_COMPRESSED = 256;
/** One thread of the pool's four stays free for whoever reads a file. */
const MAX_COMPRESSORS = 3;

type Compressed = Awaited<ReturnType<Form['compress']>>;

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

export class SegmentStore {
  readonly #storage: Storage;
  readonly #stored = new ByteCache(STORED_BYTES);
  /** By the key of what is stored. */
  readonly #raw = new ByteCache(RAW_BYTES);
  /** Made and not yet written. */
  readonly #fresh = new Map<string, Buffer>();
  /** Being written. */
  readonly #writing = new Map<string, Promise<void>>();
  readonly #compressed = new Map<string, Promise<Compressed>>();
  #compressors = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** @throws an error of code ENOENT where the object is gone. */
  async read({ key, size }: Pick<Segment, 'key' | 'size'>): Promise<Buffer> {
    const known = this.#fresh.get(key) ?? this.#stored.get(key);
    if (known) return known;
    const bytes = await readObject(this.#storage, key);
    if (bytes.length !== size) throw new Error(`${key} has ${bytes.length} bytes, not ${size}`);
    this.#stored.offer(key, bytes);
    return bytes;
  }

  /** Bytes of an object that need not be read whole. */
  async readPart({ key, size, slice }: FilePart): Promise<Buffer> {
    const offset = slice?.offset ?? 0;
    const known = this.#fresh.get(key) ?? this.#stored.get(key);
    if (known) return known.subarray(offset, offset + size);
    return buffer(await this.#storage.read(key, { start: offset, end: offset + size - 1 }));
  }

  async readRaw(segment: Segment, form: Form): Promise<Buffer> {
    const known = this.#raw.get(segment.key);
    if (known) return known;
    const raw = await form.uncompress(await this.read(segment), segment.members);
    this.#raw.offer(segment.key, raw);
    return raw;
  }

  async readMember(segment: Segment, number: number): Promise<Buffer> {
    const start = segment.members.slice(0, number).reduce((sum, { size }) => sum + size, 0);
    const size = segment.members[number]?.size ?? 0;
    return (await this.read(segment)).subarray(start, start + size);
  }

  async readMemberRaw(segment: Segment, number: number, form: Form): Promise<Buffer> {
    const known = this.#raw.get(segment.key);
    const sizes = segment.members.slice(number, number + 1);
    if (!known) return form.uncompress(await this.readMember(segment, number), sizes);
    const start = segment.members.slice(0, number).reduce((sum, { raw }) => sum + raw, 0);
    return known.subarray(start, start + (segment.members[number]?.raw ?? 0));
  }

  keepRaw(key: string, raw: Buffer): void {
    this.#raw.keep(key, raw);
  }

  compress(form: Form, raw: Buffer): Promise<Compressed> {
    const name = `${form.suffix} ${hashOf(raw)}`;
    const known = this.#compressed.get(name);
    if (known) return known;
    const made = this.#compress(form, raw);
    this.#compressed.set(name, made);
    const [oldest = ''] = this.#compressed.keys();
    if (this.#compressed.size > MAX_COMPRESSED) this.#compressed.delete(oldest);
    made.catch(() => this.#compressed.delete(name));
    return made;
  }

  async #compress(form: Form, raw: Buffer): Promise<Compressed> {
    if (!form.isPooled) return form.compress(raw);
    if (this.#compressors < MAX_COMPRESSORS) this.#compressors += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await form.compress(raw);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#compressors -= 1;
    }
  }

  /** The key under which these bytes will stand once they are persisted. */
  add(suite: string, bytes: Buffer): string {
    const key = segmentKey(suite, hashOf(bytes));
    this.#fresh.set(key, bytes);
    return key;
  }

  /** Whether it was made here for a publication that is not in force yet. */
  isFresh(key: string): boolean {
    return this.#fresh.has(key);
  }

  /** Durable when it resolves; what was not made here is there already. */
  async persist(keys: readonly string[]): Promise<void> {
    await finishAll(
      keys.map((key) => {
        const bytes = this.#fresh.get(key);
        if (!bytes) return Promise.resolve();
        const written = this.#writing.get(key) ?? this.#write(key, bytes);
        return written;
      }),
    );
  }

  #write(key: string, bytes: Buffer): Promise<void> {
    const written = this.#storage
      .write(key, bytes)
      .then(() => this.#stored.keep(key, bytes))
      .finally(() => this.#writing.delete(key));
    this.#writing.set(key, written);
    return written;
  }

  /** What was made for a suite and not persisted is not needed any more, or is written. */
  forget(suite: string): void {
    const prefix = segmentKey(suite, '0'.repeat(64)).slice(0, -64);
    for (const key of this.#fresh.keys()) if (key.startsWith(prefix)) this.#fresh.delete(key);
  }
}
