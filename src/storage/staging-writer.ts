/**
 * Bytes on their way into a staged file: counted, hashed and written in one pass, through pieces of
 * memory that are used again. TLS hands over 16 KiB at a time; each of them as a buffer of its own
 * would cost the collector more than the hash. Source of truth: FIPS 180-4. Floor 2.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { RefusalError } from '../errors.ts';
import { clearNursery } from '../thread.ts';

export const PIECE_BYTES = 1_048_576;
/** So much goes to the disk together: the rest of a large file that is synced at its end is short. */
const SYNC_BYTES = 8 * PIECE_BYTES;

/** After so many pieces, of whichever file, what TLS handed over is let go. */
const CLEARED_AFTER = 8;
let turned = 0;

/** Pieces of ended writers, for the next ones. */
const freePieces: Buffer[] = [];
const MAX_FREE_PIECES = 8;

export interface StagingWriterOptions {
  /** One byte more ends the stream with RefusalError TOO_LARGE. */
  limitBytes: number;
  /** So many bytes are in the file now; they do not change any more. */
  onWritten?: (written: number) => void;
}

/** `size` grows as bytes come; `sha256` is there once it has finished. The handle stays open. */
export class StagingWriter extends Writable {
  size = 0;
  readonly #handle: FileHandle;
  readonly #limitBytes: number;
  readonly #onWritten: (written: number) => void;
  readonly #hash = createHash('sha256');
  #digest: string | undefined;
  /** Filled while the other one, where there is one, is being written. */
  #piece: Buffer | undefined;
  #filled = 0;
  #spare: Buffer | undefined;
  #written = 0;
  #unsynced = 0;
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle, { limitBytes, onWritten }: StagingWriterOptions) {
    super({ highWaterMark: PIECE_BYTES });
    this.#handle = handle;
    this.#limitBytes = limitBytes;
    this.#onWritten = onWritten ?? (() => {});
  }

  /** Lower-case hexadecimal. @throws Error while bytes may still come. */
  get sha256(): string {
    if (this.#digest === undefined) throw new Error('the checksum is asked for before the end');
    return this.#digest;
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.size += chunk.length;
    if (this.size > this.#limitBytes) {
      done(new RefusalError('TOO_LARGE', `more than ${this.#limitBytes} bytes`));
      return;
    }
    const taken = this.#take(chunk);
    if (taken === chunk.length) done();
    else this.#takeRest(chunk.subarray(taken)).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#finish().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Not before: the kernel may still be reading from a piece.
    void Promise.allSettled([this.#writing, this.#syncing]).then(() => {
      for (const piece of [this.#piece, this.#spare]) {
        if (piece && freePieces.length < MAX_FREE_PIECES) freePieces.push(piece);
      }
      this.#piece = undefined;
      this.#spare = undefined;
      done(error);
    });
  }

  /** How many bytes found room. */
  #take(chunk: Buffer): number {
    this.#piece ??= freePieces.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
    const taken = chunk.copy(this.#piece, this.#filled);
    this.#filled += taken;
    return taken;
  }

  async #takeRest(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      await this.#turnPieces();
      at += this.#take(chunk.subarray(at));
    }
  }

  /** Begins to write what is filled; waits for the piece before it. */
  async #turnPieces(): Promise<void> {
    const filled = this.#piece?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    this.#hash.update(filled);
    await this.#writing;
    this.#writing = this.#store(filled);
    this.#writing.catch(() => {});
    [this.#piece, this.#spare] = [this.#spare, this.#piece];
    this.#filled = 0;
    turned += 1;
    if (turned % CLEARED_AFTER === 0) clearNursery();
  }

  async #finish(): Promise<void> {
    if (this.#filled > 0) await this.#turnPieces();
    await this.#writing;
    await this.#syncing;
    this.#digest = this.#hash.digest('hex');
  }

  async #store(bytes: Buffer): Promise<void> {
    // A disk that is nearly full takes less than it is given, and says why when it is given the rest.
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#handle.write(bytes, at)).bytesWritten;
    }
    this.#written += bytes.length;
    this.#onWritten(this.#written);
    this.#unsynced += bytes.length;
    if (this.#unsynced < SYNC_BYTES) return;
    // One at a time; who writes faster than the disk waits for it here.
    await this.#syncing;
    this.#unsynced = 0;
    this.#syncing = this.#handle.datasync();
    this.#syncing.catch(() => {});
  }
}
