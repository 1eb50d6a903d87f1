/**
 * Files of one folder that are written together or not at all: the room for them is taken before
 * the deed whose results they hold, so that nothing is done whose results have nowhere to go.
 * Source of truth: rename(2). Floor 9.
 */
import { randomUUID } from 'node:crypto';
import { lstat, mkdir, open, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';

/** `mustBeNew` is refused where it is there already. */
export interface NewFile {
  path: string;
  mode: number;
  mustBeNew: boolean;
}

export interface Reservation {
  /** The contents, in the order of the files; all of them come into place. */
  fill(contents: readonly (string | Uint8Array)[]): Promise<void>;
  /** Leaves the folder as it was. */
  abandon(): Promise<void>;
}

async function refuseExisting({ path, mustBeNew }: NewFile): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return undefined;
    throw error;
  });
  if (found?.isDirectory()) throw new RefusalError('INPUT_INVALID', `${path} is a folder`);
  if (found && mustBeNew)
    throw new RefusalError('INPUT_INVALID', `${path} exists; --force replaces it`);
}

/** Removes a folder and those above it up to `first`, as far as they are empty. */
async function removeFolders(folder: string, first: string | undefined): Promise<void> {
  if (first === undefined) return;
  for (let one = resolve(folder); ; one = dirname(one)) {
    const isGone = await rmdir(one).then(
      () => true,
      () => false,
    );
    if (!isGone || one === resolve(first)) return;
  }
}

/**
 * Take the room for files in a folder, which is made where it is missing.
 * @throws RefusalError INPUT_INVALID, FILE_UNREADABLE; then nothing was changed.
 */
export async function reserveFiles(
  folder: string,
  files: readonly NewFile[],
): Promise<Reservation> {
  const asides = files.map((file) => `${file.path}.${randomUUID()}`);
  let first: string | undefined;
  const abandon = async (): Promise<void> => {
    for (const aside of asides) await rm(aside, { force: true }).catch(() => {});
    await removeFolders(folder, first);
  };
  const refuse = async (error: unknown): Promise<never> => {
    await abandon();
    if (error instanceof RefusalError) throw error;
    throw new RefusalError('FILE_UNREADABLE', `${folder}: ${systemCode(error) || String(error)}`);
  };
  try {
    for (const file of files) await refuseExisting(file);
    first = await mkdir(folder, { recursive: true });
    for (const [position, { mode }] of files.entries()) {
      await (await open(asides[position] ?? '', 'wx', mode)).close();
    }
  } catch (error) {
    await refuse(error);
  }
  return {
    abandon,
    async fill(contents) {
      try {
        for (const [position, aside] of asides.entries()) {
          await writeFile(aside, contents[position] ?? '', { flag: 'r+', flush: true });
        }
        for (const [position, { path }] of files.entries()) {
          await rename(asides[position] ?? '', path);
        }
      } catch (error) {
        await refuse(error);
      }
    },
  };
}
