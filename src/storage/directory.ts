/**
 * The storage in a directory: an object is a file, its key the path below the root.
 * A write is a complete file renamed into place after fsync, then fsync of the directories: a
 * reader sees the old object or the new one, and what was acknowledged survives a power cut.
 * No object is reached through a symbolic link; only `pool` and `dists` themselves may be links
 * (or mounts), resolved once, when the storage is opened.
 * Source of truth: the port (storage.ts); open(2), rename(2). Floor 2.
 */
import {
  close,
  constants,
  createReadStream,
  fstatSync,
  open,
  read,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { lstat, mkdir, opendir, realpath, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { RefusalError, systemCode } from '../errors.ts';
import { adoptFiles, lendFile } from './adoption.ts';
import { createDirectoryLedger, syncDirectory } from './durability.ts';
import {
  canBeginKey,
  checkKey,
  createAbsentError,
  findKeyFault,
  STAGING_NAME,
  TREES,
} from './key.ts';
import { isReachedDirectly, type Place, placeBytes, placeStagedFile } from './placement.ts';
import { clearStaging } from './staging.ts';
import type { ByteRange, ObjectStat, OpenObject, Storage } from './storage.ts';

const READ_BUFFER_BYTES = 1024 * 1024;

/** O_NOFOLLOW: an object is never a symbolic link. O_NONBLOCK: a pipe in its place cannot hang us. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The codes by which the system says that there is no regular file of that name. */
const ABSENT_CODES = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENXIO', 'ENAMETOOLONG']);
const FULL_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Tree (`pool`, `dists`) -> its real path. */
type TreePaths = ReadonlyMap<string, string>;

// Plain descriptors: a stream of a FileHandle that nobody reads or destroys ends the whole process
// when it is collected (Node 26), one of these costs a descriptor.
const openFile = promisify(open);
const closeFile = promisify(close);
const readFile = promisify(read);

/** The storage whose objects are the files under `pool/` and `dists/` of a directory. */
export async function openDirectory(directory: string): Promise<Storage> {
  const root = resolve(directory);
  const trees = new Map<string, string>();
  for (const tree of TREES) {
    await mkdir(join(root, tree), { recursive: true });
    trees.set(tree, await realpath(join(root, tree)));
  }
  await syncDirectory(root);
  await syncDirectory(dirname(root));
  const ledger = createDirectoryLedger([...trees.values()]);
  return {
    stat: async (key) => statObject(locate(trees, key).target),
    read: async (key, range) => readObject(locate(trees, key).target, key, range),
    open: async (key) => openObject(locate(trees, key).target, key),
    write: async (key, source) => {
      const place = locate(trees, key);
      try {
        await (source instanceof Uint8Array
          ? placeBytes(place, source, ledger)
          : placeStagedFile(place, source, ledger));
      } catch (error) {
        throw refuseFull(error, key);
      }
    },
    adopt: async (files) =>
      adoptFiles(
        files.map((file) => ({ ...file, ...locate(trees, file.key) })),
        [...trees.values()],
      ),
    lend: async (key, path) => {
      const { target } = locate(trees, key);
      if (!(await statObject(target))) throw createAbsentError(key);
      try {
        await lendFile(target, path);
      } catch (error) {
        throw refuseFull(error, key);
      }
    },
    remove: async (key) => {
      const { target } = locate(trees, key);
      if (await removeObject(target)) await ledger.prune(dirname(target));
    },
    list: (prefix) => listObjects(trees, prefix),
    close: async () => {},
  };
}

/**
 * Delete what a killed process left unfinished in the storage of a directory; resolves with the
 * number of files. Called at start, by the one process that writes and before it does.
 */
export async function clearUnfinished(directory: string): Promise<number> {
  let count = 0;
  for (const tree of TREES) count += await clearStaging(join(directory, tree, STAGING_NAME));
  return count;
}

/** @throws RefusalError PATH_UNKNOWN where the key is none. */
function locate(trees: TreePaths, key: string): Place {
  const [tree = '', ...rest] = checkKey(key).split('/');
  const path = trees.get(tree) ?? '';
  return { target: join(path, ...rest), staging: join(path, STAGING_NAME) };
}

/** The refusal where the system said that there is no room, or else the error itself. */
function refuseFull(error: unknown, key: string): unknown {
  const code = systemCode(error);
  if (!FULL_CODES.has(code)) return error;
  return new RefusalError('SPACE_EXHAUSTED', `${key} could not be stored: no room left (${code})`);
}

async function statObject(path: string): Promise<ObjectStat | undefined> {
  try {
    const found = await lstat(path);
    if (!found.isFile() || !isReachedDirectly(dirname(path))) return undefined;
    return { size: found.size, modified: Math.trunc(found.mtimeMs) };
  } catch (error) {
    if (ABSENT_CODES.has(systemCode(error))) return undefined;
    throw error;
  }
}

async function openRegular(path: string, key: string): Promise<{ fd: number; found: Stats }> {
  const fd = await openFile(path, OPEN_FLAGS).catch((error: unknown) => {
    throw ABSENT_CODES.has(systemCode(error)) ? createAbsentError(key) : error;
  });
  try {
    // Synchronous: of an open file the kernel answers from memory, in a tenth of a thread's turn.
    const found = fstatSync(fd);
    if (!found.isFile() || !isOpenedDirectly(fd, path)) throw createAbsentError(key);
    return { fd, found };
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}

async function openObject(path: string, key: string): Promise<OpenObject> {
  const { fd, found } = await openRegular(path, key);
  return {
    size: found.size,
    modified: Math.trunc(found.mtimeMs),
    read: async (buffer, offset, length, position) =>
      (await readFile(fd, buffer, offset, length, position)).bytesRead,
    close: () => closeFile(fd),
  };
}

async function readObject(path: string, key: string, range?: ByteRange): Promise<Readable> {
  const { fd, found } = await openRegular(path, key);
  try {
    const bounds = checkRange(key, found.size, range);
    if (bounds !== undefined) {
      return createReadStream('', { ...bounds, fd, highWaterMark: READ_BUFFER_BYTES });
    }
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
  await closeFile(fd);
  return Readable.from([], { objectMode: false });
}

/** Whether no symbolic link led to an open file. proc(5): one replaced since is `(deleted)`. */
function isOpenedDirectly(descriptor: number, path: string): boolean {
  const opened = readlinkSync(`/proc/self/fd/${descriptor}`);
  return opened === path || opened === `${path} (deleted)`;
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

/** Resolves with whether there was something to remove. */
async function removeObject(path: string): Promise<boolean> {
  if (!isReachedDirectly(dirname(path))) return false;
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (ABSENT_CODES.has(systemCode(error))) return false;
    throw error;
  }
}

async function* listObjects(trees: TreePaths, prefix: string): AsyncGenerator<string> {
  const parent = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  // What is the beginning of no key, `../` above all, is not walked.
  if (parent !== '' && !canBeginKey(parent)) return;
  for (const [tree, path] of trees) {
    if (parent === '' && tree.startsWith(prefix)) yield* walkDirectory(path, `${tree}/`, prefix);
    if (!parent.startsWith(`${tree}/`)) continue;
    const start = join(path, parent.slice(tree.length), '.');
    if (isReachedDirectly(start)) yield* walkDirectory(start, parent, prefix);
  }
}

/** `begin` is what the keys in the directory begin with. Holds one open directory a level. */
async function* walkDirectory(path: string, begin: string, prefix: string): AsyncGenerator<string> {
  const entries = await opendir(path).catch((error: unknown) => {
    // Pruned meanwhile.
    if (ABSENT_CODES.has(systemCode(error))) return [];
    throw error;
  });
  for await (const entry of entries) {
    const key = begin + entry.name;
    // Beyond the first level every key has the prefix whole.
    if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue;
    if (entry.isDirectory()) {
      if (canBeginKey(`${key}/`)) yield* walkDirectory(join(path, entry.name), `${key}/`, prefix);
    } else if (entry.isFile() && key.startsWith(prefix) && findKeyFault(key) === undefined) {
      yield key;
    }
  }
}
