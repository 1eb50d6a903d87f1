/**
 * One Packages index held so that a package more costs its own size: gzip members that are never
 * touched again, one short tail that is compressed anew, and the hash states before it. apt reads
 * concatenated gzip members (RFC 1952 section 2.2). Floor 3.
 */
import { createHash, type Hash } from 'node:crypto';
import { compressIndex } from '../deb/packages.ts';

/** A member is closed once it holds this much uncompressed. */
const MEMBER_BYTES = 131_072;

/** What Release says of one file, and its bytes where they are stored. */
export interface IndexImage {
  plain: { size: number; sha256: string };
  compressed: { size: number; sha256: string; parts: readonly Uint8Array[] };
}

export class ResidentIndex {
  readonly #members: Buffer[] = [];
  readonly #plainHash: Hash = createHash('sha256');
  readonly #membersHash: Hash = createHash('sha256');
  readonly #separator: Buffer;
  #plainSize = 0;
  #tail: Buffer[] = [];
  #tailSize = 0;

  /** @param separator what stands between two stanzas. */
  constructor(separator = '\n') {
    this.#separator = Buffer.from(separator);
  }

  /** Adds stanzas at the end; each ends in one newline. */
  async append(stanzas: readonly Uint8Array[]): Promise<void> {
    for (const stanza of stanzas) {
      const separated = this.#plainSize === 0 ? [stanza] : [this.#separator, stanza];
      for (const bytes of separated) {
        this.#plainHash.update(bytes);
        this.#plainSize += bytes.length;
        this.#tail.push(Buffer.from(bytes));
        this.#tailSize += bytes.length;
      }
      if (this.#tailSize >= MEMBER_BYTES) await this.#closeMember();
    }
  }

  async #closeMember(): Promise<void> {
    const member = await compressIndex(Buffer.concat(this.#tail));
    this.#members.push(member);
    this.#membersHash.update(member);
    this.#tail = [];
    this.#tailSize = 0;
  }

  /** The index as it stands; the empty one is one member of nothing. */
  async render(): Promise<IndexImage> {
    const hash = this.#membersHash.copy();
    const parts = [...this.#members];
    if (this.#tailSize > 0 || parts.length === 0) {
      const tail = await compressIndex(Buffer.concat(this.#tail));
      hash.update(tail);
      parts.push(tail);
    }
    return {
      plain: { size: this.#plainSize, sha256: this.#plainHash.copy().digest('hex') },
      compressed: {
        size: parts.reduce((sum, part) => sum + part.length, 0),
        sha256: hash.digest('hex'),
        parts,
      },
    };
  }
}
