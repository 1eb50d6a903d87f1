/**
 * The files that Release lists: what is known of each, where its bytes are, and how they are read.
 * Floor 3.
 */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import {
  findIndexFile,
  findIndexFilesByHash,
  type IndexFileRow,
  insertIndexFile,
} from '../catalog/index-files.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { ByteRange, Storage } from '../storage/storage.ts';
import type { FilePart } from './segments.ts';
import type { ExtraHash } from './suite-options.ts';

export interface PublishedFile {
  path: string;
  size: number;
  sha256: string;
  /** Those besides SHA256 that the suite asks for. */
  hashes?: Partial<Record<ExtraHash, string>>;
  /** Date of the publication that first had it, in milliseconds. */
  modified: number;
  /** Its bytes one after another; null where it is uncompressed from `source`. */
  parts: readonly FilePart[] | null;
  /** Where Release does not list it: what `Packages.diff/Index` names. */
  isUnlisted?: true;
  /** The parts of its .gz; only where `parts` is null. */
  source?: readonly FilePart[];
}

/** A file of a publication as the catalog's JSON has it; the rest is in `index_file`. */
type SpelledFile = Omit<PublishedFile, 'parts' | 'source'>;

/** The name of a hash as it stands in the path of a file that is fetched by it. */
export type ByHashName = 'SHA256' | 'SHA512' | 'MD5Sum';

/** What stands in such a path: `directory` ends in a slash or is empty, `hex` in lower case. */
export interface HashName {
  suite: string;
  directory: string;
  algorithm: ByHashName;
  hex: string;
}

export function spellFiles(files: readonly PublishedFile[]): string {
  return JSON.stringify(
    files.map(
      ({ path, size, sha256, hashes, modified, isUnlisted }): SpelledFile => ({
        ...{ path, size, sha256, modified },
        ...(isUnlisted ? { isUnlisted } : {}),
        ...(hashes ? { hashes } : {}),
      }),
    ),
  );
}

const spellParts = (parts: readonly FilePart[]): string =>
  JSON.stringify(
    parts.map(({ key, size, slice }) => [
      ...[key, size],
      ...(slice ? [slice.offset, slice.whole] : []),
    ]),
  );

const readParts = (json: string): FilePart[] =>
  (JSON.parse(json) as [string, number, number?, number?][]).map(
    ([key, size, offset = 0, whole]) => ({
      ...{ key, size },
      ...(whole === undefined ? {} : { slice: { offset, whole } }),
    }),
  );

async function readRow(sql: SqlExecutor, row: IndexFileRow): Promise<PublishedFile | undefined> {
  const { suite, path, size, sha256, parts, inflated_from } = row;
  const hashes = JSON.parse(row.hashes) as NonNullable<PublishedFile['hashes']>;
  const facts = {
    ...{ path, size, sha256, modified: Date.parse(row.made_at) },
    ...(Object.keys(hashes).length > 0 ? { hashes } : {}),
  };
  if (parts !== null) return { ...facts, parts: readParts(parts) };
  const source = await findIndexFile(sql, suite, `${path}.gz`, inflated_from ?? '');
  if (!source?.parts) return undefined;
  return { ...facts, parts: null, source: readParts(source.parts) };
}

/** The files of a publication, from its JSON. @throws Error where one is not recorded any more. */
export async function loadFiles(
  sql: SqlExecutor,
  suite: string,
  json: string,
): Promise<PublishedFile[]> {
  const files: PublishedFile[] = [];
  for (const spelled of JSON.parse(json) as SpelledFile[]) {
    const row = await findIndexFile(sql, suite, spelled.path, spelled.sha256);
    const file = row && (await readRow(sql, row));
    if (!file) throw new Error(`${suite}: ${spelled.path} ${spelled.sha256} is not recorded`);
    const { modified, isUnlisted } = spelled;
    files.push({ ...file, modified, ...(isUnlisted ? { isUnlisted } : {}) });
  }
  return files;
}

/** A file of any publication that is kept. */
export async function findFileByHash(
  sql: SqlExecutor,
  { suite, directory, algorithm, hex }: HashName,
): Promise<PublishedFile | undefined> {
  const name = algorithm === 'MD5Sum' ? 'MD5sum' : algorithm;
  for (const row of await findIndexFilesByHash(sql, suite, name, hex)) {
    if (row.path.slice(0, row.path.lastIndexOf('/') + 1) === directory) return readRow(sql, row);
  }
  return undefined;
}

/** Writes down files that a publication has and its predecessor had not. */
export async function recordFiles(
  sql: SqlExecutor,
  suite: string,
  files: readonly PublishedFile[],
  made: readonly PublishedFile[],
): Promise<void> {
  const ordered = [...made].sort((a, b) => Number(a.parts === null) - Number(b.parts === null));
  for (const { path, sha256, size, hashes = {}, parts, modified } of ordered) {
    const source = files.find((file) => file.path === `${path}.gz`)?.sha256 ?? null;
    await insertIndexFile(sql, {
      ...{ suite, path, sha256, size, hashes: JSON.stringify(hashes) },
      parts: parts && spellParts(parts),
      inflated_from: parts ? null : source,
      made_at: new Date(modified).toISOString(),
    });
  }
}

export type FileName = Pick<PublishedFile, 'path' | 'sha256'>;

/** The files of a publication by name and hash, from its JSON. */
export function readFileNames(json: string): FileName[] {
  return JSON.parse(json) as SpelledFile[];
}

/** The objects that hold a file; none where it is not recorded any more. */
export async function findKeys(
  sql: SqlExecutor,
  suite: string,
  { path, sha256 }: FileName,
): Promise<string[]> {
  const row = await findIndexFile(sql, suite, path, sha256);
  const file = row && (await readRow(sql, row));
  return (file?.parts ?? file?.source ?? []).map(({ key }) => key);
}

/** Every object of the storage that these files need. */
export function listKeysOf(files: Iterable<PublishedFile>): Set<string> {
  const keys = new Set<string>();
  for (const { parts, source = [] } of files) {
    for (const { key } of parts ?? source) keys.add(key);
  }
  return keys;
}

/** A part of an object. */
export interface ObjectPiece {
  key: string;
  range: ByteRange;
}

/** The pieces of parts that a range covers; `end` inclusive. */
export function listPieces(parts: readonly FilePart[], { start, end }: ByteRange): ObjectPiece[] {
  let at = 0;
  return parts.flatMap(({ key, size, slice }) => {
    const offset = slice?.offset ?? 0;
    const begin = at;
    at += size;
    const first = Math.max(start - begin, 0);
    const last = Math.min(end - begin, size - 1);
    if (first > last || first >= size) return [];
    return [{ key, range: { start: first + offset, end: last + offset } }];
  });
}

async function* streamParts(
  storage: Storage,
  pieces: readonly { key: string; range: ByteRange }[],
): AsyncGenerator<Buffer> {
  for (const { key, range } of pieces) yield* await storage.read(key, range);
}

/** Bytes of parts one after another; all of them without a range. */
async function openParts(
  storage: Storage,
  parts: readonly FilePart[],
  range: ByteRange | undefined,
): Promise<Readable> {
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const pieces = listPieces(parts, range ?? { start: 0, end: size - 1 });
  const [first] = pieces;
  if (!first) return Readable.from([], { objectMode: false });
  if (pieces.length === 1) return storage.read(first.key, first.range);
  // The first is opened before the answer begins: a file that is gone is refused, not cut.
  const opened = await storage.read(first.key, first.range);
  const rest = streamParts(storage, pieces.slice(1));
  return Readable.from(chain(opened, rest), { objectMode: false });
}

async function* chain(
  first: AsyncIterable<Buffer>,
  rest: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  yield* first;
  yield* rest;
}

/**
 * The bytes of a published file; a range only where it is stored as it is.
 * @throws an error of code ENOENT where its first object is gone.
 */
export async function readPublishedFile(
  storage: Storage,
  file: PublishedFile,
  range?: ByteRange,
): Promise<Readable> {
  if (file.parts) return openParts(storage, file.parts, range);
  const stored = await openParts(storage, file.source ?? [], undefined);
  const plain = createGunzip();
  stored.on('error', (error) => plain.destroy(error));
  plain.on('close', () => stored.destroy());
  return stored.pipe(plain);
}
