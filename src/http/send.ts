/**
 * Bytes of stored objects to a client: a megabyte at a time, into buffers that are used again, the
 * next one read while the last is encrypted and sent. Each write waits for the one before, so a slow
 * client holds two buffers and no more. Floor 7.
 */
import type { ServerResponse } from 'node:http';
import type { ObjectPiece } from '../repository/published-files.ts';
import type { OpenObject, Storage } from '../storage/storage.ts';

const BUFFER_BYTES = 1_048_576;
/** What is kept for the next, beyond what is in use. */
const MAX_SPARE = 16;

const spare: Buffer[] = [];

const takeBuffer = (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);

function giveBack(buffer: Buffer): void {
  if (spare.length < MAX_SPARE) spare.push(buffer);
}

/** Pieces of objects, one after another, into whatever buffer is offered. */
export class PieceReader {
  readonly #storage: Storage;
  readonly #pieces: readonly ObjectPiece[];
  #next = 0;
  #object: OpenObject | undefined;
  #position = 0;
  #end = 0;
  /** Bytes that are still to be read. */
  left: number;

  private constructor(storage: Storage, pieces: readonly ObjectPiece[]) {
    this.#storage = storage;
    this.#pieces = pieces;
    this.left = pieces.reduce((sum, { range }) => sum + range.end - range.start + 1, 0);
  }

  /**
   * The first object is opened here: one that is gone is refused, before an answer has begun.
   * @throws an error of code ENOENT
   */
  static async open(storage: Storage, pieces: readonly ObjectPiece[]): Promise<PieceReader> {
    const reader = new PieceReader(storage, pieces);
    await reader.#openNext();
    return reader;
  }

  async #openNext(): Promise<void> {
    await this.close();
    const piece = this.#pieces[this.#next];
    this.#next += 1;
    if (!piece) return;
    this.#object = await this.#storage.open(piece.key);
    this.#position = piece.range.start;
    this.#end = piece.range.end + 1;
  }

  /** Resolves with how many bytes it has put there: as many as fit, or all that are left. */
  async fill(buffer: Buffer): Promise<number> {
    let filled = 0;
    const wanted = Math.min(buffer.length, this.left);
    while (filled < wanted) {
      if (this.#position >= this.#end) await this.#openNext();
      const length = Math.min(wanted - filled, this.#end - this.#position);
      const count = await this.#object?.read(buffer, filled, length, this.#position);
      if (!count) throw new Error('an object is shorter than what was published');
      filled += count;
      this.#position += count;
    }
    this.left -= filled;
    return filled;
  }

  async close(): Promise<void> {
    const object = this.#object;
    this.#object = undefined;
    await object?.close();
  }
}

/** Resolves when the bytes are on their way and may be overwritten. */
function write(response: ServerResponse, bytes: Buffer, isLast: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error('the client is gone'));
    // A connection that is cut does not always call back.
    response.once('close', fail);
    const done = (error?: Error | null): void => {
      response.removeListener('close', fail);
      if (error) reject(error);
      else resolve();
    };
    if (isLast) response.end(bytes, done);
    else response.write(bytes, done);
  });
}

/** Sends everything; the head was written. What fails leaves the answer cut. */
export async function sendPieces(response: ServerResponse, reader: PieceReader): Promise<void> {
  let last: Buffer | undefined;
  let sending: Promise<void> | undefined;
  try {
    do {
      const buffer = takeBuffer();
      const count = await reader.fill(buffer);
      await sending;
      if (last) giveBack(last);
      last = buffer;
      if (response.destroyed) throw new Error('the client is gone');
      sending = write(response, buffer.subarray(0, count), reader.left === 0);
      // Waited for above; here only so that it is never nobody's.
      sending.catch(() => {});
    } while (reader.left > 0);
    await sending;
    // Where it failed the kernel may still read from it: it is left to the collector.
    if (last) giveBack(last);
  } finally {
    await reader.close();
  }
}
