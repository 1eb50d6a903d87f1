/**
 * Directories that last: making them, syncing the entries that lead to them, and pruning the empty
 * ones, without a writer and a pruner ever tripping over each other.
 * Source of truth: fsync(2) ("does not ensure that the entry in the directory containing the file
 * has also reached disk"). Floor 2.
 */
import { closeSync, constants, fsync, openSync } from 'node:fs';
import { chmod, mkdir, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '../errors.ts';

const DIRECTORY_MODE = 0o755;
/** Directories remembered as synced; one forgotten costs an fsync, no more. */
const MAX_REMEMBERED_DIRECTORIES = 10_000;

/** Which directories below the trees are known to be on the disk. */
export interface DirectoryLedger {
  /** Make a directory and its parents; no error where it is there. */
  create(directory: string): Promise<void>;
  /** Sync the entries that lead from its tree to a directory, where that was not done before. */
  sync(directory: string): Promise<void>;
  /** Remove a directory and its parents as far as they are empty; never an error. */
  prune(directory: string): Promise<void>;
}

const syncDescriptor = promisify(fsync);

/** fsync of a directory; one that was removed meanwhile has nothing to keep. */
export async function syncDirectory(directory: string): Promise<void> {
  let descriptor: number;
  try {
    // Synchronous: it waits for no disk, and a thread's turn takes longer than all of it.
    descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  try {
    await syncDescriptor(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The ledger of the directories below the paths given, which are there; empty at first. */
export function createDirectoryLedger(treePaths: readonly string[]): DirectoryLedger {
  const trees = new Set(treePaths);
  const synced = new Set<string>();
  const remember = (directory: string): void => {
    synced.add(directory);
    const [oldest] = synced;
    if (synced.size > MAX_REMEMBERED_DIRECTORIES && oldest !== undefined) synced.delete(oldest);
  };

  return {
    async create(directory) {
      const first = await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
      if (first === undefined) return;
      // mkdir(2) subtracts the umask; a web server of another user has to get through.
      for (let made = directory; ; made = dirname(made)) {
        await chmod(made, DIRECTORY_MODE).catch(ignoreAbsent);
        if (made === first || made.length <= first.length) return;
      }
    },

    async sync(directory) {
      for (let child = directory; !trees.has(child); child = dirname(child)) {
        if (synced.has(child)) return;
        await syncDirectory(dirname(child));
      }
      // Only now, from the top down, so that an entry in the set vouches for all above it.
      for (let child = directory; !trees.has(child); child = dirname(child)) {
        remember(child);
      }
    },

    async prune(directory) {
      for (let empty = directory; !trees.has(empty); empty = dirname(empty)) {
        // Before and after: a writer may sync the directory while it is being removed.
        synced.delete(empty);
        try {
          await rmdir(empty);
        } catch (error) {
          if (systemCode(error) !== 'ENOENT') return;
        }
        synced.delete(empty);
      }
    },
  };
}

function ignoreAbsent(error: unknown): void {
  if (systemCode(error) !== 'ENOENT') throw error;
}
