/**
 * Several files of a folder replaced together: written aside in a folder whose one rename is the
 * deed, then moved into place. Killed before it, nothing has happened; killed after it, the next
 * start moves the rest. Source of truth: rename(2), fsync(2). Floor 3.
 */
import { mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';

const PREPARED = '.replacement.new';
const DECIDED = '.replacement';

export interface Replacement {
  name: string;
  content: string;
  mode: number;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** Moves into place what was decided, and clears away what was not. */
export async function finishReplacing(root: string): Promise<void> {
  await rm(join(root, PREPARED), { recursive: true, force: true });
  const decided = join(root, DECIDED);
  let names: string[];
  try {
    names = await readdir(decided);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  for (const name of names) await rename(join(decided, name), join(root, name));
  await syncFolder(root);
  await rmdir(decided);
}

/** The caller holds the lock of the data directory. */
export async function replaceTogether(root: string, files: readonly Replacement[]): Promise<void> {
  const prepared = join(root, PREPARED);
  await rm(prepared, { recursive: true, force: true });
  try {
    await mkdir(prepared, { mode: 0o700 });
    for (const { name, content, mode } of files) {
      const handle = await open(join(prepared, name), 'wx', mode);
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
    await syncFolder(prepared);
    await rename(prepared, join(root, DECIDED));
  } catch (error) {
    await rm(prepared, { recursive: true, force: true });
    throw error;
  }
  await syncFolder(root);
  await finishReplacing(root);
}
