/**
 * The lock of a data directory, held by the kernel: killed in any way, its owner frees it at once.
 * Node has no flock(2), but SQLite takes fcntl(2) locks: an exclusive transaction on an empty
 * database is one, and writes nothing. Source of truth: https://sqlite.org/lockingv3.html. Floor 2.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RefusalError } from '../errors.ts';
import { openConnection, resultCode, SQLITE_BUSY } from './connection.ts';

const LOCK_FILE_NAME = 'aptkeep.lock';
const POLL_INTERVAL_MS = 25;

/**
 * Take the lock of a data directory, waiting for it up to `waitMs` milliseconds without blocking
 * the event loop. The file stays when the lock is released.
 * @throws RefusalError DIRECTORY_IN_USE
 */
export async function lockDirectory(
  directory: string,
  waitMs: number,
): Promise<{ release(): Promise<void> }> {
  const deadline = performance.now() + waitMs;
  const connection = openConnection(join(directory, LOCK_FILE_NAME), {
    readOnly: false,
    busyTimeoutMs: 0,
  });
  try {
    for (;;) {
      try {
        connection.execute('begin exclusive');
        break;
      } catch (error) {
        if (resultCode(error) !== SQLITE_BUSY) throw error;
      }
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        throw new RefusalError(
          'DIRECTORY_IN_USE',
          'the data directory is in use by another aptkeep process',
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
