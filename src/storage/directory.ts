/**
 * The storage in a directory: an object is a file, its key the path below the root.
 * A write is a complete file renamed into place after fsync, then fsync of the directories: a
 * reader sees the old object or the new one, and what was acknowledged survives a power cut.
 * Source of truth: the port (storage.ts); rename(2), fsync(2). Floor 2.
 */
import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, open, opendir, rename, rm, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { RefusalError, systemCode } from '../errors.ts';
import { createDirectoryLedger, type DirectoryLedger, syncDirectory } from './durability.ts';
import {
  canBeginKey,
  checkKey,
  createAbsentError,
  findKeyFault,
  STAGING_NAME,
  TREES,
} from './key.ts';
import { clearStaging, createStagingFile } from './staging.ts';
import type { ByteRange, ObjectStat, StagedFile, Storage } from './storage.ts';

const READ_BUFFER_BYTES = 1024 * 1024;
const FILE_MODE = 0o644;
/** How often a write makes its directory again because a remove beside it pruned it. */
const MAX_PLACE_ATTEMPTS = 100;

/** O_NOFOLLOW: an object is never a symbolic link. O_NONBLOCK: a pipe in its place cannot hang us. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The codes by which the system says that there is no regular file of that name. */
const ABSENT_CODES = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'ENAMETOOLONG']);
const FULL_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The refusal where the system said that there is no room, or else the error itself. */
function refuseFull(error: unknown, key: string): unknown {
  const code = systemCode(error);
  if (!FULL_CODES.has(code)) return error;
  return new RefusalError('SPACE_EXHAUSTED', `${key} could not be stored: no room left (${code})`);
}

/**
 * The storage whose objects are the files under `pool/` and `dists/` of a directory. A symbolic link is
 * no object; `pool` and `dists` themselves may be links or mounts.
 */
export async function openDirectory(directory: string): Promise<Storage> {
  const root = resolve(directory);
  for (const tree of TREES) await mkdir(join(root, tree), { recursive: true });
  const ledger = createDirectoryLedger(root);
  return {
    stat: async (key) => statObject(join(root, checkKey(key))),
    read: async (key, range) => readObject(join(root, checkKey(key)), key, range),
    write: async (key, source) => {
      const target = join(root, checkKey(key));
      try {
        await (source instanceof Uint8Array
          ? writeBytes(root, key, target, source, ledger)
          : takeStagedFile(root, key, target, source, ledger));
      } catch (error) {
        throw refuseFull(error, key);
      }
    },
    remove: async (key) => {
      const target = join(root, checkKey(key));
      await removeObject(target);
      await ledger.prune(dirname(target));
    },
    list: (prefix) => listObjects(root, prefix),
    close: async () => {},
  };
}

/**
 * Delete what a killed process left unfinished in the storage at `root`; resolves with the number
 * of files. Called at start, by the one process that writes and before it does.
 */
export async function clearUnfinished(root: string): Promise<number> {
  let count = 0;
  for (const tree of TREES) count += await clearStaging(join(root, tree, STAGING_NAME));
  return count;
}

async function statObject(path: string): Promise<ObjectStat | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile()) return undefined;
    return { size: found.size, modified: Math.trunc(found.mtimeMs) };
  } catch (error) {
    if (ABSENT_CODES.has(systemCode(error))) return undefined;
    throw error;
  }
}

async function readObject(path: string, key: string, range?: ByteRange): Promise<Readable> {
  const handle = await open(path, OPEN_FLAGS).catch((error: unknown) => {
    throw ABSENT_CODES.has(systemCode(error)) ? createAbsentError(key) : error;
  });
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw createAbsentError(key);
    const bounds = checkRange(key, found.size, range);
    if (bounds !== undefined) {
      return handle.createReadStream({ ...bounds, highWaterMark: READ_BUFFER_BYTES });
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return Readable.from([], { objectMode: false });
}

/** The bytes to read of `size`, both inclusive; undefined where that is none. */
function checkRange(key: string, size: number, range?: ByteRange): ByteRange | undefined {
  if (range === undefined) return size === 0 ? undefined : { start: 0, end: size - 1 };
  const { start, end } = range;
  // Negated, so that NaN is refused as well.
  if (!(start >= 0 && start <= end && start < size)) {
    throw new RefusalError(
      'RANGE_UNSATISFIABLE',
      `${key} has ${size} bytes: there is no range ${start} to ${end}`,
    );
  }
  return { start, end: Math.min(end, size - 1) };
}

/** The staging directory on the filesystem of the tree that the key belongs to. */
function stagingDirectory(root: string, key: string): string {
  return join(root, key.slice(0, key.indexOf('/')), STAGING_NAME);
}

async function writeBytes(
  root: string,
  key: string,
  target: string,
  bytes: Uint8Array,
  ledger: DirectoryLedger,
): Promise<void> {
  const { path, handle } = await createStagingFile(stagingDirectory(root, key));
  try {
    try {
      await handle.writeFile(bytes);
      await handle.chmod(FILE_MODE);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await placeFile(path, target, ledger);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

async function takeStagedFile(
  root: string,
  key: string,
  target: string,
  staged: StagedFile,
  ledger: DirectoryLedger,
): Promise<void> {
  try {
    await sealFile(staged.path, staged.size);
    try {
      await placeFile(staged.path, target, ledger);
    } catch (error) {
      if (systemCode(error) !== 'EXDEV') throw error;
      await copyAcross(root, key, target, staged, ledger);
    }
  } finally {
    await rm(staged.path, { force: true });
  }
}

/** Staged on another filesystem: no rename reaches, so a copy is staged on the right one. */
async function copyAcross(
  root: string,
  key: string,
  target: string,
  staged: StagedFile,
  ledger: DirectoryLedger,
): Promise<void> {
  const { path, handle } = await createStagingFile(stagingDirectory(root, key));
  await handle.close();
  try {
    await copyFile(staged.path, path);
    await sealFile(path, staged.size);
    await placeFile(path, target, ledger);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Make a staged file what an object is: its size proven, its mode, its date, on the disk. */
async function sealFile(path: string, size: number): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const found = await handle.stat();
    if (!found.isFile() || found.size !== size) {
      throw new Error(`a staged file has ${found.size} bytes where ${size} were announced`);
    }
    const now = new Date();
    await handle.chmod(FILE_MODE);
    await handle.utimes(now, now);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Rename a synced file to its place; durable when it resolves. */
async function placeFile(path: string, target: string, ledger: DirectoryLedger): Promise<void> {
  const parent = dirname(target);
  for (let attempt = 1; ; attempt += 1) {
    await ledger.create(parent);
    try {
      await rename(path, target);
      break;
    } catch (error) {
      // A remove beside us found the directory empty and pruned it: make it again.
      if (systemCode(error) !== 'ENOENT' || attempt === MAX_PLACE_ATTEMPTS) throw error;
    }
  }
  await syncDirectory(parent);
  await ledger.sync(parent);
}

async function removeObject(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!ABSENT_CODES.has(systemCode(error))) throw error;
  }
}

async function* listObjects(root: string, prefix: string): AsyncGenerator<string> {
  const parent = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (parent === '') {
    for (const tree of TREES) {
      if (`${tree}/`.startsWith(prefix)) yield* walkDirectory(root, `${tree}/`, prefix);
    }
  } else if (canBeginKey(parent)) {
    // Anything else is the beginning of no key, and above all `../` is not walked.
    yield* walkDirectory(root, parent, prefix);
  }
}

/** `directory` is a key's beginning, with its '/'. Holds one open directory a level. */
async function* walkDirectory(
  root: string,
  directory: string,
  prefix: string,
): AsyncGenerator<string> {
  const entries = await opendir(join(root, directory)).catch((error: unknown) => {
    // Pruned meanwhile, or never there.
    if (ABSENT_CODES.has(systemCode(error))) return [];
    throw error;
  });
  for await (const entry of entries) {
    const key = directory + entry.name;
    if (entry.isDirectory()) {
      if (TREES.includes(directory.slice(0, -1)) && entry.name === STAGING_NAME) continue;
      // Only the first level has entries that the prefix's last, unfinished segment rules out.
      if (!`${key}/`.startsWith(prefix) && !key.startsWith(prefix)) continue;
      yield* walkDirectory(root, `${key}/`, prefix);
    } else if (entry.isFile() && key.startsWith(prefix) && findKeyFault(key) === undefined) {
      yield key;
    }
  }
}
