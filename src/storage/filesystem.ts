/** A whole filesystem made durable at once. Source of truth: syncfs(2), sync(1). Floor 2. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

/** All that was written to the filesystem of a directory so far, by whomever, is on its disk. */
export async function syncFilesystem(directory: string): Promise<void> {
  // Node has no syncfs(2); coreutils is on every Debian.
  await runFile('sync', ['-f', directory]);
}
