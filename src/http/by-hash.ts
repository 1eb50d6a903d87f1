/**
 * Files that are asked for by their hash: those of the publication in force from memory, older ones
 * by one question, whose answer is remembered because it never changes. Floor 7.
 */
import type { SqlExecutor } from '../catalog/sql.ts';
import type { LivePublication } from '../repository/live.ts';
import {
  type ByHashName,
  findFileByHash,
  type HashName,
  type PublishedFile,
} from '../repository/published-files.ts';

/** Asks for a file of any publication that is kept. */
export type FindPast = (name: HashName) => Promise<PublishedFile | undefined>;

/** Some hundred bytes each. */
const MAX_REMEMBERED = 5000;

const LENGTHS: Readonly<Record<ByHashName, number>> = { SHA256: 64, SHA512: 128, MD5Sum: 32 };

/**
 * Patches too: apt asks for them by a name, which is their hash.
 * @param path below the suite.
 */
export function parseByHash(suite: string, path: string): HashName | undefined {
  const patch = /^((?:[^/]+\/)+[^/]+\.diff\/)([0-9a-f]{64})\.gz$/.exec(path);
  if (patch?.[1] && patch[2]) {
    return { suite, directory: patch[1], algorithm: 'SHA256', hex: patch[2] };
  }
  const match = /^((?:[^/]+\/)*)by-hash\/(SHA256|SHA512|MD5Sum)\/([0-9a-f]+)$/.exec(path);
  const [, directory = '', name, hex = ''] = match ?? [];
  const algorithm = name as ByHashName | undefined;
  if (!algorithm || hex.length !== LENGTHS[algorithm]) return undefined;
  return { suite, directory, algorithm, hex };
}

/** By hash and directory, made once for each publication. */
const current = new WeakMap<LivePublication, Map<string, PublishedFile>>();

function indexFiles(publication: LivePublication): Map<string, PublishedFile> {
  const files = new Map<string, PublishedFile>();
  for (const file of publication.files.values()) {
    const directory = file.path.slice(0, file.path.lastIndexOf('/') + 1);
    const { SHA512, MD5sum } = file.hashes ?? {};
    for (const hex of [file.sha256, SHA512, MD5sum]) {
      if (hex !== undefined) files.set(`${directory} ${hex}`, file);
    }
  }
  current.set(publication, files);
  return files;
}

export class FilesByHash {
  readonly #ask: FindPast;
  readonly #known = new Map<string, PublishedFile>();

  constructor(ask: FindPast) {
    this.#ask = ask;
  }

  async find(publication: LivePublication, name: HashName): Promise<PublishedFile | undefined> {
    const { suite, directory, algorithm, hex } = name;
    const files = current.get(publication) ?? indexFiles(publication);
    const key = `${directory} ${hex}`;
    const known = files.get(key) ?? this.#known.get(`${suite} ${key}`);
    if (known) return known;
    const found = await this.#ask({ suite, directory, algorithm, hex });
    if (found) {
      const [oldest = ''] = this.#known.keys();
      if (this.#known.size >= MAX_REMEMBERED) this.#known.delete(oldest);
      this.#known.set(`${suite} ${key}`, found);
    }
    return found;
  }
}

/** Asks the catalog, where this process has it. */
export const openFilesByHash = (sql: SqlExecutor): FilesByHash =>
  new FilesByHash((name) => findFileByHash(sql, name));
