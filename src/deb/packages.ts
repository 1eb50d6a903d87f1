/**
 * Packages indexes: stanzas put together, and their gzip form. Source of truth:
 * DebianRepository/Format, section Packages Indices; apt reads gzip of many members. Floor 1.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compressMember = promisify(gzip);

const GZIP_LEVEL = 9;
/** Raw bytes of one gzip member: small enough to spread over the thread pool. */
const MEMBER_BYTES = 128 * 1024;
/** Members in flight at once, which bounds the memory of the compressors. */
const MEMBERS_AT_ONCE = 4;

const NEWLINE = Buffer.from('\n');

/** Stanzas (each ends in one newline) with exactly one blank line between; 0 bytes for none. */
export function renderIndex(stanzas: readonly Uint8Array[]): Buffer {
  return Buffer.concat(stanzas.flatMap((stanza, i) => (i === 0 ? [stanza] : [NEWLINE, stanza])));
}

/** The same bytes out for the same bytes in: no name, no time. Compressed off the main thread. */
export async function compressIndex(raw: Uint8Array): Promise<Buffer> {
  const members: Buffer[] = [];
  const step = MEMBER_BYTES * MEMBERS_AT_ONCE;
  for (let at = 0; at === 0 || at < raw.length; at += step) {
    const batch: Promise<Buffer>[] = [];
    const stop = Math.max(Math.min(at + step, raw.length), at + 1);
    for (let from = at; from < stop; from += MEMBER_BYTES) {
      const member = raw.subarray(from, Math.min(from + MEMBER_BYTES, stop));
      batch.push(compressMember(member, { level: GZIP_LEVEL }));
    }
    members.push(...(await Promise.all(batch)));
  }
  return Buffer.concat(members);
}
