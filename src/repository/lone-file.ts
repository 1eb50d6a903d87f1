/**
 * One file sent on its own, as `curl -T` and dput send them: a package is published, a part of
 * something waits, and a .changes or .dsc brings in what has been waiting for it. Floor 3.
 */
import { RefusalError, systemCode } from '../errors.ts';
import type { Incoming, WaitingFile } from './incoming.ts';
import { ingestDelivery } from './ingest.ts';
import type { IngestParts, IngestRequest, IngestResult, ReceivedFile } from './ingest-request.ts';
import { readPaper } from './paper.ts';
import { getSuite } from './suites.ts';

export interface LoneFile {
  /** Under which it was sent: it says only that more is to come, and which file it replaces. */
  name: string;
  file: ReceivedFile;
  /** Whatever is no .changes waits for one: all that belongs together is published together. */
  publishesByChanges: boolean;
}

export interface LoneResult {
  results: IngestResult[];
  /** Undefined where it was published, or there already. */
  waiting: WaitingFile | undefined;
}

/** What is of no use without a paper that names it. */
const PART = /\.(tar\.(gz|xz|bz2|lzma)|diff\.gz|buildinfo|asc)$/;
const MAX_NAME_CHARACTERS = 255;

/** Whether it is left to wait where what it names has yet to come, or its signature has. */
async function mayWait(
  parts: IngestParts,
  suite: string,
  paper: { kind: string; isSigned: boolean } | undefined,
): Promise<{ first: boolean; ifIncomplete: boolean }> {
  if (paper?.kind !== 'dsc') return { first: false, ifIncomplete: false };
  const { signers } = (await getSuite(parts, suite)).options;
  return { first: signers !== null && !paper.isSigned, ifIncomplete: true };
}

/**
 * Publish a file that came alone, or keep it until what names it has come.
 * @throws RefusalError TOO_LARGE where too much would wait, and those of `ingestDelivery`.
 */
export async function ingestLone(
  parts: IngestParts,
  incoming: Incoming,
  request: Omit<IngestRequest, 'files' | 'waiting'>,
  { name, file, publishesByChanges }: LoneFile,
): Promise<LoneResult> {
  const { actor, suite, component } = request;
  const owner = { actor, suite, component };
  const wait = async (): Promise<LoneResult> => ({
    results: [],
    waiting: await incoming.keep(owner, name.slice(-MAX_NAME_CHARACTERS), file, parts.staging),
  });
  const paper = await readPaper(file);
  const waits = await mayWait(parts, suite, paper);
  const isPart = paper === undefined && PART.test(name);
  if (waits.first || isPart || (publishesByChanges && paper?.kind !== 'changes')) return wait();
  const waiting = paper === undefined ? [] : incoming.list(owner);
  try {
    const asked = { ...request, files: [file], waiting };
    const { results, used } = await ingestDelivery(parts, asked);
    await incoming.drop(owner, used);
    return { results, waiting: undefined };
  } catch (error) {
    // Sent once more under its name while it was being read here.
    if (systemCode(error) === 'ENOENT' && waiting.length > 0) {
      throw new RefusalError('UPLOAD_INCOMPLETE', 'a file that was waiting is gone: send it again');
    }
    const isIncomplete = error instanceof RefusalError && error.code === 'UPLOAD_INCOMPLETE';
    if (isIncomplete && waits.ifIncomplete) return wait();
    throw error;
  }
}
