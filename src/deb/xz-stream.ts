/**
 * One .xz stream out of blocks that were compressed one by one, because apt reads the first of
 * several streams and drops the rest: only what changed is compressed again, and the index at the
 * end is written anew. Source of truth: the .xz file format 1.2.1, sections 2.1 (stream), 3.1
 * (block) and 4 (index). Floor 1.
 */
import { crc32 } from 'node:zlib';

/** `bytes` is padded to four, `unpaddedSize` is what the index says of it. */
export interface XzBlock {
  bytes: Buffer;
  rawSize: number;
  unpaddedSize: number;
}

const MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const FOOTER_MAGIC = Buffer.from('YZ');
/** No reserved bit, and CRC64 as the check: what every block of the stream has. */
const FLAGS = Buffer.from([0x00, 0x04]);
const HEADER_BYTES = 12;

function checksum(bytes: Uint8Array): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return sum;
}

/** What stands before the first block. */
export const XZ_HEAD: Buffer = Buffer.concat([MAGIC, FLAGS, checksum(FLAGS)]);

/** Groups of seven bits, the lowest first; every one but the last with its top bit set. */
function renderVarint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return [...bytes, rest];
}

function readVarint(bytes: Buffer, at: number): { value: number; next: number } {
  let value = 0;
  for (let i = 0; i < 8; i += 1) {
    const byte = bytes[at + i];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 0x80 ** i;
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  throw new Error('the index of an xz stream is damaged');
}

/** Index and footer of a stream that holds these blocks in this order; of none as well. */
export function renderXzTail(blocks: readonly Pick<XzBlock, 'rawSize' | 'unpaddedSize'>[]): Buffer {
  const records = blocks.flatMap(({ unpaddedSize, rawSize }) => [
    ...renderVarint(unpaddedSize),
    ...renderVarint(rawSize),
  ]);
  const unpadded = [0x00, ...renderVarint(blocks.length), ...records];
  const body = Buffer.alloc(Math.ceil(unpadded.length / 4) * 4);
  body.set(unpadded);
  const index = Buffer.concat([body, checksum(body)]);
  const described = Buffer.alloc(6);
  described.writeUInt32LE(index.length / 4 - 1);
  described.set(FLAGS, 4);
  return Buffer.concat([index, checksum(described), described, FOOTER_MAGIC]);
}

/**
 * The blocks of one whole stream, in memory shared with it.
 * @throws Error anything else: no stream, other flags than ours, a sum that is wrong
 */
export function readXzBlocks(stream: Buffer): XzBlock[] {
  const footer = stream.subarray(-HEADER_BYTES);
  if (
    stream.length < 2 * HEADER_BYTES ||
    !stream.subarray(0, HEADER_BYTES).equals(XZ_HEAD) ||
    !footer.subarray(8).equals(Buffer.concat([FLAGS, FOOTER_MAGIC])) ||
    !checksum(footer.subarray(4, 10)).equals(footer.subarray(0, 4))
  ) {
    throw new Error('this is no xz stream with CRC64');
  }
  const end = stream.length - HEADER_BYTES;
  const start = end - (footer.readUInt32LE(4) + 1) * 4;
  const index = stream.subarray(Math.max(start, HEADER_BYTES), end);
  if (index[0] !== 0 || !checksum(index.subarray(0, -4)).equals(index.subarray(-4))) {
    throw new Error('the index of an xz stream is damaged');
  }
  const count = readVarint(index, 1);
  const blocks: XzBlock[] = [];
  let next = count.next;
  let at = HEADER_BYTES;
  for (let i = 0; i < count.value; i += 1) {
    const unpadded = readVarint(index, next);
    const raw = readVarint(index, unpadded.next);
    next = raw.next;
    const bytes = stream.subarray(at, at + Math.ceil(unpadded.value / 4) * 4);
    at += bytes.length;
    blocks.push({ bytes, rawSize: raw.value, unpaddedSize: unpadded.value });
  }
  if (at !== start) throw new Error('the index of an xz stream does not fit its blocks');
  return blocks;
}
