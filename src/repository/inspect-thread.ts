/**
 * The thread that reads package files: each once, hashed, its control file parsed, its stanza
 * rendered. Metadata comes from inside, as everywhere. Floor 3.
 */
import { createHash, hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { readPackage, verifyData } from '../deb/archive.ts';
import { type ByteSource, bytesOf } from '../deb/byte-source.ts';
import { parseControl, renderStanza } from '../deb/control.ts';
import { kindOf } from '../deb/kind.ts';
import { poolKey } from '../deb/layout.ts';
import { type RefusalCode, RefusalError, systemCode } from '../errors.ts';
import { openFileSource } from '../storage/file-source.ts';
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
/** data.tar may unpack to this much; past it a package is refused as a bomb. */
const MAX_DATA_BYTES = 64 * 1024 ** 3;

const refuse = (code: RefusalCode, why: string): RefusalError => new RefusalError(code, why);

/** Calls `use` with the bytes and their SHA-256. */
async function withSource<Result>(
  path: string,
  size: number,
  use: (source: ByteSource, sha256: string) => Promise<Result>,
): Promise<Result> {
  if (size <= MAX_WHOLE_BYTES) {
    const bytes = readFileSync(path);
    return use(bytesOf(bytes), hash('sha256', bytes));
  }
  const source = await openFileSource(path);
  try {
    const state = createHash('sha256');
    for await (const chunk of source.stream(0, source.size)) state.update(chunk);
    return await use(source, state.digest('hex'));
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

async function createRow(
  source: ByteSource,
  { component, named, checkData }: BinaryJob,
  file: { size: number; sha256: string },
): Promise<InspectedRow> {
  const archive = await readPackage(source);
  const control = parseControl(archive.control);
  if (checkData) await verifyData(source, archive, { outputBytes: MAX_DATA_BYTES });
  const { name, version, architecture } = control;
  const own = { name, version, architecture, kind: kindOf(control, named), component };
  const place = { ...own, source: control.source.name };
  const filename = poolKey(place);
  // A copy of its own size: with a view the whole buffer behind it would cross to the other thread.
  const stanza = new Uint8Array(renderStanza(control, { filename, ...file }));
  return { ...place, stanza, filename, ...file, hashes: '{}' };
}

async function inspect(job: InspectionJob): Promise<Inspected> {
  const { path, expected } = job;
  const found = statSync(path);
  if (!found.isFile()) throw refuse('FILE_UNREADABLE', 'it is not a file');
  return withSource(path, found.size, async (source, sha256) => {
    const file = { size: source.size, sha256 };
    checkExpected(expected, file);
    const inspected = { file: { ...file, modified: found.mtimeMs } };
    if (job.kind === 'plain') return inspected;
    return { ...inspected, row: await createRow(source, job, file) };
  });
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

parentPort?.on('message', async (jobs: InspectionOrder) => {
  const results: Inspection[] = [];
  for (const job of jobs) results.push(await answer(job));
  parentPort?.postMessage(results);
});
