/**
 * The members of a tar stream, in constant memory: V7, POSIX ustar with pax headers, and GNU with
 * long names. It ends where dpkg and GNU tar end, at the first block of zeros; what two readers
 * would read differently (a link with content, a global path) is refused, and so are sparse and
 * multi-volume members, which dpkg cannot unpack. Source of truth: tar(5), POSIX pax(1), dpkg's
 * lib/dpkg/tarfn.c. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import { type Overrides, parsePax } from './pax.ts';
import { quoteText } from './printable.ts';

export type TarType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface TarMember {
  /** As written; one character a byte. */
  name: string;
  type: TarType;
  linkName: string;
  /** Bytes of content; 0 for everything but files. */
  size: number;
  /** The content; to be called before the next member is asked for. */
  read(): Promise<Buffer>;
}

const BLOCK_BYTES = 512;
const ZEROS = Buffer.alloc(BLOCK_BYTES);
const MAX_LONG_NAME_BYTES = 64 * 1024;
const MAX_PAX_BYTES = 256 * 1024;
const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
};

interface TarHeader {
  typeFlag: string;
  name: string;
  linkName: string;
  size: number;
}

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `tar: ${detail}`);
}

function readText(block: Buffer, start: number, end: number): string {
  if (block[start] === 0) return '';
  const text = block.toString('latin1', start, end);
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** Octal digits, or (GNU) a big-endian number whose first bit is set. */
function readNumber(block: Buffer, start: number, end: number): number {
  if (((block[start] ?? 0) & 0x80) === 0) {
    const text = readText(block, start, end).trim();
    return /^[0-7]*$/.test(text) ? Number.parseInt(`0${text}`, 8) : Number.NaN;
  }
  let value = (block[start] ?? 0) & 0x7f;
  for (let i = start + 1; i < end; i += 1) value = value * 256 + (block[i] ?? 0);
  return value;
}

function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i += 1) sum += block[i] as number;
  for (let i = 156; i < BLOCK_BYTES; i += 1) sum += block[i] as number;
  return sum;
}

function parseHeader(block: Buffer): TarHeader {
  if (sumOf(block) !== readNumber(block, 148, 156)) {
    throw malformed('a member header is damaged (checksum)');
  }
  const name = readText(block, 0, 100);
  const size = readNumber(block, 124, 136);
  if (!Number.isSafeInteger(size)) {
    throw malformed(`member ${quoteText(name)} has a size that is not a number`);
  }
  const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? readText(block, 345, 500) : '';
  return {
    typeFlag: block.toString('latin1', 156, 157),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: readText(block, 157, 257),
    size,
  };
}

function checkMember(name: string, typeFlag: string, size: number): TarType {
  const type = TYPES[typeFlag];
  if (type === undefined) {
    const what = typeFlag === 'S' ? 'a sparse file' : `of unknown type ${quoteText(typeFlag)}`;
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      `tar: member ${quoteText(name)} is ${what}, which dpkg cannot unpack`,
    );
  }
  if (name === '' || name.includes('\0')) throw malformed('a member has an unreadable name');
  const found = type === 'file' && name.endsWith('/') ? 'directory' : type;
  if (found !== 'file' && size !== 0) {
    throw malformed(`member ${quoteText(name)} is a ${found}, but has content`);
  }
  return found;
}

/** Content and its padding to whole blocks; shorter than promised is refused. */
async function takeContent(reader: ByteReader, size: number, limitBytes: number): Promise<Buffer> {
  if (size > limitBytes) throw malformed(`a header is longer than ${limitBytes} bytes`);
  const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  const content = await reader.take(padded);
  if (content.length < padded) throw malformed('it is cut off inside a member');
  return content.subarray(0, size);
}

/** Readers disagree on which of two headers wins, so there may be one. */
function addOverrides(next: Overrides, more: Overrides): void {
  if (Object.keys(more).some((key) => key in next)) {
    throw malformed('two headers name the same member');
  }
  Object.assign(next, more);
}

/** Headers that describe the next member: GNU long names and pax. True where this was one. */
async function takeOverride(
  reader: ByteReader,
  header: TarHeader,
  next: Overrides,
): Promise<boolean> {
  const { typeFlag, size } = header;
  if (typeFlag === 'L' || typeFlag === 'K') {
    const text = await takeContent(reader, size, MAX_LONG_NAME_BYTES);
    const value = readText(text, 0, text.length);
    addOverrides(next, typeFlag === 'L' ? { path: value } : { linkpath: value });
    return true;
  }
  if (typeFlag !== 'x' && typeFlag !== 'g') return false;
  const records = parsePax(await takeContent(reader, size, MAX_PAX_BYTES));
  if (typeFlag === 'x') addOverrides(next, records);
  else if (Object.keys(records).length > 0) {
    throw malformed('a global pax header sets the path or size of every member');
  }
  return true;
}

/** A member of a tar that is in memory whole; where its content begins. */
export type WholeMember = Omit<TarMember, 'read'> & { start: number };

/**
 * The members of a tar in memory, read without waiting; undefined where there is more to it than plain
 * headers, and where it is cut off: `readTar` takes that up.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE as `readTar`
 */
export function listPlainMembers(tar: Buffer): WholeMember[] | undefined {
  const members: WholeMember[] = [];
  for (let at = 0; at < tar.length; ) {
    const start = at + BLOCK_BYTES;
    if (start > tar.length) return undefined;
    const block = tar.subarray(at, start);
    if (block[0] === 0 && block.equals(ZEROS)) break;
    const { typeFlag, name, linkName, size } = parseHeader(block);
    if ('LKxg'.includes(typeFlag)) return undefined;
    const type = checkMember(name, typeFlag, size);
    at = start + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (at > tar.length) return undefined;
    members.push({ name, type, linkName, size, start });
  }
  return members;
}

/**
 * Members in their order. Content that is not read is skipped; the input is read to its end.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE
 */
export async function* readTar(input: AsyncIterable<Uint8Array>): AsyncGenerator<TarMember> {
  const reader = new ByteReader(input);
  try {
    let next: Overrides = {};
    for (;;) {
      const block = reader.takeBuffered(BLOCK_BYTES) ?? (await reader.take(BLOCK_BYTES));
      if (block.length === 0) break;
      if (block.length < BLOCK_BYTES) throw malformed('it is cut off inside a member header');
      if (block[0] === 0 && block.equals(ZEROS)) break;
      const header = parseHeader(block);
      if (await takeOverride(reader, header, next)) continue;
      const name = next.path ?? header.name;
      const size = next.size ?? header.size;
      const type = checkMember(name, header.typeFlag, size);
      const linkName = next.linkpath ?? header.linkName;
      next = {};
      const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
      const end = reader.position + padded;
      yield { name, type, linkName, size, read: () => takeContent(reader, size, size) };
      const rest = end - reader.position;
      if (rest > 0 && (await reader.skip(rest)) < rest) {
        throw malformed(`it is cut off inside member ${quoteText(name)}`);
      }
    }
    if (Object.keys(next).length > 0) throw malformed('it ends after a header for a next member');
    await reader.skip(Number.POSITIVE_INFINITY);
  } finally {
    await reader.close();
  }
}
