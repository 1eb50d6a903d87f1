/**
 * The folder that an export goes to: its list of what an earlier one put there, and files that come
 * into place by rename. Floor 3.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';

/** Path -> SHA-256 of what is exported, by which the next export knows it. */
const LIST_NAME = '.aptkeep-export';
const FORMAT = 1;

export type ExportedFiles = Map<string, string>;

const unsuitable = (why: string): RefusalError => new RefusalError('DIRECTORY_UNSUITABLE', why);

function refuseUnwritten(folder: string, error: unknown): unknown {
  const code = systemCode(error);
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) {
    return new RefusalError('SPACE_EXHAUSTED', `${folder}: no room left for the export`);
  }
  if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code)) return error;
  return unsuitable(`${folder} cannot be written by the user of this repository (${code})`);
}

export class ExportFolder {
  readonly #folder: string;
  /** What earlier exports left there, also one that was killed. */
  readonly #before: ExportedFiles;
  readonly #now: ExportedFiles = new Map();
  readonly #made = new Set<string>();

  private constructor(folder: string, before: ExportedFiles) {
    this.#folder = folder;
    this.#before = before;
  }

  /** @throws RefusalError DIRECTORY_UNSUITABLE where there are files that no export put there. */
  static async open(folder: string): Promise<ExportFolder> {
    try {
      await mkdir(folder, { recursive: true });
      const names = await readdir(folder);
      if (names.length === 0) return new ExportFolder(folder, new Map());
      const text = await readFile(join(folder, LIST_NAME), 'utf8').catch(() => undefined);
      if (text === undefined) {
        throw unsuitable(`${folder} is neither empty nor an earlier export`);
      }
      return new ExportFolder(folder, readList(text));
    } catch (error) {
      throw refuseUnwritten(folder, error);
    }
  }

  /** Before anything else: by it a killed export is known, and what of it is ours. */
  async announce(files: ExportedFiles): Promise<void> {
    await this.#writeList(new Map([...this.#before, ...files]));
  }

  /**
   * A file in its place, unless it is there already.
   * @param write puts it to a path where nothing is.
   * @returns whether it was written.
   */
  async place(
    path: string,
    facts: { size: number; sha256: string },
    write: (path: string) => Promise<void>,
  ): Promise<boolean> {
    this.#now.set(path, facts.sha256);
    const target = join(this.#folder, path);
    if (this.#before.get(path) === facts.sha256) {
      const found = await stat(target).catch(() => undefined);
      if (found?.isFile() && found.size === facts.size) return false;
    }
    const temporary = join(dirname(target), `.new-${randomBytes(8).toString('hex')}`);
    try {
      await this.#makeFolder(dirname(target));
      await write(temporary);
      await rename(temporary, target);
      // Two names of one file are left alone by rename(2).
      await rm(temporary, { force: true });
      return true;
    } catch (error) {
      await rm(temporary, { force: true });
      throw refuseUnwritten(this.#folder, error);
    }
  }

  /** Takes away what an earlier export left and this one has not; resolves with their number. */
  async finish(): Promise<number> {
    let removed = 0;
    for (const path of this.#before.keys()) {
      if (this.#now.has(path)) continue;
      const target = join(this.#folder, path);
      await rm(target, { force: true });
      removed += 1;
      for (let empty = dirname(target); empty !== this.#folder; empty = dirname(empty)) {
        const isGone = await rmdir(empty).then(
          () => true,
          () => false,
        );
        if (!isGone) break;
      }
    }
    await this.#writeList(this.#now);
    return removed;
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#made.has(folder)) return;
    await mkdir(folder, { recursive: true });
    this.#made.add(folder);
  }

  async #writeList(files: ExportedFiles): Promise<void> {
    const temporary = join(this.#folder, `${LIST_NAME}.new`);
    try {
      const handle = await open(temporary, 'w', 0o644);
      try {
        await handle.writeFile(`${JSON.stringify({ format: FORMAT, files: [...files] })}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, join(this.#folder, LIST_NAME));
    } catch (error) {
      throw refuseUnwritten(this.#folder, error);
    }
  }
}

/** Only paths that an export makes: the list is a file, and what it names is removed. */
function readList(text: string): ExportedFiles {
  try {
    const { format, files } = JSON.parse(text) as { format: number; files: [string, string][] };
    const isOurs = (path: string): boolean =>
      /^(pool|dists)\/[^/]|^archive-keyring\.(gpg|asc)$/.test(path) &&
      path.split('/').every((one) => one !== '' && one !== '.' && one !== '..');
    if (format === FORMAT && files.every(([path]) => isOurs(path))) return new Map(files);
  } catch {
    // It is refused below.
  }
  throw unsuitable(`${LIST_NAME} is none that this version wrote`);
}
