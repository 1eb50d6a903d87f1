/**
 * A source package: the paragraph of its .dsc, the files it names, and the stanza of the Sources
 * index made from both. Source of truth: dsc(5), dpkg-source(1) for the names that belong to a
 * format, apt-ftparchive(1) for the stanza. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { MAX_STANZA_BYTES } from './control.ts';
import { type Paragraph, parseParagraphs } from './deb822.ts';
import { type NamedFile, readNamedFiles, readTextField } from './file-list.ts';
import { isPackageName, MAX_FILE_NAME_BYTES } from './names.ts';
import { quoteText } from './printable.ts';
import { parseVersion } from './version.ts';

export interface SourceControl {
  name: string;
  version: string;
  /** Without the .dsc itself, in the order of the field Files. */
  files: NamedFile[];
  /** Of its first binary package, as in `contrib/net`; undefined where the .dsc does not say. */
  section?: string;
  fields: Paragraph;
}

/** The .dsc itself: hashes in lower-case hexadecimal, size in bytes. */
export interface DscFacts {
  /** Its file name; `directory` is where it stands, from the root of the repository. */
  filename: string;
  directory: string;
  size: number;
  md5: string;
  sha1: string;
  sha256: string;
  sha512: string;
}

export const MAX_DSC_BYTES = MAX_STANZA_BYTES;

/** What the index says, whatever the .dsc says. */
const INDEX_FIELDS = new Set(
  'package source files checksums-sha1 checksums-sha256 checksums-sha512 directory status'.split(
    ' ',
  ),
);

const TAR = '\\.tar\\.(?:gz|bz2|lzma|xz)';
const escapePattern = (text: string): string => text.replace(/[.+]/g, '\\$&');

interface Layout {
  /** Each stands there exactly once. */
  required: readonly RegExp[];
  allowed: readonly RegExp[];
}

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `.dsc: ${detail}`);
}

function unacceptable(detail: string): RefusalError {
  return new RefusalError('PACKAGE_UNACCEPTABLE', `.dsc: ${detail}`);
}

/** The file name of a .dsc without its extension: dpkg leaves the epoch out. */
export function dscStem(name: string, version: string): string {
  return `${name}_${version.slice(version.indexOf(':') + 1)}`;
}

/** Which files make a source package of a format; undefined for a format that is not known. */
function layoutsOf(format: string, name: string, version: string): Layout[] | undefined {
  const { upstream } = parseVersion(version);
  const base = escapePattern(`${name}_${upstream}`);
  const whole = escapePattern(dscStem(name, version));
  const named = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
  const origins = [named(`${base}\\.orig(?:-[A-Za-z0-9-]+)?${TAR}(?:\\.asc)?`)];
  const native: Layout = {
    required: [named(`${whole}${format === '1.0' ? '\\.tar\\.gz' : TAR}`)],
    allowed: [named(`${whole}${TAR}\\.asc`)],
  };
  const patched: Layout = {
    required: [named(`${base}\\.orig\\.tar\\.gz`), named(`${whole}\\.diff\\.gz`)],
    allowed: [named(`${base}\\.orig\\.tar\\.gz\\.asc`)],
  };
  const quilt: Layout = {
    required: [named(`${base}\\.orig${TAR}`), named(`${whole}\\.debian${TAR}`)],
    allowed: origins,
  };
  const known: Record<string, Layout[]> = {
    '1.0': [native, patched],
    '2.0': [quilt],
    '3.0 (native)': [native],
    '3.0 (quilt)': [quilt],
  };
  return Object.hasOwn(known, format) ? known[format] : undefined;
}

function fits({ required, allowed }: Layout, names: readonly string[]): boolean {
  return (
    required.every((pattern) => names.filter((name) => pattern.test(name)).length === 1) &&
    names.every((name) => [...required, ...allowed].some((pattern) => pattern.test(name)))
  );
}

function checkFiles(format: string, name: string, version: string, files: NamedFile[]): void {
  const layouts = layoutsOf(format, name, version);
  if (layouts === undefined) {
    throw unacceptable(
      `Format ${quoteText(format)} is not taken; 1.0, 2.0, 3.0 (native) and 3.0 (quilt) are`,
    );
  }
  const names = files.map((file) => file.name);
  if (layouts.some((layout) => fits(layout, names))) return;
  throw unacceptable(
    `a source package ${name} ${version} of format ${format} is not made of ${quoteText(names.join(', '))}`,
  );
}

function readRequired(fields: Paragraph, name: string): string {
  const text = readTextField(fields, name)?.trim();
  if (text) return text;
  throw malformed(`it has no field ${name}`);
}

/** Package-List: `name type section priority …`, a line for each binary package. */
function readSection(fields: Paragraph): string | undefined {
  const first = readTextField(fields, 'Package-List')?.trim().split('\n', 1)[0] ?? '';
  return first.trim().split(/[ \t]+/)[2];
}

/**
 * The paragraph of a .dsc, checked; `content` is without its signature.
 * @throws RefusalError PACKAGE_MALFORMED it does not parse, or its lists do not agree
 * @throws RefusalError PACKAGE_UNACCEPTABLE naming the field and what stands in it
 */
export function parseDsc(content: Buffer): SourceControl {
  if (content.length > MAX_DSC_BYTES) throw malformed('it is larger than 1 MiB');
  const [fields, ...more] = parseParagraphs(content);
  if (fields === undefined || more.length > 0) throw malformed('it is not one paragraph');
  const format = readRequired(fields, 'Format');
  const name = readRequired(fields, 'Source');
  if (!isPackageName(name) || name.length > MAX_FILE_NAME_BYTES) {
    throw unacceptable(`field Source is not a source package: ${quoteText(name)}`);
  }
  const version = readRequired(fields, 'Version');
  parseVersion(version);
  if (`${dscStem(name, version)}.dsc`.length > MAX_FILE_NAME_BYTES) {
    throw unacceptable(`name and version are too long for a file name: ${quoteText(name)}`);
  }
  const files = readNamedFiles(fields, 0);
  checkFiles(format, name, version, files);
  const section = readSection(fields);
  return { name, version, files, ...(section !== undefined && { section }), fields };
}

/** The .dsc first, then what it names; '' where not every file has the hash. */
function renderHashes(
  field: string,
  own: { hash: string; facts: DscFacts },
  files: readonly NamedFile[],
  hashOf: (file: NamedFile) => string | undefined,
): string {
  if (files.some((file) => hashOf(file) === undefined)) return '';
  const { hash, facts } = own;
  const lines = files.map((file) => ` ${hashOf(file)} ${file.size} ${file.name}\n`);
  return `${field}:\n ${hash} ${facts.size} ${facts.filename}\n${lines.join('')}`;
}

/**
 * The stanza of a source package in a Sources index, ending in one newline and no blank line:
 * Package in place of Source, the .dsc among its files, the directory; all else as it stands.
 * @throws RefusalError PACKAGE_UNACCEPTABLE over 1 MiB
 */
export function renderSourceStanza(control: SourceControl, facts: DscFacts): Buffer {
  const { files } = control;
  const carried = control.fields
    .filter(({ name }) => !INDEX_FIELDS.has(name.toLowerCase()))
    .flatMap(({ name, value }) => [Buffer.from(`${name}:`), value, Buffer.from('\n')]);
  const own = (hash: string): { hash: string; facts: DscFacts } => ({ hash, facts });
  const hashes = [
    renderHashes('Files', own(facts.md5), files, (file) => file.md5),
    renderHashes('Checksums-Sha1', own(facts.sha1), files, (file) => file.sha1),
    renderHashes('Checksums-Sha256', own(facts.sha256), files, (file) => file.sha256),
    renderHashes('Checksums-Sha512', own(facts.sha512), files, (file) => file.sha512),
  ].join('');
  const stanza = Buffer.concat([
    Buffer.from(`Package: ${control.name}\n`),
    ...carried,
    Buffer.from(`${hashes}Directory: ${facts.directory}\n`),
  ]);
  if (stanza.length + 1 <= MAX_STANZA_BYTES) return stanza;
  throw unacceptable(`its index entry would be ${stanza.length} bytes; apt reads up to 1 MiB`);
}
