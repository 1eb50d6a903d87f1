/**
 * Size and SHA-256 of bytes on their way to somewhere else. Source of truth: FIPS 180-4. Floor 1.
 */
import { createHash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { RefusalError } from '../errors.ts';

/** TLS hands over 16 KiB at a time; hashing in larger batches saves most of the calls. */
const BATCH_BYTES = 1024 * 1024;

/** Batches of ended taps, for the next ones: a megabyte for each upload is work for the collector. */
const freeBatches: Buffer[] = [];
const MAX_FREE_BATCHES = 8;

/** Passes every byte on; `size` grows as it does, `sha256` is there once it has ended. */
export class ChecksumTap extends Transform {
  size = 0;
  readonly #limitBytes: number;
  readonly #hash = createHash('sha256');
  #batch: Buffer | undefined;
  #batched = 0;
  #digest: string | undefined;

  /** @param options limitBytes: one byte more ends the stream with RefusalError TOO_LARGE. */
  constructor(options: { limitBytes: number }) {
    super();
    this.#limitBytes = options.limitBytes;
  }

  /** Lower-case hexadecimal. @throws Error while bytes may still come. */
  get sha256(): string {
    if (this.#digest === undefined) throw new Error('the checksum is asked for before the end');
    return this.#digest;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.size += chunk.length;
    if (this.size > this.#limitBytes) {
      done(new RefusalError('TOO_LARGE', `more than ${this.#limitBytes} bytes`));
      return;
    }
    this.#add(chunk);
    done(null, chunk);
  }

  override _flush(done: TransformCallback): void {
    this.#hashBatch();
    this.#digest = this.#hash.digest('hex');
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#batch && freeBatches.length < MAX_FREE_BATCHES) freeBatches.push(this.#batch);
    this.#batch = undefined;
    done(error);
  }

  #add(chunk: Buffer): void {
    if (this.#batched + chunk.length > BATCH_BYTES) this.#hashBatch();
    if (chunk.length >= BATCH_BYTES) {
      this.#hash.update(chunk);
      return;
    }
    this.#batch ??= freeBatches.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    this.#batched += chunk.copy(this.#batch, this.#batched);
  }

  #hashBatch(): void {
    if (this.#batch !== undefined && this.#batched > 0) {
      this.#hash.update(this.#batch.subarray(0, this.#batched));
    }
    this.#batched = 0;
  }
}
