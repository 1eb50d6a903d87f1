/**
 * Who may reach the keys in certs/: their owner alone, or nothing starts. Source of truth: modes
 * and owners as inode(7) has them; an access control list shows in the bits of the group. Floor 3.
 */
import type { Stats } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';

const OTHERS = 0o077;
const ROOT_UID = 0;

/** Keys, their copies and what a write that was killed left of them. */
export const isKeyName = (name: string): boolean =>
  /\.key\b/.test(name) || /archive-key(?!ring)/.test(name);

const octal = (found: Stats): string => (found.mode & 0o7777).toString(8).padStart(4, '0');

async function look<Result>(ask: Promise<Result>): Promise<Result | undefined> {
  return ask.catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** Whose files may hold our keys. Root may work on a directory that is a service's. */
function listOwners(folder: Stats): number[] {
  const own = process.geteuid?.() ?? ROOT_UID;
  return own === ROOT_UID ? [ROOT_UID, folder.uid] : [ROOT_UID, own];
}

/**
 * What is wrong with a file or folder that others must not reach; undefined where nothing is.
 * @param shown its name as a person types it in the data directory.
 */
export function findExposure(
  found: Stats,
  owners: readonly number[],
  shown: string,
): string | undefined {
  const allowed = found.isDirectory() ? '0700' : '0600';
  if (!owners.includes(found.uid)) {
    return `${shown} belongs to another user (uid ${found.uid}); the owner of the data directory must own it: chown ${owners.at(-1)} ${shown}`;
  }
  return (found.mode & OTHERS) === 0
    ? undefined
    : `${shown} has the mode ${octal(found)}; ${allowed} is allowed: chmod ${allowed} ${shown}`;
}

/**
 * Looks at certs/ and every key in it before one is read. A folder without keys is left to be
 * closed by whoever opens it.
 * @throws RefusalError KEY_EXPOSED naming the file, what was found, what is allowed
 */
export async function checkExposure(root: string): Promise<void> {
  const folder = await look(stat(root));
  const keys = folder ? (await readdir(root)).filter(isKeyName) : [];
  if (folder === undefined || keys.length === 0) return;
  const data = await stat(dirname(root));
  const owners = listOwners(data);
  const name = basename(root);
  const faults = [findExposure(folder, owners, name)];
  for (const key of keys.sort()) {
    const path = join(root, key);
    const link = await look(lstat(path));
    // A link leads to a key elsewhere: that one counts, and so does who may turn the link.
    const target = link?.isSymbolicLink() ? await look(stat(path)) : link;
    if (link?.isSymbolicLink() && !owners.includes(link.uid)) {
      faults.push(findExposure(link, owners, `${name}/${key}`));
    }
    if (target) faults.push(findExposure(target, owners, `${name}/${key}`));
  }
  const fault = faults.find((one) => one !== undefined);
  if (fault !== undefined) throw new RefusalError('KEY_EXPOSED', fault);
}
