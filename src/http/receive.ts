/**
 * Bytes from a connection into staging: hashed and counted in one pass, held in memory only where
 * they are few, nothing left behind when it fails. Floor 7.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, rm, unlink } from 'node:fs/promises';
import { finished, type Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ChecksumTap } from '../deb/checksums.ts';
import { RefusalError, systemCode } from '../errors.ts';
import type { Parts } from '../operations/operation.ts';
import { type Proof, proveEarly } from '../repository/early-proof.ts';
import type { ReceivedFile } from '../repository/ingest.ts';
import { GrowingSource } from '../storage/growing-source.ts';
import { createStagingFile } from '../storage/staging.ts';

const WRITE_BYTES = 1_048_576;
/** So much goes to the disk together: the rest of a large file that is synced at its end is short. */
const SYNC_BYTES = 8 * 1_048_576;

/** Less is read in no time once it is there. */
const MIN_PROVEN_BYTES = 262_144;

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
  const tap = new ChecksumTap({ limitBytes: parts.config.values['upload.maxSize'] });
  let early: EarlyProof | undefined;
  try {
    early = await beginProof(path, announced);
    pour(body, tap);
    await pipeline(tap, (chunks: AsyncIterable<Buffer>) =>
      writeChunks(handle, chunks, (written) => early?.source.advance(written)),
    );
    await handle.close();
    parts.activity.bytesReceived += tap.size;
    const proof = tap.size === announced ? early?.proof : undefined;
    return { path, size: tap.size, sha256: tap.sha256, ...(proof && { proof }) };
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(path, { force: true });
    throw explain(error);
  } finally {
    // Of no effect on what has come whole.
    early?.source.fail(new Error('the upload has ended'));
  }
}

interface EarlyProof {
  source: GrowingSource;
  proof: Promise<Proof | undefined>;
}

/** Only where it is known how much will come: the readers of a package ask for its end. */
async function beginProof(path: string, announced: number): Promise<EarlyProof | undefined> {
  if (announced < MIN_PROVEN_BYTES || !Number.isFinite(announced)) return undefined;
  const source = await GrowingSource.open(path, announced);
  return { source, proof: proveEarly(source).finally(() => source.close()) };
}

/** TLS hands over 16 KiB at a time. The disk is given what there is while more comes. */
async function writeChunks(
  handle: FileHandle,
  chunks: AsyncIterable<Buffer>,
  tell: (written: number) => void,
): Promise<void> {
  let batch: Buffer[] = [];
  let batched = 0;
  let written = 0;
  let unsynced = 0;
  let syncing = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writeAll(handle, batch);
    batch = [];
    written += batched;
    tell(written);
    unsynced += batched;
    batched = 0;
    if (unsynced < SYNC_BYTES) return;
    // One at a time; who writes faster than the disk waits for it here.
    await syncing;
    unsynced = 0;
    syncing = handle.datasync();
    syncing.catch(() => {});
  };
  for await (const chunk of chunks) {
    batch.push(chunk);
    batched += chunk.length;
    if (batched >= WRITE_BYTES) await flush();
  }
  if (batched > 0) await flush();
  await syncing;
}

/** A disk that is nearly full takes less than it is given, and says why when it is given the rest. */
async function writeAll(handle: FileHandle, batch: readonly Buffer[]): Promise<void> {
  const size = batch.reduce((sum, { length }) => sum + length, 0);
  let { bytesWritten: written } = await handle.writev(batch);
  while (written < size) {
    const rest = Buffer.concat(batch).subarray(written);
    written += (await handle.write(rest)).bytesWritten;
  }
}

/**
 * Like pipeline, except that a body which is refused on the way stays whole: on a connection the
 * rest of it has to be read before the peer reads why.
 */
function pour(body: Readable, target: Writable): void {
  finished(body, { writable: false }, (error) => {
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
