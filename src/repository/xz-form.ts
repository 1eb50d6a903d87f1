/**
 * Indexes as .xz: a member is a block, and head and tail make one stream of them. Source of truth:
 * deb/xz-stream.ts. Floor 3.
 */
import { renderXzTail, XZ_HEAD, type XzBlock } from '../deb/xz-stream.ts';
import { compressXzBlock, uncompressXzStream } from '../xz-program.ts';
import type { Form, MemberSize } from './form.ts';

type Sizes = Pick<XzBlock, 'rawSize' | 'unpaddedSize'>;

function listSizes(members: readonly MemberSize[]): Sizes[] {
  return members.map(({ raw, unpadded }) => {
    if (unpadded === undefined) throw new Error('a block of xz without its size');
    return { rawSize: raw, unpaddedSize: unpadded };
  });
}

export const XZ_FORM: Form = {
  suffix: 'xz',
  // Twice as much compresses 4 % better, and doubles what a removal compresses again.
  memberBytes: 262_144,
  async compress(raw) {
    const { bytes, unpaddedSize } = await compressXzBlock(raw);
    return { bytes, unpadded: unpaddedSize };
  },
  uncompress: (members, sizes) =>
    uncompressXzStream(Buffer.concat([XZ_HEAD, members, renderXzTail(listSizes(sizes))])),
  isPooled: false,
  head: XZ_HEAD,
  tail: (members) => renderXzTail(listSizes(members)),
};
