/**
 * Many files of this machine taken into the directory at once: shared by a hard link where nobody
 * else can change them, copied otherwise, and made durable together. A sync of each would take the
 * disk half a millisecond; one of the filesystem takes what all of them do.
 * Source of truth: link(2). Floor 2.
 */
import { constants } from 'node:fs';
import { copyFile, link } from 'node:fs/promises';
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
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];

function place(order: AdoptionOrder): Promise<AdoptionOutcome> {
  return new Promise((resolve, reject) => {
    const thread = startThread(THREAD, { workerData: order });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the thread that places files ended early')));
  });
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
  const outcome = await place({ files });
  if (outcome.fault !== undefined) {
    const { fault, code, key } = outcome;
    if (FULL_CODES.includes(code)) {
      throw new RefusalError('SPACE_EXHAUSTED', `${key} could not be stored: no room left`);
    }
    if (code !== 'CHANGED') throw new Error(`${key} could not be stored: ${fault}`);
    throw new RefusalError('SOURCE_UNACCEPTABLE', `${key}: ${fault}`);
  }
  const touched = roots.filter((root) => files.some(({ target }) => target.startsWith(`${root}/`)));
  for (const root of touched) await syncFilesystem(root);
}
