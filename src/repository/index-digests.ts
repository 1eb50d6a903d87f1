/**
 * The hashes of published files, read back from what is stored. Publications share most of their
 * segments: a file that begins as the one read before it is read on from there. Floor 3.
 */
import { createHash, type Hash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Storage } from '../storage/storage.ts';
import type { PublishedFile } from './published-files.ts';
import type { FilePart } from './segments.ts';

/** What a file comes to after one more of its parts. */
interface Mark {
  part: string;
  hash: Hash;
  size: number;
}

const spellPart = (part: FilePart | undefined): string =>
  part ? `${part.key} ${part.slice?.offset ?? ''} ${part.slice ? part.size : ''}` : '';

export interface Digest {
  sha256: string;
  size: number;
}

export class IndexDigests {
  readonly #storage: Storage;
  readonly #read: (bytes: number) => void;
  /** By path: the marks of the file that was read last. */
  readonly #marks = new Map<string, Mark[]>();

  /** @param read told how many bytes were read. */
  constructor(storage: Storage, read: (bytes: number) => void) {
    this.#storage = storage;
    this.#read = read;
  }

  /** @throws an error of code ENOENT where one of its objects is gone; of zlib's where it is damaged. */
  async digest(file: PublishedFile): Promise<Digest> {
    const inflated = file.parts === null;
    const parts = file.parts ?? file.source ?? [];
    const marks = this.#marks.get(file.path) ?? [];
    let same = 0;
    while (same < parts.length && marks[same]?.part === spellPart(parts[same])) same += 1;
    marks.length = same;
    this.#marks.set(file.path, marks);
    for (const part of parts.slice(same)) {
      const before = marks.at(-1);
      const hash = before ? before.hash.copy() : createHash('sha256');
      const size = (before?.size ?? 0) + (await this.#hashPart(part, inflated, hash));
      marks.push({ part: spellPart(part), hash, size });
    }
    const last = marks.at(-1);
    return {
      sha256: (last ? last.hash.copy() : createHash('sha256')).digest('hex'),
      size: last?.size ?? 0,
    };
  }

  /** A part holds whole members, so that it unpacks by itself. */
  async #hashPart(part: FilePart, inflated: boolean, hash: Hash): Promise<number> {
    let size = 0;
    const read = this.#read;
    const { key, size: bytes, slice } = part;
    const range = slice && { start: slice.offset, end: slice.offset + bytes - 1 };
    const source = await this.#storage.read(key, range);
    const count = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        read(chunk.length);
      }
    };
    if (inflated) await pipeline(source, createGunzip(), count);
    else await pipeline(source, count);
    return size;
  }
}
