/**
 * One .xz stream, decompressed by xz-embedded in WASM. The package's own stream class shares one
 * decoder among all readers behind a lock and hangs on truncated input; here each reader has a
 * decoder of its own, driven directly. Source of truth: the .xz file format 1.0.4; dpkg takes the
 * first of several streams and drops the rest, so more than one is refused. Floor 1.
 */
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import xz from 'xz-decompress';
import { RefusalError } from '../errors.ts';
import { XzTail } from './xz-tail.ts';

/** What the pinned xz-decompress 0.2.3 compiles its C to. */
interface XzExports {
  memory: { readonly buffer: ArrayBuffer };
  create_context(): number;
  destroy_context(context: number): void;
  supply_input(context: number, bytes: number): void;
  get_next_output(context: number): number;
}

interface XzModule {
  _getModuleInstance(): Promise<void>;
  _moduleInstance: { exports: XzExports };
}

/** Results of xz_dec_run() in xz.h. */
const XZ_STREAM_END = 1;
const XZ_FAULTS: Record<number, string> = {
  2: 'its integrity check is of a kind that is not supported (use CRC32 or CRC64)',
  3: 'there is no memory for it',
  4: 'its dictionary is larger than 64 MiB',
  5: 'it is not in xz format',
  6: 'it uses a filter or an integrity check that is not supported',
  7: 'the compressed data is damaged',
  8: 'the compressed data is damaged or cut off',
};

/** Words of the context: where the C structure keeps its buffers and positions. */
const BUFFER_BYTES = 0;
const INPUT_ADDRESS = 1;
const INPUT_POSITION = 2;
const INPUT_SIZE = 3;
const OUTPUT_ADDRESS = 4;
const OUTPUT_POSITION = 5;

/** WASM memory never shrinks: a decoder that has grown past this is not kept for the next. */
const MAX_IDLE_MEMORY_BYTES = 32 * 1024 * 1024;
/** Steps of at most 64 KiB between two looks at the event loop: a few milliseconds. */
const STEPS_PER_TURN = 4;

const idle: XzExports[] = [];

let instantiating: Promise<unknown> = Promise.resolve();

async function instantiate(): Promise<XzExports> {
  const module = xz.XzReadableStream as unknown as XzModule;
  await module._getModuleInstance();
  return module._moduleInstance.exports;
}

/** One after the other: the package has a single place for what it has just instantiated. */
async function openDecoder(): Promise<XzDecoder> {
  const ready = idle.pop();
  if (ready !== undefined) return new XzDecoder(ready);
  const fresh = instantiating.then(instantiate, instantiate);
  instantiating = fresh;
  return new XzDecoder(await fresh);
}

class XzDecoder {
  readonly #exports: XzExports;
  readonly #context: number;

  constructor(exports: XzExports) {
    this.#exports = exports;
    this.#context = exports.create_context();
  }

  get bufferBytes(): number {
    return this.#words()[BUFFER_BYTES] ?? 0;
  }

  /** The memory moves when it grows, so its views are made afresh. */
  #words(): Uint32Array {
    return new Uint32Array(this.#exports.memory.buffer, this.#context, 8);
  }

  supply(chunk: Uint8Array): void {
    const address = this.#words()[INPUT_ADDRESS] ?? 0;
    new Uint8Array(this.#exports.memory.buffer, address).set(chunk);
    this.#exports.supply_input(this.#context, chunk.length);
  }

  /** Frees its memory, and keeps the instance for the next decoder unless it has grown large. */
  recycle(): void {
    this.#exports.destroy_context(this.#context);
    if (this.#exports.memory.buffer.byteLength <= MAX_IDLE_MEMORY_BYTES) idle.push(this.#exports);
  }

  /** One step: up to 64 KiB out. `spare` counts the supplied bytes not yet used. */
  step(): { output: Buffer; finished: boolean; spare: number } {
    const result = this.#exports.get_next_output(this.#context);
    if (result > XZ_STREAM_END) {
      const fault = XZ_FAULTS[result] ?? `the decoder stopped with code ${result}`;
      throw new RefusalError('PACKAGE_MALFORMED', `xz: ${fault}`);
    }
    const words = this.#words();
    const address = words[OUTPUT_ADDRESS] ?? 0;
    const produced = words[OUTPUT_POSITION] ?? 0;
    const output = Buffer.from(this.#exports.memory.buffer.slice(address, address + produced));
    words[OUTPUT_POSITION] = 0;
    return {
      output,
      finished: result === XZ_STREAM_END,
      spare: (words[INPUT_SIZE] ?? 0) - (words[INPUT_POSITION] ?? 0),
    };
  }
}

async function* runDecoder(
  decoder: XzDecoder,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const tail = new XzTail();
  const bufferBytes = decoder.bufferBytes;
  let steps = 0;
  for await (const chunk of input) {
    tail.add(chunk);
    for (let at = 0; at < chunk.length; at += bufferBytes) {
      decoder.supply(chunk.subarray(at, at + bufferBytes));
      let drained = false;
      while (!drained) {
        const { output, spare } = decoder.step();
        // Output that fills the buffer may have more behind it even where all input is used.
        drained = spare === 0 && output.length < bufferBytes;
        if (output.length > 0) yield output;
        steps += 1;
        if (steps % STEPS_PER_TURN === 0) await yieldToEvents();
      }
    }
  }
  // Supplying nothing tells the decoder that no further stream will come.
  decoder.supply(new Uint8Array(0));
  if (!decoder.step().finished) {
    throw new RefusalError('PACKAGE_MALFORMED', 'xz: the compressed data is cut off');
  }
  tail.checkOneStream();
}

/**
 * The bytes of one xz stream, in chunks of at most 64 KiB. Not limited: decompress.ts is.
 * @throws RefusalError PACKAGE_MALFORMED
 */
export async function* decompressXz(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const decoder = await openDecoder();
  yield* runDecoder(decoder, input);
  // One that stopped over bad input is left to the garbage collector.
  decoder.recycle();
}
