/**
 * How bytes come to their place: staged whole, sealed, renamed, every step on the disk before the
 * next; nothing is left behind where one fails. Source of truth: rename(2), fsync(2). Floor 2.
 */
import { constants, fchmodSync, fstatSync, futimesSync, realpathSync } from 'node:fs';
import { copyFile, type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from '../errors.ts';
import { type DirectoryLedger, syncDirectory } from './durability.ts';
import { createStagingFile } from './staging.ts';
import type { StagedFile } from './storage.ts';

const FILE_MODE = 0o644;
/** How often a write makes its directory again because a remove beside it pruned it. */
const MAX_PLACE_ATTEMPTS = 100;

/** Where an object goes: its path, and the staging directory on the same filesystem. */
export interface Place {
  target: string;
  staging: string;
}

/**
 * Whether a directory is there and no symbolic link leads to it; `path` is absolute. Synchronous, as
 * what is done to open files below: the kernel answers from memory, in a tenth of a thread's turn.
 */
export function isReachedDirectly(path: string): boolean {
  try {
    return realpathSync.native(path) === path;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error))) return false;
    throw error;
  }
}

/** Bytes from memory to their place; durable when it resolves. */
export async function placeBytes(
  place: Place,
  bytes: Uint8Array,
  ledger: DirectoryLedger,
): Promise<void> {
  const { path, handle } = await createStagingFile(place.staging);
  try {
    await closeAfter(handle, async () => {
      await handle.writeFile(bytes);
      fchmodSync(handle.fd, FILE_MODE);
      await handle.sync();
      await moveFile(path, place.target, ledger);
    });
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** A staged file to its place; durable when it resolves, and gone from staging in any case. */
export async function placeStagedFile(
  place: Place,
  staged: StagedFile,
  ledger: DirectoryLedger,
): Promise<void> {
  try {
    await sealFile(staged.path, staged.size);
    try {
      await moveFile(staged.path, place.target, ledger);
      return;
    } catch (error) {
      if (systemCode(error) !== 'EXDEV') throw error;
    }
    await copyAcross(place, staged, ledger);
  } catch (error) {
    await rm(staged.path, { force: true });
    throw error;
  }
  await rm(staged.path, { force: true });
}

/** The handle is closed when it settles. */
async function closeAfter(handle: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await handle.close();
  }
}

/** Staged on another filesystem: no rename reaches, so a copy is staged on the right one. */
async function copyAcross(
  place: Place,
  staged: StagedFile,
  ledger: DirectoryLedger,
): Promise<void> {
  const { path, handle } = await createStagingFile(place.staging);
  await handle.close();
  try {
    await copyFile(staged.path, path);
    await sealFile(path, staged.size);
    await moveFile(path, place.target, ledger);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Make a staged file what an object is: its size proven, its mode, its date, on the disk. */
async function sealFile(path: string, size: number): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  await closeAfter(handle, async () => {
    const found = fstatSync(handle.fd);
    if (!found.isFile() || found.size !== size) {
      throw new Error(`a staged file has ${found.size} bytes where ${size} were announced`);
    }
    const now = new Date();
    fchmodSync(handle.fd, FILE_MODE);
    futimesSync(handle.fd, now, now);
    await handle.sync();
  });
}

/** Rename a synced file to its place; durable when it resolves. */
async function moveFile(path: string, target: string, ledger: DirectoryLedger): Promise<void> {
  const parent = dirname(target);
  for (let attempt = 1; ; attempt += 1) {
    try {
      // Inside, too: a recursive mkdir fails where a folder that it passed is pruned meanwhile.
      if (!isReachedDirectly(parent)) await ledger.create(parent);
      if (isReachedDirectly(parent)) {
        await rename(path, target);
        break;
      }
      if (attempt === MAX_PLACE_ATTEMPTS) throw new Error(`${parent} is behind a symbolic link`);
    } catch (error) {
      // A remove beside us found the directory empty and pruned it: make it again.
      if (systemCode(error) !== 'ENOENT' || attempt === MAX_PLACE_ATTEMPTS) throw error;
    }
  }
  // Together, so that the disk makes them durable together.
  const outcomes = await Promise.allSettled([syncDirectory(parent), ledger.sync(parent)]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}
