/**
 * Bytes from a connection into staging: hashed and counted in one pass, held in memory only where
 * they are few, nothing left behind when it fails. Floor 7.
 */
import { createHash } from 'node:crypto';
import { rm, unlink } from 'node:fs/promises';
import { type Readable, type Writable, finished as whenFinished } from 'node:stream';
import { finished } from 'node:stream/promises';
import { RefusalError, systemCode } from '../errors.ts';
import type { Parts } from '../operations/operation.ts';
import type { ReceivedFile } from '../repository/ingest.ts';
import { type EarlyProof, MIN_PROVEN_BYTES } from '../repository/prover.ts';
import { createStagingFile } from '../storage/staging.ts';
import { StagingWriter } from '../storage/staging-writer.ts';

/** A body of so many bytes is kept in memory: it is read several times before it is placed. */
const MAX_KEPT_BYTES = 32_768;

/**
 * @param announced how many bytes will come, where that is certain.
 * @throws RefusalError TOO_LARGE past upload.maxSize, SPACE_EXHAUSTED, INPUT_INVALID where the
 *   connection ended before the body did.
 */
export async function receiveFile(
  parts: Parts,
  body: Readable,
  announced = Number.POSITIVE_INFINITY,
): Promise<ReceivedFile> {
  const limit = Math.min(MAX_KEPT_BYTES, parts.config.values['upload.maxSize']);
  return announced <= limit ? receiveSmall(parts, body) : receiveStream(parts, body, announced);
}

/** The disk sees them once, in the pool. */
async function receiveSmall(parts: Parts, body: Readable): Promise<ReceivedFile> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk as Buffer);
  } catch (error) {
    throw explain(error);
  }
  const bytes = Buffer.concat(chunks);
  parts.activity.bytesReceived += bytes.length;
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes, size: bytes.length, sha256 };
}

async function receiveStream(
  parts: Parts,
  body: Readable,
  announced: number,
): Promise<ReceivedFile & { path: string }> {
  const { path, handle } = await createStagingFile(parts.repository.staging);
  const early = beginProof(parts, path, announced);
  try {
    const writer = new StagingWriter(handle, {
      limitBytes: parts.config.values['upload.maxSize'],
      onWritten: (written) => early?.advance(written),
    });
    pour(body, writer);
    await finished(writer);
    await handle.close();
    const { size, sha256 } = writer;
    parts.activity.bytesReceived += size;
    const proof = size === announced ? early?.proof : undefined;
    return { path, size, sha256, ...(proof && { proof }) };
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(path, { force: true });
    throw explain(error);
  } finally {
    // Of no effect on what has come whole.
    early?.end();
  }
}

/** Only where it is known how much will come: the readers of a package ask for its end. */
function beginProof(parts: Parts, path: string, announced: number): EarlyProof | undefined {
  if (announced < MIN_PROVEN_BYTES || !Number.isFinite(announced)) return undefined;
  return parts.repository.prover.begin(path, announced);
}

/**
 * Like pipeline, except that a body which is refused on the way stays whole: on a connection the
 * rest of it has to be read before the peer reads why.
 */
function pour(body: Readable, target: Writable): void {
  whenFinished(body, { writable: false }, (error) => {
    if (error) target.destroy(error);
  });
  body.pipe(target);
}

function explain(error: unknown): unknown {
  const code = systemCode(error);
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) {
    return new RefusalError(
      'SPACE_EXHAUSTED',
      'the upload did not fit on the disk; nothing of it was kept',
    );
  }
  if (['ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(code)) {
    return new RefusalError('INPUT_INVALID', 'the connection ended before the upload did');
  }
  return error;
}

/** Removes what was received and not taken over by the pool. */
export async function discardFiles(files: readonly { path?: string | undefined }[]): Promise<void> {
  const paths = files.flatMap(({ path }) => path ?? []);
  await Promise.all(paths.map((path) => unlink(path).catch(ignoreAbsent)));
}

/** Most were taken over; `rm` would ask the system twice. */
function ignoreAbsent(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') throw error;
}
