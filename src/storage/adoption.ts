/**
 * Many files of this machine taken into the directory at once: shared by a hard link where nobody
 * else can change them, copied otherwise, and made durable together. A sync of each would take the
 * disk half a millisecond; one of the filesystem takes what all of them do.
 * Source of truth: link(2). Floor 2.
 */
import { constants } from 'node:fs';
import { copyFile, link } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import { startThread } from '../thread.ts';
import { syncFilesystem } from './filesystem.ts';
import type { Place } from './placement.ts';
import type { AdoptedFile } from './storage.ts';

/** What the thread is given, and what it answers when it is done: why it could not, if so. */
export interface AdoptionOrder {
  files: readonly (AdoptedFile & Place)[];
}
export type AdoptionOutcome = { fault: undefined } | { fault: string; code: string; key: string };

const THREAD = new URL('./adoption-thread.ts', import.meta.url);
/** From so many on the disk's directories take longer than a thread does to begin. */
const MIN_SHARED_FILES = 500;
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];

function place(order: AdoptionOrder): Promise<AdoptionOutcome> {
  return new Promise((resolve, reject) => {
    const thread = startThread(THREAD, { workerData: order });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the thread that places files ended early')));
  });
}

/** In two lists where it is worth a second thread, those of one folder in one of them. */
function shareOut(files: readonly (AdoptedFile & Place)[]): (AdoptedFile & Place)[][] {
  if (files.length < MIN_SHARED_FILES) return [[...files]];
  const ordered = [...files].sort((a, b) => (a.target < b.target ? -1 : 1));
  let middle = ordered.length >> 1;
  const folderAt = (at: number): string => dirname(ordered[at]?.target ?? '');
  while (middle < ordered.length && folderAt(middle) === folderAt(middle - 1)) middle += 1;
  return [ordered.slice(0, middle), ordered.slice(middle)].filter((some) => some.length > 0);
}

/** A file once more at another path: shared where the filesystem can, copied otherwise. */
export async function lendFile(source: string, path: string): Promise<void> {
  try {
    await link(source, path);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'EACCES'].includes(systemCode(error))) throw error;
    await copyFile(source, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  }
}

/**
 * All of the files in their places, durable when it resolves.
 * @param roots real paths of the filesystems they go to.
 * @throws RefusalError SPACE_EXHAUSTED, SOURCE_UNACCEPTABLE where a file is not what it was.
 */
export async function adoptFiles(
  files: readonly (AdoptedFile & Place)[],
  roots: readonly string[],
): Promise<void> {
  // All come to their end, whichever fails: what the caller takes back must not be placed after.
  const settled = await Promise.allSettled(shareOut(files).map((some) => place({ files: some })));
  for (const outcome of settled) {
    if (outcome.status === 'rejected') throw outcome.reason;
    if (outcome.value.fault === undefined) continue;
    const { fault, code, key } = outcome.value;
    if (FULL_CODES.includes(code)) {
      throw new RefusalError('SPACE_EXHAUSTED', `${key} could not be stored: no room left`);
    }
    if (code !== 'CHANGED') throw new Error(`${key} could not be stored: ${fault}`);
    throw new RefusalError('SOURCE_UNACCEPTABLE', `${key}: ${fault}`);
  }
  const touched = roots.filter((root) => files.some(({ target }) => target.startsWith(`${root}/`)));
  for (const root of touched) await syncFilesystem(root);
}
