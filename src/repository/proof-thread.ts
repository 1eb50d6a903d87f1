/** The thread that reads large package files to their end, several at a time. Floor 3. */
import { parentPort } from 'node:worker_threads';
import { readPackage } from '../deb/archive.ts';
import { RefusalError } from '../errors.ts';
import { GrowingSource } from '../storage/growing-source.ts';
import { clearNursery } from '../thread.ts';
import { proveEarly, readToEnd } from './early-proof.ts';
import type { ProofAnswer, ProofJob, ProofOrder } from './prover.ts';

/** What was read and unpacked is let go after so much, of whichever file. */
const CLEAR_BYTES = 8 * 1_048_576;
let readBytes = 0;

class Source extends GrowingSource {
  override async *stream(start: number, end: number): AsyncGenerator<Buffer> {
    for await (const chunk of super.stream(start, end)) {
      readBytes += chunk.length;
      if (readBytes >= CLEAR_BYTES) {
        readBytes = 0;
        clearNursery();
      }
      yield chunk;
    }
  }
}

/** Of the files that are being read. */
const sources = new Map<number, Source>();

async function read({ id, path, size, written, isComing }: ProofJob): Promise<ProofAnswer> {
  let source: Source | undefined;
  try {
    source = new Source(path, size);
    source.advance(written);
    sources.set(id, source);
    if (isComing) return { id, proof: await proveEarly(source) };
    return { id, proof: await readToEnd(source, await readPackage(source)) };
  } catch (error) {
    if (error instanceof RefusalError)
      return { id, fault: { code: error.code, why: error.message } };
    return { id, failure: String(error) };
  } finally {
    sources.delete(id);
    source?.close();
  }
}

/** The memory of many paths changes hands; that of few is a part of what others use. */
function listOwned({ proof }: ProofAnswer): ArrayBuffer[] {
  const { buffer, byteLength = 0 } = proof?.paths ?? {};
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}

parentPort?.on('message', async (order: ProofOrder) => {
  if ('path' in order) {
    const answer = await read(order);
    parentPort?.postMessage(answer, listOwned(answer));
  } else if ('written' in order) sources.get(order.id)?.advance(order.written);
  else sources.get(order.id)?.fail(new Error('no more of it will come'));
});
