/** A stored object as the parsers of deb/ read it. Floor 2. */
import { buffer } from 'node:stream/consumers';
import type { ByteSource } from '../deb/byte-source.ts';
import type { Storage } from './storage.ts';

/** All of an object. @throws an error whose code is ENOENT where there is no such object. */
export async function readObject(storage: Pick<Storage, 'open'>, key: string): Promise<Buffer> {
  const object = await storage.open(key);
  try {
    const bytes = Buffer.allocUnsafe(object.size);
    for (let at = 0; at < bytes.length; ) {
      const read = await object.read(bytes, at, bytes.length - at, at);
      if (read === 0) throw new Error(`${key} became shorter while it was read`);
      at += read;
    }
    return bytes;
  } finally {
    await object.close();
  }
}

/** Undefined where there is no such object. */
export async function openObjectSource(
  storage: Pick<Storage, 'stat' | 'read'>,
  key: string,
): Promise<ByteSource | undefined> {
  const stat = await storage.stat(key);
  if (!stat) return undefined;
  const { size } = stat;
  return {
    size,
    async read(start, end) {
      const stop = Math.min(end, size);
      if (stop <= start) return Buffer.alloc(0);
      return buffer(await storage.read(key, { start, end: stop - 1 }));
    },
    async *stream(start, end) {
      const stop = Math.min(end, size);
      if (stop > start) yield* await storage.read(key, { start, end: stop - 1 });
    },
  };
}
