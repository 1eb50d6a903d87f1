/**
 * The thread that reads package files: each once, hashed, its control file parsed, its stanza
 * rendered. Metadata comes from inside, as everywhere. Floor 3.
 */
import { createHash, hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { readPackage, readPlainPackage, verifyData } from '../deb/archive.ts';
import { type ByteSource, bytesOf } from '../deb/byte-source.ts';
import { parseControl, renderStanza } from '../deb/control.ts';
import { kindOf } from '../deb/kind.ts';
import { poolKey } from '../deb/layout.ts';
import { type RefusalCode, RefusalError, systemCode } from '../errors.ts';
import { openFileSource } from '../storage/file-source.ts';
import { MAX_DATA_BYTES } from './early-proof.ts';
import type {
  BinaryJob,
  Expected,
  Inspected,
  InspectedRow,
  Inspection,
  InspectionJob,
  InspectionOrder,
} from './inspect.ts';

/** A file up to this size is read in one piece. */
const MAX_WHOLE_BYTES = 4 * 1024 * 1024;
const SHARED_BYTES = 256 * 1024;

const refuse = (code: RefusalCode, why: string): RefusalError => new RefusalError(code, why);

/** What small files are read into, one after the other: nothing of one is kept past its turn. */
const shared = Buffer.allocUnsafeSlow(SHARED_BYTES);

/** A pipe in the source is refused, not waited for. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

function readWhole(file: number, size: number): Buffer {
  const bytes = size <= SHARED_BYTES ? shared.subarray(0, size) : Buffer.allocUnsafe(size);
  for (let at = 0; at < size; ) {
    const read = readSync(file, bytes, at, size - at, at);
    if (read === 0) throw refuse('FILE_UNREADABLE', 'it became shorter while it was read');
    at += read;
  }
  return bytes;
}

interface Opened {
  source: ByteSource;
  /** All of it, where it is not large. */
  bytes: Buffer | undefined;
  sha256: string;
}

/** Calls `use` with the bytes and their SHA-256. */
async function withLarge<Result>(
  path: string,
  use: (opened: Opened) => Promise<Result>,
): Promise<Result> {
  const source = await openFileSource(path);
  try {
    const state = createHash('sha256');
    for await (const chunk of source.stream(0, source.size)) state.update(chunk);
    return await use({ source, bytes: undefined, sha256: state.digest('hex') });
  } finally {
    await source.close();
  }
}

function checkExpected(
  expected: Expected | undefined,
  found: { size: number; sha256: string },
): void {
  if (!expected) return;
  if (expected.size !== found.size) {
    const why = `the file has ${found.size} bytes; its index says ${expected.size}`;
    throw refuse('PACKAGE_MALFORMED', why);
  }
  if (expected.sha256 === undefined || expected.sha256 === found.sha256) return;
  const why = `the file has SHA256 ${found.sha256}; its index says ${expected.sha256}`;
  throw refuse('PACKAGE_MALFORMED', why);
}

/** The control file; data.tar read to its end where that is asked for. */
async function readControl({ source, bytes }: Opened, checkData: boolean): Promise<Buffer> {
  const plain = bytes && readPlainPackage(bytes, { checkData });
  if (plain) return plain;
  const archive = await readPackage(source);
  if (checkData) await verifyData(source, archive, { outputBytes: MAX_DATA_BYTES });
  return archive.control;
}

async function createRow(
  opened: Opened,
  { component, named, checkData }: BinaryJob,
): Promise<InspectedRow> {
  const control = parseControl(await readControl(opened, checkData));
  const file = { size: opened.source.size, sha256: opened.sha256 };
  const { name, version, architecture } = control;
  const own = { name, version, architecture, kind: kindOf(control, named), component };
  const place = { ...own, source: control.source.name };
  const filename = poolKey(place);
  const stanza = renderStanza(control, { filename, ...file });
  return { ...place, stanza, filename, ...file, hashes: '{}' };
}

async function inspectOpened(
  job: InspectionJob,
  modified: number,
  opened: Opened,
): Promise<Inspected> {
  const file = { size: opened.source.size, sha256: opened.sha256 };
  checkExpected(job.expected, file);
  const inspected = { file: { ...file, modified } };
  return job.kind === 'plain' ? inspected : { ...inspected, row: await createRow(opened, job) };
}

async function inspect(job: InspectionJob): Promise<Inspected> {
  const { path } = job;
  const file = openSync(path, READ_FLAGS);
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw refuse('FILE_UNREADABLE', 'it is not a file');
    if (found.size > MAX_WHOLE_BYTES) {
      return await withLarge(path, (opened) => inspectOpened(job, found.mtimeMs, opened));
    }
    const bytes = readWhole(file, found.size);
    const opened = { source: bytesOf(bytes), bytes, sha256: hash('sha256', bytes) };
    return await inspectOpened(job, found.mtimeMs, opened);
  } finally {
    closeSync(file);
  }
}

async function answer(job: InspectionJob): Promise<Inspection> {
  try {
    return { inspected: await inspect(job) };
  } catch (error) {
    if (error instanceof RefusalError) return { fault: { code: error.code, why: error.message } };
    const code = systemCode(error);
    if (code === '') throw error;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    return { fault: { code: 'FILE_UNREADABLE', why } };
  }
}

/** The stanzas of all, one behind the other in memory of their own: it changes hands as it is. */
function gatherStanzas(results: readonly Inspection[]): ArrayBuffer {
  const rows = results.flatMap(({ inspected }) => inspected?.row ?? []);
  const memory = new ArrayBuffer(rows.reduce((sum, { stanza }) => sum + stanza.length, 0));
  let at = 0;
  for (const row of rows) {
    const place = new Uint8Array(memory, at, row.stanza.length);
    place.set(row.stanza);
    row.stanza = place;
    at += place.length;
  }
  return memory;
}

parentPort?.on('message', async (jobs: InspectionOrder) => {
  const results: Inspection[] = [];
  for (const job of jobs) results.push(await answer(job));
  const stanzas = gatherStanzas(results);
  parentPort?.postMessage(results, [stanzas]);
});
