/**
 * Bytes that can be read at any place: a staged file, a stored object, a buffer. What the readers
 * of this folder take instead of a path, so that they stay free of the disk. Floor 1.
 */

export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /** Bytes `start` up to and without `end`; shorter only at the end of the source. */
  read(start: number, end: number): Promise<Buffer>;
  /** The same range in chunks, in constant memory. */
  stream(start: number, end: number): AsyncIterable<Uint8Array>;
}

const CHUNK_BYTES = 64 * 1024;

/** A source over bytes that are in memory; nothing is copied. */
export function bytesOf(buffer: Uint8Array): ByteSource {
  const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return {
    size: bytes.length,
    async read(start, end) {
      return bytes.subarray(start, end);
    },
    async *stream(start, end) {
      const stop = Math.min(end, bytes.length);
      for (let at = start; at < stop; at += CHUNK_BYTES) {
        yield bytes.subarray(at, Math.min(at + CHUNK_BYTES, stop));
      }
    },
  };
}
