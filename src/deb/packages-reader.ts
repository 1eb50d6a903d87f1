/**
 * The Packages index of another repository: which files it has, and what vouches for their bytes.
 * Everything else is read from the packages themselves. Source of truth: DebianRepository/Format,
 * section "Packages Indices". Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';

/** `path` is relative to the repository; `sha256` undefined where the index has none. */
export interface IndexedFile {
  path: string;
  size: number;
  sha256: string | undefined;
}

/** The text of a one-line field of a stanza that begins with a newline. */
function readField(stanza: string, name: string): string | undefined {
  const at = stanza.indexOf(`\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 2;
  const end = stanza.indexOf('\n', start);
  return stanza.slice(start, end < 0 ? undefined : end).trim();
}

/** Segments that lead upwards, or begin at the root, name no file of a repository. */
function checkPath(path: string): string {
  const segments = path.replace(/^\.\//, '').split('/');
  const isInside = segments.every((one) => one !== '' && one !== '.' && one !== '..');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (isInside && !/[\x00-\x1f\x7f\\]/.test(path)) return segments.join('/');
  throw new RefusalError('SOURCE_UNACCEPTABLE', `Filename ${quoteText(path)} leads elsewhere`);
}

function readStanza(stanza: string): IndexedFile {
  const path = readField(stanza, 'Filename');
  const size = readField(stanza, 'Size') ?? '';
  const sha256 = readField(stanza, 'SHA256')?.toLowerCase();
  if (path === undefined || !/^\d{1,15}$/.test(size)) {
    const name = readField(stanza, 'Package') ?? '';
    const why = `Packages: the stanza of ${quoteText(name)} has no Filename or no Size`;
    throw new RefusalError('SOURCE_UNACCEPTABLE', why);
  }
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new RefusalError('SOURCE_UNACCEPTABLE', `Packages: SHA256 of ${quoteText(path)} is none`);
  }
  return { path: checkPath(path), size: Number(size), sha256 };
}

/**
 * The files in the order of the index.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export function readPackagesIndex(index: Buffer): IndexedFile[] {
  const files: IndexedFile[] = [];
  for (let start = 0; start < index.length; ) {
    const found = index.indexOf('\n\n', start, 'latin1');
    const end = found < 0 ? index.length : found;
    const stanza = index.toString('utf8', start, end).trim();
    if (stanza !== '') files.push(readStanza(`\n${stanza}`));
    start = end + 2;
  }
  return files;
}

/** How many stanzas an index has. */
export function countStanzas(index: Buffer): number {
  let count = 0;
  for (let start = 0; start < index.length; ) {
    const found = index.indexOf('\n\n', start, 'latin1');
    const end = found < 0 ? index.length : found;
    if (index.toString('latin1', start, end).trim() !== '') count += 1;
    start = end + 2;
  }
  return count;
}
