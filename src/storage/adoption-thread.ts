/**
 * The thread that places adopted files: every step waits for the disk's directories, which the
 * event loop must not. Source of truth: link(2), rename(2). Floor 2.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { systemCode } from '../errors.ts';
import type { AdoptionOrder, AdoptionOutcome } from './adoption.ts';
import type { Place } from './placement.ts';
import type { AdoptedFile } from './storage.ts';

const FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const OTHERS_MAY_WRITE = 0o022;
const ALL_MAY_READ = 0o444;
const MAX_ATTEMPTS = 100;

/** Whether the umask takes away what a folder should have. */
const isMasked = (process.umask() & DIRECTORY_MODE) !== 0;
const known = new Set<string>();

/** Makes a folder, and those above it where they are missing: seldom, and asking first takes long. */
function makeFolder(folder: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      mkdirSync(folder, { mode: DIRECTORY_MODE });
      if (isMasked) chmodSync(folder, DIRECTORY_MODE);
      return;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'EEXIST') return;
      // Pruned meanwhile by a remove beside us, or never there.
      if (code !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
      makeFolder(dirname(folder));
    }
  }
}

/** A folder that is reached through no symbolic link; made where it is missing. */
function prepareFolder(folder: string): void {
  if (known.has(folder)) return;
  makeFolder(folder);
  if (realpathSync.native(folder) !== folder)
    throw new Error(`${folder} is behind a symbolic link`);
  known.add(folder);
}

class Changed extends Error {
  readonly code = 'CHANGED';
}

/** Whether it may be shared: whoever could change it could change our object with it. */
function isOursAlone(found: Stats): boolean {
  const owners = [0, process.geteuid?.() ?? 0];
  return (
    owners.includes(found.uid) &&
    (found.mode & OTHERS_MAY_WRITE) === 0 &&
    (found.mode & ALL_MAY_READ) === ALL_MAY_READ
  );
}

/** A file of its own in staging, by a link or by a copy. */
function stage(source: string, found: Stats, staging: string): string {
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  const path = join(staging, randomBytes(16).toString('hex'));
  if (isOursAlone(found)) {
    try {
      linkSync(source, path);
      return path;
    } catch (error) {
      if (!['EXDEV', 'EPERM', 'EMLINK', 'EACCES'].includes(systemCode(error))) throw error;
    }
  }
  copyFileSync(source, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  chmodSync(path, FILE_MODE);
  return path;
}

/** The common case in one step: nothing is there, and the file can be shared. */
function linkDirectly(source: string, found: Stats, target: string): boolean {
  if (!isOursAlone(found)) return false;
  try {
    prepareFolder(dirname(target));
    linkSync(source, target);
    return true;
  } catch (error) {
    // Whatever it is, the longer way meets it again.
    known.delete(dirname(target));
    if (systemCode(error) === '') throw error;
    return false;
  }
}

function placeFile({ path, size, modified, target, staging }: AdoptedFile & Place): void {
  const named = lstatSync(path);
  // A link is not what is shared, but what it leads to.
  const source = named.isSymbolicLink() ? realpathSync.native(path) : path;
  const found = source === path ? named : lstatSync(source);
  if (!found.isFile() || found.size !== size || found.mtimeMs !== modified) {
    throw new Changed('the file was changed while it was taken over');
  }
  if (linkDirectly(source, found, target)) return;
  const staged = stage(source, found, staging);
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        prepareFolder(dirname(target));
        renameSync(staged, target);
        break;
      } catch (error) {
        // Pruned meanwhile by a remove beside us.
        known.delete(dirname(target));
        if (systemCode(error) !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  } finally {
    // rename(2) does nothing where both names are one file already.
    rmSync(staged, { force: true });
  }
}

function placeAll({ files }: AdoptionOrder): AdoptionOutcome {
  for (const file of files) {
    try {
      placeFile(file);
    } catch (error) {
      const { message } = error as Error;
      return { fault: message, code: systemCode(error), key: file.key };
    }
  }
  return { fault: undefined };
}

parentPort?.postMessage(placeAll(workerData as AdoptionOrder));
