/**
 * The compressed forms of an index: how a piece of it becomes a member, and what stands before the
 * first and behind the last one. Source of truth: RFC 1952, section 2.2 (gzip members one after
 * another are one file). Floor 3.
 */
import { compressGzip, uncompressGzip } from '../deb/at-once.ts';

/** `unpadded`: of a block of xz, the size that the index of the stream says of it. */
export interface MemberSize {
  raw: number;
  size: number;
  unpadded?: number;
}

export interface Form {
  /** What a file name ends in, behind the dot. */
  suffix: string;
  /** Raw bytes that one member should hold; a single entry may be more. */
  memberBytes: number;
  /** Off the main thread, unless they are few; the same bytes out for the same bytes in. */
  compress: (raw: Uint8Array) => Promise<{ bytes: Buffer; unpadded?: number }>;
  /** The raw bytes of members one after another; off the main thread, unless they are few. */
  uncompress: (members: Uint8Array, sizes: readonly MemberSize[]) => Promise<Buffer>;
  /** Whether that is in the thread pool, which also reads files for everybody. */
  isPooled: boolean;
  head: Uint8Array;
  /** What stands behind these members, which are all there are. */
  tail: (members: readonly MemberSize[]) => Uint8Array;
}

/** Level 9 costs twice the time of 6 and saves one part in a hundred. */
const GZIP_LEVEL = 6;
const NOTHING = new Uint8Array();
/** gzip of no bytes: an empty index is a file nevertheless. */
const EMPTY_MEMBER = Buffer.from('1f8b080000000000000303000000000000000000', 'hex');

export const GZIP_FORM: Form = {
  suffix: 'gz',
  memberBytes: 131_072,
  compress: async (raw) => ({ bytes: await compressGzip(raw, GZIP_LEVEL) }),
  uncompress: (members, sizes) =>
    uncompressGzip(
      members,
      sizes.reduce((sum, { raw }) => sum + raw, 0),
    ),
  isPooled: true,
  head: NOTHING,
  tail: (members) => (members.length === 0 ? EMPTY_MEMBER : NOTHING),
};
