/**
 * Room kept for a full disk: a file of zeros that is given back so that what frees room, and what
 * keeps the door right (a revocation, the next list), can still be written down. Made again when
 * there is room. Source of truth: statfs(2), fsync(2). Floor 2.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';

const RESERVE_NAME = 'aptkeep.reserve';
/** More than a removal writes in the largest suites: pieces of indexes, and pages of the catalog. */
const RESERVE_BYTES = 4 * 1024 * 1024;
const FILE_MODE = 0o600;
/** Made only where this many times its size is free, so that it does not fill the disk itself. */
const ROOM_FACTOR = 4;
const CHUNK_BYTES = 1024 * 1024;
const FULL_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export interface Reserve {
  /** Makes it where it is missing and there is room; resolves with whether it is there. */
  fill(): Promise<boolean>;
  /** Gives it back; resolves with whether there was something to give. */
  spend(): Promise<boolean>;
}

/** The reserve of the filesystem that a directory is on. */
export function createReserve(directory: string): Reserve {
  const path = join(directory, RESERVE_NAME);
  const isThere = async (): Promise<boolean> => {
    const found = await stat(path).catch(ignoreAbsent);
    return found?.size === RESERVE_BYTES;
  };
  return {
    async fill() {
      if (await isThere()) return true;
      const { bavail, bsize } = await statfs(directory);
      if (bavail * bsize < ROOM_FACTOR * RESERVE_BYTES) return false;
      try {
        await writeZeros(path);
        return true;
      } catch (error) {
        await rm(path, { force: true });
        if (FULL_CODES.has(systemCode(error))) return false;
        throw error;
      }
    },
    async spend() {
      const had = (await stat(path).catch(ignoreAbsent)) !== undefined;
      await rm(path, { force: true });
      return had;
    },
  };
}

async function writeZeros(path: string): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const handle: FileHandle = await open(path, flags, FILE_MODE);
  try {
    const zeros = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; at < RESERVE_BYTES; at += CHUNK_BYTES) await handle.write(zeros);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (systemCode(error) === 'ENOENT') return undefined;
  throw error;
}
