/**
 * The indexes of another repository: which files it has, and what vouches for their bytes.
 * Everything else is read from the packages themselves. Source of truth: DebianRepository/Format,
 * sections "Packages Indices" and "Sources Indices". Floor 1.
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

function* splitStanzas(index: Buffer): Generator<string> {
  for (let start = 0; start < index.length; ) {
    const found = index.indexOf('\n\n', start, 'latin1');
    const end = found < 0 ? index.length : found;
    const stanza = index.toString('utf8', start, end).trim();
    if (stanza !== '') yield `\n${stanza}\n`;
    start = end + 2;
  }
}

/**
 * The files of a Packages index in its order.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export function readPackagesIndex(index: Buffer): IndexedFile[] {
  return [...splitStanzas(index)].map(readStanza);
}

/** A source package: its .dsc, and the files that this names. */
export interface IndexedSource {
  dsc: IndexedFile;
  members: IndexedFile[];
}

function readSourceStanza(stanza: string): IndexedSource {
  const name = readField(stanza, 'Package') ?? '';
  const directory = readField(stanza, 'Directory') ?? '';
  const prefix = ['', '.'].includes(directory) ? '' : `${directory}/`;
  const lines = /\nChecksums-Sha256:[^\n]*\n((?: [^\n]*\n)*)/.exec(stanza)?.[1] ?? '';
  const files = lines
    .split('\n')
    .filter(Boolean)
    .map((line): IndexedFile => {
      const [sha256 = '', size = '', file = ''] = line.trim().split(/\s+/);
      if (!/^[0-9a-f]{64}$/i.test(sha256) || !/^\d{1,15}$/.test(size)) {
        const why = `Sources: Checksums-Sha256 of ${quoteText(name)} has a line that is none`;
        throw new RefusalError('SOURCE_UNACCEPTABLE', why);
      }
      const path = checkPath(`${prefix}${file}`);
      return { path, size: Number(size), sha256: sha256.toLowerCase() };
    });
  const [dsc, ...others] = files.filter(({ path }) => path.endsWith('.dsc'));
  if (dsc && others.length === 0) return { dsc, members: files.filter((file) => file !== dsc) };
  const why = `Sources: the stanza of ${quoteText(name)} names no .dsc with a SHA256, or several`;
  throw new RefusalError('SOURCE_UNACCEPTABLE', why);
}

/**
 * The packages of a Sources index in its order.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export function readSourcesIndex(index: Buffer): IndexedSource[] {
  return [...splitStanzas(index)].map(readSourceStanza);
}
