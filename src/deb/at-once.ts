/**
 * Small gzip members without a stream or a thread's turn: a tenth of the time, for what is nearly all
 * of the packages of a bulk, and for what one more package adds to an index. Whatever is not plainly whole and small is left to the stream, which finds the words
 * for it. Source of truth: RFC 1952. Floor 1.
 */
import { promisify } from 'node:util';
import { gunzip, gunzipSync, gzip, gzipSync } from 'node:zlib';
import type { Compression } from './decompress.ts';

/** Past it a stream costs little more, and nothing is held up. */
export const MAX_PACKED_BYTES = 64 * 1024;
/** Of zlib. */
const MIN_CHUNK_BYTES = 64;
const MAX_UNPACKED_BYTES = 1024 * 1024;

/** All of it, or undefined where the stream has to be asked. */
export function decompressAtOnce(packed: Uint8Array, compression: Compression): Buffer | undefined {
  if (compression !== 'gz' || packed.length > MAX_PACKED_BYTES) return undefined;
  // What the last member says it unpacks to: one buffer of that size instead of several. The little
  // more is where the engine sees that nothing is left.
  const said =
    packed.length < 18
      ? 0
      : Buffer.from(packed.buffer, packed.byteOffset, packed.length).readUInt32LE(
          packed.length - 4,
        );
  const chunkSize = Math.max(MIN_CHUNK_BYTES, Math.min(said, MAX_UNPACKED_BYTES) + 1);
  try {
    // `info` adds the engine, which knows how much of the input it took.
    const { buffer, engine } = gunzipSync(packed, {
      info: true,
      chunkSize,
      maxOutputLength: MAX_UNPACKED_BYTES,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    return engine.bytesWritten === packed.length ? buffer : undefined;
  } catch {
    return undefined;
  }
}

/** Compressing as much takes a tenth of a millisecond. */
const MAX_RAW_BYTES = 8 * 1024;
/** Of the window and of the tables: enough for so few bytes, and an eighth of the memory of others. */
const SMALL_WINDOW = { windowBits: 13, memLevel: 6, chunkSize: MAX_RAW_BYTES };

const compressLater = promisify(gzip);
const uncompressLater = promisify(gunzip);

/** What comes out of a thread comes in pieces of this size at least: each is a turn of the thread. */
const PIECE_BYTES = 64 * 1024;
const MAX_PIECE_BYTES = 4 * 1024 * 1024;
/** The little more is where the engine sees that nothing is left. */
const SPARE_BYTES = 64;

/** One gzip member; at once where it is small, off the main thread otherwise. */
export async function compressGzip(raw: Uint8Array, level = 6): Promise<Buffer> {
  if (raw.length > MAX_RAW_BYTES) return compressLater(raw, { level, chunkSize: PIECE_BYTES });
  return gzipSync(raw, { level, ...SMALL_WINDOW });
}

/**
 * What gzip members of our own unpack to; at once where they are small.
 * @param rawBytes how many bytes that will be, if all is as it was.
 * @throws an error of zlib
 */
export async function uncompressGzip(members: Uint8Array, rawBytes: number): Promise<Buffer> {
  const wanted = Math.min(rawBytes + SPARE_BYTES, MAX_PIECE_BYTES);
  const chunkSize = Math.max(wanted, MIN_CHUNK_BYTES);
  if (members.length > MAX_RAW_BYTES) return uncompressLater(members, { chunkSize });
  return decompressAtOnce(members, 'gz') ?? uncompressLater(members, { chunkSize });
}
