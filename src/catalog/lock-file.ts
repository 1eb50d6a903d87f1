/**
 * The lock of a data directory, held by the kernel: killed in any way, its owner frees it at once.
 * Node has no flock(2), but SQLite takes fcntl(2) locks: an exclusive transaction on an empty
 * database is one, and writes nothing. Source of truth: https://sqlite.org/lockingv3.html. Floor 2.
 */
import { chown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../errors.ts';
import { openConnection, resultCode, SQLITE_BUSY } from './connection.ts';

/** What a lock keeps others from: the directory itself, or taking objects out of it. */
export type LockName = 'aptkeep.lock' | 'aptkeep.keep.lock';

const POLL_INTERVAL_MS = 25;

/** Root may work on a directory that is a service's, which has to be able to lock it as well. */
async function giveToOwner(directory: string, name: LockName): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(directory);
  await chown(join(directory, name), uid, gid);
}

/**
 * Take the lock of a data directory, waiting for it up to `waitMs` milliseconds without blocking
 * the event loop. The file stays when the lock is released.
 * @throws RefusalError DIRECTORY_IN_USE
 */
export async function lockDirectory(
  directory: string,
  waitMs: number,
  name: LockName = 'aptkeep.lock',
): Promise<{ release(): Promise<void> }> {
  const deadline = performance.now() + waitMs;
  const connection = openConnection(join(directory, name), {
    readOnly: false,
    busyTimeoutMs: 0,
  });
  try {
    await giveToOwner(directory, name);
    for (;;) {
      try {
        // A journal on the disk would begin with the transaction: on a full disk nothing could start.
        connection.execute('pragma journal_mode = memory');
        connection.execute('begin exclusive');
        break;
      } catch (error) {
        if (resultCode(error) !== SQLITE_BUSY) throw error;
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        throw new RefusalError(
          'DIRECTORY_IN_USE',
          name === 'aptkeep.lock'
            ? 'the data directory is in use by another aptkeep process'
            : 'a backup or a sweep is under way: try again when it is done',
        );
      }
      await sleep(Math.min(POLL_INTERVAL_MS, leftMs));
    }
  } catch (error) {
    connection.close();
    throw error;
  }
  let released = false;
  return {
    async release() {
      if (released) return;
      released = true;
      connection.close();
    },
  };
}
