/**
 * Exact numbers of bytes from a stream of chunks of any size. Floor 1.
 */

export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #ended = false;
  /** Bytes taken or skipped so far. */
  position = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#chunks = input[Symbol.asyncIterator]();
  }

  /** False at the end of the input. */
  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0 && !this.#ended) {
      const { done, value } = await this.#chunks.next();
      if (done) this.#ended = true;
      else this.#chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    return this.#chunk.length > 0;
  }

  #shift(bytes: number): Buffer {
    const taken = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(taken.length);
    this.position += taken.length;
    return taken;
  }

  /** The next bytes where they are at hand, without waiting; otherwise undefined. */
  takeBuffered(bytes: number): Buffer | undefined {
    return this.#chunk.length >= bytes ? this.#shift(bytes) : undefined;
  }

  /** The next bytes; fewer only at the end of the input. */
  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = bytes;
    while (missing > 0 && (await this.#fill())) {
      const part = this.#shift(missing);
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  /** How many were there to be skipped: fewer only at the end of the input. */
  async skip(bytes: number): Promise<number> {
    const before = this.position;
    while (this.position - before < bytes && (await this.#fill())) {
      this.#shift(bytes - (this.position - before));
    }
    return this.position - before;
  }

  /** Lets the input go, read to its end or not. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#chunks.return?.();
  }
}
