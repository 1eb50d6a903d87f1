/**
 * A staged file as the parsers of deb/ read it while it is still being written: who asks for bytes
 * that are not there yet waits for them. For a thread of its own: what is there was written a moment
 * ago, so it is read at once. Floor 2.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ByteSource } from '../deb/byte-source.ts';

const CHUNK_BYTES = 1_048_576;

export class GrowingSource implements ByteSource {
  /** What it will have in the end. */
  readonly size: number;
  readonly #file: number;
  #written = 0;
  #error: Error | undefined;
  #wake: (() => void)[] = [];

  constructor(path: string, size: number) {
    this.#file = openSync(path, 'r');
    this.size = size;
  }

  /** So many bytes are in the file now; they do not change any more. */
  advance(written: number): void {
    this.#written = written;
    this.#wakeAll();
  }

  /** Nothing more will come; whoever waits is told so. Of no effect where everything has. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  async #reach(end: number): Promise<void> {
    while (this.#written < end) {
      if (this.#error) throw this.#error;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async read(start: number, end: number): Promise<Buffer> {
    const stop = Math.min(end, this.size);
    await this.#reach(stop);
    const buffer = Buffer.allocUnsafe(Math.max(stop - start, 0));
    for (let filled = 0; filled < buffer.length; ) {
      const read = readSync(this.#file, buffer, filled, buffer.length - filled, start + filled);
      if (read === 0) throw new Error('a staged file is shorter than what was written to it');
      filled += read;
    }
    return buffer;
  }

  async *stream(start: number, end: number): AsyncGenerator<Buffer> {
    const stop = Math.min(end, this.size);
    for (let at = start; at < stop; at += CHUNK_BYTES) {
      yield await this.read(at, Math.min(at + CHUNK_BYTES, stop));
    }
  }

  close(): void {
    closeSync(this.#file);
  }
}
