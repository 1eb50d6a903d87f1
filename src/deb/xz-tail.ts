/**
 * Proves that xz input was one stream and nothing else. The decoder reads on over the streams and
 * the padding behind the first; but the index at the end of a stream, which the decoder has
 * checked, holds the sizes of its blocks, and so the size of that stream. Source of truth: the
 * .xz file format 1.0.4, sections 2.1.2 (footer) and 4 (index). Floor 1.
 */
import { RefusalError } from '../errors.ts';

/** Of the stream header, and as many of the footer. */
const HEADER_BYTES = 12;
/** An index of about 8,000 blocks. */
const MAX_TAIL_BYTES = 64 * 1024;

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `xz: ${detail}`);
}

/** Little-endian groups of seven bits, the last without its top bit. */
function readVarint(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 9; i += 1) {
    const byte = bytes[at + i] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  throw malformed('its index is damaged');
}

/** Bytes of all blocks of the stream that this index ends, each padded to four. */
function sumBlocks(index: Buffer): number {
  const count = readVarint(index, 1);
  let at = count.next;
  let total = 0;
  for (let i = 0; i < count.value && at < index.length; i += 1) {
    const unpadded = readVarint(index, at);
    at = readVarint(index, unpadded.next).next;
    total += Math.ceil(unpadded.value / 4) * 4;
  }
  return total;
}

export class XzTail {
  #tail: Buffer = Buffer.alloc(0);
  #total = 0;

  /** Copies what it keeps. */
  add(chunk: Uint8Array): void {
    this.#total += chunk.length;
    const joined = Buffer.concat([this.#tail, chunk.subarray(-MAX_TAIL_BYTES)]);
    this.#tail = joined.subarray(-MAX_TAIL_BYTES);
  }

  /** To be asked when the decoder has accepted everything. @throws RefusalError PACKAGE_MALFORMED */
  checkOneStream(): void {
    const footer = this.#tail.subarray(-HEADER_BYTES);
    if (footer.toString('latin1', 10) !== 'YZ') throw malformed('bytes follow the xz stream');
    const indexBytes = (footer.readUInt32LE(4) + 1) * 4;
    if (indexBytes + HEADER_BYTES > this.#tail.length) throw malformed('it has too many blocks');
    const index = this.#tail.subarray(-(indexBytes + HEADER_BYTES), -HEADER_BYTES);
    const streamBytes = HEADER_BYTES + sumBlocks(index) + indexBytes + HEADER_BYTES;
    if (streamBytes !== this.#total) throw malformed('it holds more than one xz stream');
  }
}
