/**
 * Staging: where bytes stand until they are complete. A staging directory is on the filesystem of
 * the tree it serves, so that a finished file moves into place by rename(2); what a killed process
 * left in it is cleared at the next start. Source of truth: rename(2), open(2). Floor 2.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../errors.ts';

/** Nobody else reads what is not yet verified; the storage makes it 0644 when it takes it over. */
const STAGING_FILE_MODE = 0o600;
const STAGING_DIRECTORY_MODE = 0o700;

/**
 * Create an empty file of a random name in the staging directory, made where it is missing. The
 * caller closes the handle and then hands the path to `Storage.write`, or removes it.
 */
export async function createStagingFile(
  directory: string,
): Promise<{ path: string; handle: FileHandle }> {
  const path = join(directory, randomBytes(16).toString('hex'));
  try {
    return { path, handle: await open(path, 'wx+', STAGING_FILE_MODE) };
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  await mkdir(directory, { recursive: true, mode: STAGING_DIRECTORY_MODE });
  return { path, handle: await open(path, 'wx+', STAGING_FILE_MODE) };
}

/** A new file in the staging directory with these bytes; the caller owns it. */
export async function writeStagingFile(directory: string, bytes: Uint8Array): Promise<string> {
  const { path, handle } = await createStagingFile(directory);
  try {
    await handle.writeFile(bytes);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  return path;
}

/** Another name in the staging directory for a file in it; the caller owns that name alone. */
export async function linkStagingFile(directory: string, path: string): Promise<string> {
  const other = join(directory, randomBytes(16).toString('hex'));
  await link(path, other);
  return other;
}

/**
 * Delete everything in a staging directory; resolves with the number of entries. Called at start,
 * by the one process that writes and before it does: a file under way would go too.
 */
export async function clearStaging(directory: string): Promise<number> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
  return names.length;
}
