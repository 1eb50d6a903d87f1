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

/**
 * Every member in the order of the archive; contents are not read. At most 100 members.
 * @throws RefusalError PACKAGE_MALFORMED
 */
export async function readMembers(source: ByteSource): Promise<ArMember[]> {
  const magic = await source.read(0, MAGIC.length);
  if (magic.toString('latin1') !== MAGIC) {
    throw malformed('this is not a Debian package: it does not begin as an ar archive');
  }
  const members: ArMember[] = [];
  let at = MAGIC.length;
  while (at < source.size) {
    if (members.length === MAX_MEMBERS) {
      throw malformed(`the ar archive has more than ${MAX_MEMBERS} members`);
    }
    const { name, size } = parseHeader(await source.read(at, at + HEADER_BYTES), at);
    const offset = at + HEADER_BYTES;
    at = offset + size + (size % 2);
    if (at > source.size) {
      throw malformed(
        `ar member ${quoteText(name)} should end at byte ${at}, but the file ends at ${source.size}`,
      );
    }
    members.push({ name, offset, size });
  }
  return members;
}
