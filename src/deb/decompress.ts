/**
 * The compressions of the members of a .deb, with a limit on what comes out. Source of truth:
 * deb(5); RFC 1952 (gzip: several members are one file), RFC 8878 (zstd: several frames are one
 * file), xz.ts. bzip2 and lzma, which dpkg still unpacks, have no reader here. Floor 1.
 */
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { RefusalError, systemCode } from '../errors.ts';
import { awaitTurn } from './turns.ts';
import { decompressXz } from './xz.ts';

export type Compression = 'none' | 'gz' | 'xz' | 'zst' | 'bz2' | 'lzma';

/** Suffix of a member's name -> compression. Undefined where dpkg knows none of that name. */
export function compressionOf(suffix: string): Compression | undefined {
  const known: Record<string, Compression> = {
    '': 'none',
    '.gz': 'gz',
    '.xz': 'xz',
    '.zst': 'zst',
    '.bz2': 'bz2',
    '.lzma': 'lzma',
  };
  return Object.hasOwn(known, suffix) ? known[suffix] : undefined;
}

const ZLIB_FAULTS: Readonly<Record<string, string>> = {
  Z_BUF_ERROR: 'the compressed data is cut off',
  ZSTD_error_frameParameter_windowTooLarge: 'it needs more than 128 MiB of memory',
};

/** Each piece that comes out is a turn of a thread and a buffer outside the heap: few large ones. */
const OUTPUT_BYTES = 512 * 1024;

/** Counts what the input gives, and remembers its own error apart from those of the decoder. */
class WatchedInput {
  supplied = 0;
  error: unknown;
  readonly #chunks: AsyncIterator<Uint8Array>;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** Not `for await`: a decoder's error is thrown into the `yield`, and is not the input's. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const next = await this.#next();
        if (next.done) return;
        this.supplied += next.value.length;
        yield next.value;
      }
    } finally {
      await this.#chunks.return?.();
    }
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return await this.#chunks.next();
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

/** Through one of Node's zlib transforms. */
async function* decompressZlib(
  input: AsyncIterable<Uint8Array>,
  transform: Transform & { bytesWritten: number },
  format: string,
): AsyncGenerator<Buffer> {
  const watched = new WatchedInput(input);
  // A failure is seen in the transform, below; here it would be seen twice.
  const feeding = pipeline(Readable.from(watched, { objectMode: false }), transform).catch(
    () => {},
  );
  try {
    for await (const chunk of transform) yield chunk;
  } catch (error) {
    if (watched.error !== undefined) throw watched.error;
    const fault = ZLIB_FAULTS[systemCode(error)] ?? 'the compressed data is damaged';
    throw new RefusalError('PACKAGE_MALFORMED', `${format}: ${fault}`);
  } finally {
    transform.destroy();
    await feeding;
  }
  if (transform.bytesWritten !== watched.supplied) {
    throw new RefusalError('PACKAGE_MALFORMED', `${format}: bytes follow the compressed data`);
  }
}

function openDecoder(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return input;
    case 'gz':
      return decompressZlib(input, createGunzip({ chunkSize: OUTPUT_BYTES }), 'gzip');
    case 'zst':
      return awaitTurn(() =>
        decompressZlib(input, createZstdDecompress({ chunkSize: OUTPUT_BYTES }), 'zstd'),
      );
    case 'xz':
      return awaitTurn(() => decompressXz(input));
    default:
      throw new RefusalError(
        'PACKAGE_UNACCEPTABLE',
        `compression ${compression} is not supported; build the package with xz, gzip or zstd`,
      );
  }
}

/**
 * The decompressed bytes in chunks, in constant memory (up to 64 MiB for xz, 128 MiB for zstd).
 * @param limits outputBytes: the most that may come out; one byte more is refused.
 * @throws RefusalError PACKAGE_MALFORMED damaged, cut off, or followed by other bytes
 * @throws RefusalError PACKAGE_UNACCEPTABLE past the limit, or bz2 or lzma
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  compression: Compression,
  limits: { outputBytes: number },
): AsyncGenerator<Uint8Array> {
  let produced = 0;
  for await (const chunk of openDecoder(input, compression)) {
    produced += chunk.length;
    if (produced > limits.outputBytes) {
      throw new RefusalError(
        'PACKAGE_UNACCEPTABLE',
        `it unpacks to more than ${limits.outputBytes} bytes`,
      );
    }
    yield chunk;
  }
}
