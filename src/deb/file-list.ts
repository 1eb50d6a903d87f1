/**
 * The files that a .dsc or a .changes names: the fields Files and Checksums-*, which have to agree.
 * SHA-256 is required; the other hashes are taken along where they are there. Source of truth:
 * dsc(5), deb-changes(5), Policy 5.6.21 and 5.6.24. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import type { Paragraph } from './deb822.ts';
import { isUploadFileName } from './names.ts';
import { quoteText } from './printable.ts';

/** Hashes in lower-case hexadecimal, size in bytes. */
export interface NamedFile {
  name: string;
  size: number;
  md5: string;
  sha256: string;
  sha1?: string;
  sha512?: string;
  /** Only in a .changes: `net`, or `contrib/net`. */
  section?: string;
}

/** A hash's field, its length in hexadecimal digits, and what it is called in NamedFile. */
const CHECKSUMS = [
  ['Checksums-Sha1', 40, 'sha1'],
  ['Checksums-Sha256', 64, 'sha256'],
  ['Checksums-Sha512', 128, 'sha512'],
] as const;

const MAX_FILES = 10_000;

interface Line {
  name: string;
  size: number;
  hash: string;
  section?: string;
}

function malformed(field: string, detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `field ${field} ${detail}`);
}

export function readTextField(fields: Paragraph, name: string): string | undefined {
  const folded = name.toLowerCase();
  const value = fields.find((field) => field.name.toLowerCase() === folded)?.value;
  return value?.toString('latin1');
}

/** `columns` are the words between size and name: none, or section and priority. */
function readLine(field: string, line: string, digits: number, columns: number): Line {
  const words = line.trim().split(/[ \t]+/);
  const [hash = '', size = '', section = ''] = words;
  const name = words[2 + columns] ?? '';
  if (words.length !== 3 + columns) throw malformed(field, `does not parse at ${quoteText(line)}`);
  if (!/^[0-9a-f]+$/.test(hash) || hash.length !== digits) {
    throw malformed(field, `has no hash of its kind: ${quoteText(hash)}`);
  }
  if (!/^\d{1,15}$/.test(size)) throw malformed(field, `has a bad size: ${quoteText(size)}`);
  if (!isUploadFileName(name)) throw malformed(field, `has a bad file name: ${quoteText(name)}`);
  return { name, size: Number(size), hash, ...(columns > 0 && { section }) };
}

function readLines(
  fields: Paragraph,
  field: string,
  digits: number,
  columns: number,
): Map<string, Line> | undefined {
  const value = readTextField(fields, field);
  if (value === undefined) return undefined;
  const lines = value.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > MAX_FILES) throw malformed(field, `names more than ${MAX_FILES} files`);
  const found = new Map<string, Line>();
  for (const text of lines) {
    const line = readLine(field, text, digits, columns);
    if (found.has(line.name)) throw malformed(field, `names ${quoteText(line.name)} twice`);
    found.set(line.name, line);
  }
  return found;
}

/** The hash that `lines` have of a file. @throws RefusalError where they do not agree on it. */
function agree(field: string, lines: ReadonlyMap<string, Line>, { name, size }: Line): string {
  const line = lines.get(name);
  if (line === undefined) throw malformed(field, `does not name ${quoteText(name)}, as Files does`);
  if (line.size === size) return line.hash;
  throw malformed(field, `says ${line.size} bytes of ${quoteText(name)}, Files says ${size}`);
}

/**
 * The files in the order of the field Files.
 * @param columns the words between size and name in Files: 0 in a .dsc, 2 in a .changes.
 * @throws RefusalError PACKAGE_MALFORMED naming the field and what stands in it
 */
export function readNamedFiles(fields: Paragraph, columns: 0 | 2): NamedFile[] {
  const files = readLines(fields, 'Files', 32, columns);
  if (files === undefined || files.size === 0) throw malformed('Files', 'is absent or empty');
  const hashes = CHECKSUMS.map(([field, digits, key]) => {
    const lines = readLines(fields, field, digits, 0);
    if (lines === undefined && key === 'sha256') throw malformed(field, 'is absent');
    if (lines !== undefined && lines.size > files.size) {
      const odd = [...lines.keys()].find((name) => !files.has(name)) ?? '';
      throw malformed(field, `names ${quoteText(odd)}, which Files does not`);
    }
    return { field, key, lines };
  });
  return [...files.values()].map((line) => {
    const { name, size, hash, section } = line;
    const file: NamedFile = { name, size, md5: hash, sha256: '' };
    if (section !== undefined) file.section = section;
    for (const { field, key, lines } of hashes) if (lines) file[key] = agree(field, lines, line);
    return file;
  });
}
