/** A file on this machine as the parsers of deb/ read it. Floor 2. */
import { open } from 'node:fs/promises';
import type { ByteSource } from '../deb/byte-source.ts';

const CHUNK_BYTES = 1_048_576;

/** Opens a staged file for reading; `close` gives its descriptor back. */
export async function openFileSource(
  path: string,
): Promise<ByteSource & { close(): Promise<void> }> {
  const handle = await open(path, 'r');
  const { size } = await handle.stat();
  const read = async (start: number, end: number): Promise<Buffer> => {
    const length = Math.max(0, Math.min(end, size) - start);
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  };
  return {
    size,
    read,
    async *stream(start, end) {
      const stop = Math.min(end, size);
      for (let at = start; at < stop; at += CHUNK_BYTES) {
        yield await read(at, Math.min(at + CHUNK_BYTES, stop));
      }
    },
    close: () => handle.close(),
  };
}
