/**
 * The outer archive of a .deb: the common ar format as dpkg reads it. Source of truth: deb(5),
 * ar(5), dpkg's lib/dpkg/ar.c. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';
import { quoteText } from './printable.ts';

export interface ArMember {
  name: string;
  /** Of the first byte of the content, from the start of the source. */
  offset: number;
  size: number;
}

const MAGIC = '!<arch>\n';
const HEADER_BYTES = 60;
const MAX_MEMBERS = 100;

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', detail);
}

/** Name and size from one 60-byte header; the other columns mean nothing to dpkg. */
function parseHeader(header: Buffer, at: number): { name: string; size: number } {
  if (header.length < HEADER_BYTES) {
    throw malformed(`the ar archive ends inside a member header, at byte ${at}`);
  }
  if (header[58] !== 0x60 || header[59] !== 0x0a) {
    throw malformed(`what stands at byte ${at} is not an ar member header`);
  }
  const padded = header.toString('latin1', 0, 16);
  // System V ar ends a name with a slash so that it may hold blanks.
  const name = padded.replace(/ +$/, '').replace(/\/$/, '');
  if (!/^[\x21-\x7e]+$/.test(name)) {
    throw malformed(`the ar member at byte ${at} has an unreadable name, ${quoteText(padded)}`);
  }
  const size = header.toString('latin1', 48, 58).replace(/ +$/, '');
  if (!/^[0-9]+$/.test(size)) {
    throw malformed(`the size of ar member ${quoteText(name)} is not a number: ${quoteText(size)}`);
  }
  return { name, size: Number(size) };
}

/** The walk through the archive: a header as it was read, and where the next one stands. */
class MemberList {
  readonly members: ArMember[] = [];
  readonly #size: number;
  at = MAGIC.length;

  constructor(magic: Buffer, size: number) {
    if (magic.toString('latin1') !== MAGIC) {
      throw malformed('this is not a Debian package: it does not begin as an ar archive');
    }
    this.#size = size;
  }

  get isComplete(): boolean {
    if (this.at >= this.#size) return true;
    if (this.members.length < MAX_MEMBERS) return false;
    throw malformed(`the ar archive has more than ${MAX_MEMBERS} members`);
  }

  add(header: Buffer): void {
    const { name, size } = parseHeader(header, this.at);
    const offset = this.at + HEADER_BYTES;
    this.at = offset + size + (size % 2);
    if (this.at > this.#size) {
      throw malformed(
        `ar member ${quoteText(name)} should end at byte ${this.at}, but the file ends at ${this.#size}`,
      );
    }
    this.members.push({ name, offset, size });
  }
}

/** As `readMembers`, of bytes that are in memory. @throws RefusalError PACKAGE_MALFORMED */
export function listMembers(bytes: Buffer): ArMember[] {
  const list = new MemberList(bytes.subarray(0, MAGIC.length), bytes.length);
  while (!list.isComplete) list.add(bytes.subarray(list.at, list.at + HEADER_BYTES));
  return list.members;
}

/**
 * Every member in the order of the archive; contents are not read. At most 100 members.
 * @throws RefusalError PACKAGE_MALFORMED
 */
export async function readMembers(source: ByteSource): Promise<ArMember[]> {
  const list = new MemberList(await source.read(0, MAGIC.length), source.size);
  while (!list.isComplete) list.add(await source.read(list.at, list.at + HEADER_BYTES));
  return list.members;
}
