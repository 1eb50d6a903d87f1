/**
 * Which files go together: a .changes or .dsc with all that it names, as they lie beside it, and
 * every other file alone. What it names and is not there may be in the repository: that is the
 * server's to say. Floor 9.
 */
import { access, constants, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import { parsePaper } from '../repository/paper.ts';

/** Files that are taken whole or not at all; the first gives it its name. */
export interface UploadGroup {
  files: string[];
  bytes: number;
}

const MAX_PAPER_BYTES = 4 * 1024 * 1024;
const PARTS = /\.(tar\.\w+|diff\.gz|buildinfo|asc)$/;

export const isPaper = (file: string): boolean => /\.(changes|dsc)$/.test(file);

/** @throws RefusalError FILE_UNREADABLE */
async function measureFile(path: string): Promise<number> {
  try {
    const found = await stat(path);
    await access(path, constants.R_OK);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw new RefusalError('FILE_UNREADABLE', `${path}: ${systemCode(error)}`);
  }
  throw new RefusalError('FILE_UNREADABLE', `${path}: not a file`);
}

/** The files that a paper names. @throws RefusalError PACKAGE_MALFORMED naming the paper. */
async function listNamed(file: string): Promise<string[]> {
  if ((await measureFile(file)) > MAX_PAPER_BYTES) {
    throw new RefusalError('PACKAGE_MALFORMED', `${file}: larger than 4 MiB`);
  }
  try {
    const paper = parsePaper(await readFile(file));
    if (paper === undefined) throw new RefusalError('PACKAGE_MALFORMED', 'it is none');
    const { files } = paper.kind === 'changes' ? paper.changes : paper.control;
    return files.map(({ name }) => join(dirname(file), name));
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    throw new RefusalError(error.code, `${file}: ${error.message}`);
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function groupPaper(file: string): Promise<string[]> {
  const named = [...new Set(await listNamed(file))];
  const there = await Promise.all(named.map(isThere));
  return [file, ...named.filter((_, i) => there[i])];
}

/**
 * The groups that files make, in their order. A file that a .changes among them names is not sent
 * once more by itself.
 * @throws RefusalError FILE_UNREADABLE, PACKAGE_MALFORMED, USAGE_INVALID
 */
export async function groupFiles(files: readonly string[]): Promise<UploadGroup[]> {
  const groups = await Promise.all(
    files.map((file) => (isPaper(file) ? groupPaper(file) : Promise.resolve([file]))),
  );
  const covered = new Set(groups.flatMap((group) => group.slice(1)).map((file) => join(file)));
  const own = groups.filter(([first = '']) => !covered.has(join(first)));
  const part = own.find(([first = '']) => PARTS.test(first))?.[0];
  if (part !== undefined) {
    throw new RefusalError('USAGE_INVALID', `${part}: upload the .changes or .dsc that names it`);
  }
  return Promise.all(
    own.map(async (group) => {
      const sizes = await Promise.all(group.map(measureFile));
      return { files: group, bytes: sizes.reduce((sum, size) => sum + size, 0) };
    }),
  );
}
