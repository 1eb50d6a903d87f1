/**
 * Received files become packages of a suite: read from what is in them, never from their names,
 * checked, placed in the pool, published. The answer comes when apt can install them. Floor 3.
 */
import { findPoolFile } from '../catalog/package-files.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { linkStagingFile } from '../storage/staging.ts';
import type { StagedFile } from '../storage/storage.ts';
import {
  type Candidate,
  type Intake,
  listNames,
  matchBinary,
  matchSource,
  mergeTwins,
  refuseOtherBytes,
} from './candidates.ts';
import { chooseComponent } from './component.ts';
import { assembleDelivery, type Delivery } from './delivery.ts';
import { hashAdditions } from './extra-hashes.ts';
import type { IngestParts, IngestRequest, IngestResult, ReceivedFile } from './ingest-request.ts';
import { lockPackages } from './pool-lock.ts';
import { getSuite } from './suites.ts';

export type { IngestParts, IngestRequest, IngestResult, ReceivedFile } from './ingest-request.ts';

/** @throws RefusalError PACKAGE_CONFLICT where two packages bring other bytes for one place. */
function listWrites(candidates: readonly Candidate[]): Map<string, ReceivedFile> {
  const writes = new Map<string, ReceivedFile>();
  for (const { key, file } of candidates.flatMap((candidate) => candidate.writes)) {
    const twin = writes.get(key);
    if (twin) refuseOtherBytes(key, twin.sha256, file.sha256);
    writes.set(key, file);
  }
  return writes;
}

/**
 * The pool takes over what is written to it. What is waiting, or goes to a second place, stays: the
 * pool gets another name of the same file.
 */
async function stageFor(
  parts: IngestParts,
  file: ReceivedFile,
  stays: boolean,
): Promise<Uint8Array | StagedFile> {
  if (file.bytes !== undefined) return file.bytes;
  if (!stays) return file;
  try {
    return { ...file, path: await linkStagingFile(parts.staging, file.path) };
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new RefusalError('UPLOAD_INCOMPLETE', 'a file that was waiting is gone: send it again');
  }
}

function describeChange(candidates: readonly Candidate[], signers: readonly string[]): string {
  const names = candidates.map(({ row }) => `${row.name} ${row.version} ${row.architecture}`);
  const signed = signers.length > 0 ? `; signed by ${[...new Set(signers)].join(', ')}` : '';
  return `add ${names.join(', ')}${signed}`;
}

/** Writes what is not in the pool yet; `written` says how far it came. */
async function writeAll(
  parts: IngestParts,
  candidates: readonly Candidate[],
  { stock }: Delivery,
  written: string[],
): Promise<void> {
  const writes = listWrites(candidates);
  const files = [...writes.values()];
  for (const [key, file] of writes) {
    const isShared = files.indexOf(file) !== files.lastIndexOf(file);
    const staged = await stageFor(parts, file, isShared || stock.isWaiting(file));
    written.push(key);
    await parts.storage.write(key, staged);
  }
}

/** Puts the bytes into the pool and the packages into the suite's next publication. */
async function placeAll(
  parts: IngestParts,
  intake: Intake,
  candidates: readonly Candidate[],
  delivery: Delivery,
): Promise<number> {
  const written: string[] = [];
  try {
    await writeAll(parts, candidates, delivery, written);
    // Here, because a publication that reads a large file would hold up others.
    const change = await hashAdditions(parts, intake.hashes, {
      additions: candidates.map(({ component, row, isNew, files, contents }) => ({
        ...{ component, row, isNew, files, ...(contents && { contents }) },
      })),
      removals: [],
      reason: describeChange(candidates, delivery.signers),
      actor: intake.actor,
      notes: intake.notes,
    });
    return (await parts.publisher.submit(intake.suite, change)).number;
  } catch (error) {
    for (const key of written) await removeUnrecorded(parts, key);
    throw error;
  }
}

/** A failed publication leaves no package behind, unless it was recorded before the failure. */
async function removeUnrecorded(parts: IngestParts, key: string): Promise<void> {
  if (!(await findPoolFile(parts.catalog, key))) await parts.storage.remove(key);
}

function describeResult(
  suite: string,
  { component, row, isNew: _, ...candidate }: Candidate,
  publication: number,
): IngestResult {
  return {
    ...{ package: row.name, version: row.version, architecture: row.architecture },
    ...{ suite, component, filename: row.filename, size: row.size, sha256: row.sha256 },
    publication: candidate.listedIn ?? publication,
    isNew: candidate.listedIn === undefined,
  };
}

/**
 * Add received files to a suite in one publication: binary packages, and .changes and .dsc with all
 * that they name. Same bytes again change nothing; other bytes are refused.
 * @returns a result for each package, sources first, then in the order of the files; and what of
 *   the waiting files it took.
 * @throws RefusalError SUITE_UNKNOWN, COMPONENT_UNKNOWN, PACKAGE_FORBIDDEN, PACKAGE_MALFORMED,
 *   PACKAGE_UNACCEPTABLE, PACKAGE_CONFLICT, UPLOAD_INCOMPLETE, SIGNATURE_REQUIRED, SPACE_EXHAUSTED
 */
export async function ingestDelivery(
  parts: IngestParts,
  request: IngestRequest,
): Promise<{ results: IngestResult[]; used: ReceivedFile[] }> {
  const suite = await getSuite(parts, request.suite);
  chooseComponent(suite, request.component);
  const { hashes } = suite.options;
  const { actor, notes = [] } = request;
  const intake = { suite: suite.name, actor, notes, hashes };
  const delivery = await assembleDelivery(parts, request, suite);
  const { sources, binaries } = mergeTwins(delivery);
  return lockPackages(parts.catalog, listNames({ ...delivery, sources, binaries }), async () => {
    const candidates: Candidate[] = [];
    for (const source of sources) candidates.push(await matchSource(parts, intake, source));
    for (const binary of binaries) candidates.push(await matchBinary(parts, intake, binary));
    request.confirm();
    const unlisted = candidates.filter((candidate) => candidate.listedIn === undefined);
    // Bytes that the pool has lost: sent once more, they are taken back.
    const lost = candidates.filter(
      ({ listedIn, writes }) => listedIn !== undefined && writes.length,
    );
    await writeAll(parts, lost, delivery, []);
    const publication = unlisted.length ? await placeAll(parts, intake, unlisted, delivery) : 0;
    const known = delivery.known.map(({ row, component, publication: listedIn }) => ({
      ...{ component, row, listedIn, isNew: false, writes: [], files: [], contents: undefined },
    }));
    const all: Candidate[] = [...candidates, ...known];
    return {
      results: all.map((candidate) => describeResult(suite.name, candidate, publication)),
      used: delivery.stock.listUsedWaiting(),
    };
  });
}

/** As `ingestDelivery`, for files none of which was waiting. */
export async function ingestPackages(
  parts: IngestParts,
  request: IngestRequest,
): Promise<IngestResult[]> {
  return (await ingestDelivery(parts, request)).results;
}
