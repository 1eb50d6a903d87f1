/** A repository in a folder of this machine; it is read and never changed. Floor 2. */
import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import type { ForeignPlace } from './place.ts';

/** A package file that stands somewhere in a folder, by its path there. */
export interface FoundFile {
  path: string;
  size: number;
}

const ABSENT = ['ENOENT', 'ENOTDIR', 'ELOOP'];

const refuse = (path: string, error: unknown): RefusalError =>
  new RefusalError('SOURCE_UNACCEPTABLE', `${path}: cannot be read (${systemCode(error)})`);

async function readWhole(file: string, path: string, maxBytes: number): Promise<Buffer> {
  // A pipe that nobody writes to would be waited for otherwise.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new RefusalError('SOURCE_UNACCEPTABLE', `${path} is not a file`);
    if (found.size > maxBytes) {
      throw new RefusalError('SOURCE_UNACCEPTABLE', `${path} is larger than ${maxBytes} bytes`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

export function openFolder(root: string): ForeignPlace {
  return {
    name: root,
    async read(path, maxBytes) {
      try {
        return await readWhole(join(root, path), path, maxBytes);
      } catch (error) {
        if (error instanceof RefusalError) throw error;
        if (ABSENT.includes(systemCode(error))) return undefined;
        throw refuse(path, error);
      }
    },
    // Its size is looked at where it is read.
    bring: async (path) => join(root, path),
    close: async () => {},
  };
}

/** The root of a dists-shaped tree in a folder: itself, or `public` where aptly publishes. */
export async function findTreeRoot(folder: string): Promise<string | undefined> {
  for (const root of [folder, join(folder, 'public')]) {
    const isTree = await stat(join(root, 'dists')).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isTree) return root;
  }
  return undefined;
}

const MAX_DISTRIBUTION_DEPTH = 3;

/**
 * The distributions of a dists-shaped tree, those that are links to another one left out.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export async function listDistributions(root: string): Promise<string[]> {
  const found = new Map<string, string>();
  const walk = async (path: string, depth: number): Promise<void> => {
    const entries = await readdir(join(root, path), { withFileTypes: true });
    if (entries.some((one) => ['InRelease', 'Release'].includes(one.name)) && depth > 0) {
      const real = await realpath(join(root, path));
      const name = path.slice('dists/'.length);
      const known = found.get(real);
      // Of a folder and the links to it, the folder.
      if (known === undefined || real.endsWith(`/${name}`)) found.set(real, name);
      return;
    }
    if (depth === MAX_DISTRIBUTION_DEPTH) return;
    for (const one of entries) {
      const isFolder = one.isDirectory() || one.isSymbolicLink();
      if (isFolder) await walk(`${path}/${one.name}`, depth + 1).catch(ignoreFile);
    }
  };
  try {
    await walk('dists', 0);
  } catch (error) {
    throw refuse('dists', error);
  }
  return [...found.values()].sort();
}

function ignoreFile(error: unknown): void {
  if (!ABSENT.includes(systemCode(error))) throw error;
}

const PACKAGE_FILE = /\.(deb|udeb|ddeb|dsc)$/;

/**
 * Every package file below a folder, in the order of the paths; .dsc are among them.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export async function findPackageFiles(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { recursive: true, encoding: 'utf8' });
    return entries.filter((path) => PACKAGE_FILE.test(path)).sort();
  } catch (error) {
    throw new RefusalError(
      'SOURCE_UNACCEPTABLE',
      `${root}: ${systemCode(error) === 'ENOENT' ? 'there is no such folder' : `cannot be read (${systemCode(error)})`}`,
    );
  }
}
