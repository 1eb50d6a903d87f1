/** A stored object as the parsers of deb/ read it. Floor 2. */
import { buffer } from 'node:stream/consumers';
import type { ByteSource } from '../deb/byte-source.ts';
import type { Storage } from './storage.ts';

/** @param size of the object, as `stat` says it. */
export function createObjectSource(storage: Storage, key: string, size: number): ByteSource {
  return {
    size,
    async read(start, end) {
      const stop = Math.min(end, size);
      if (start >= stop) return Buffer.alloc(0);
      return buffer(await storage.read(key, { start, end: stop - 1 }));
    },
    async *stream(start, end) {
      const stop = Math.min(end, size);
      if (start < stop) yield* await storage.read(key, { start, end: stop - 1 });
    },
  };
}
