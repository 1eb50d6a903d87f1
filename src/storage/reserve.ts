/**
 * Room set aside on the data directory's disk, so that making room is possible when there is none:
 * even to forget something, a catalog writes first. Source of truth: statfs(2); SQLite's WAL grows
 * before it is folded back. Floor 2.
 */
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusalError } from '../errors.ts';

const RESERVE_NAME = 'aptkeep.reserve';
const MAX_RESERVE_BYTES = 16 * 1024 ** 2;
/** Of a small disk, so much of it. */
const SHARE_OF_DISK = 32;
/** Nothing is set aside where it would be the last there is. */
const FREE_BEFORE = 4;
const CHUNK_BYTES = 1024 ** 2;

export interface Reserve {
  /** Sets the room aside where it is not, and where there is enough; never an error. */
  keep(): Promise<void>;
  /** Gives it up; resolves with whether there was any. */
  give(): Promise<boolean>;
}

export function createReserve(directory: string): Reserve {
  const path = join(directory, RESERVE_NAME);
  return {
    async keep() {
      try {
        const disk = await statfs(directory);
        const size = Math.min(
          MAX_RESERVE_BYTES,
          Math.floor((disk.bsize * disk.blocks) / SHARE_OF_DISK),
        );
        const there = await stat(path).catch(() => undefined);
        if (there?.size === size || disk.bsize * disk.bavail < FREE_BEFORE * size) return;
        await fill(path, size);
      } catch {
        await rm(path, { force: true });
      }
    },
    async give() {
      const there = await stat(path).catch(() => undefined);
      await rm(path, { force: true });
      return there !== undefined;
    },
  };
}

/** Random, because a disk may keep nothing of what can be compressed. */
async function fill(path: string, size: number): Promise<void> {
  const handle = await open(path, 'w', 0o600);
  try {
    const chunk = randomBytes(CHUNK_BYTES);
    for (let left = size; left > 0; left -= CHUNK_BYTES) {
      await handle.write(chunk, 0, Math.min(left, CHUNK_BYTES));
    }
  } finally {
    await handle.close();
  }
}

/** Does a work that makes room; where there is none even for that, with what was set aside. */
export async function withReserve<Result>(
  reserve: Reserve,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const isFull = error instanceof RefusalError && error.code === 'SPACE_EXHAUSTED';
    if (!isFull || !(await reserve.give())) throw error;
    return work();
  }
}
