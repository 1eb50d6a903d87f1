/**
 * The control paragraph of a binary package, and the stanza of the Packages index made from it.
 * What dpkg installs and apt can index is accepted; every field is carried unchanged. Source of
 * truth: deb-control(5), Policy 5.3, DebianRepository/Format, apt-ftparchive(1). Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { type Field, type Paragraph, parseParagraphs } from './deb822.ts';
import { isArchitectureName, isPackageName, MAX_FILE_NAME_BYTES } from './names.ts';
import { quoteText } from './printable.ts';
import { checkRelations, RELATION_FIELDS } from './relations.ts';
import { parseVersion } from './version.ts';

export interface Control {
  name: string;
  version: string;
  architecture: string;
  /** The package's own name and version where Source says nothing else. */
  source: { name: string; version: string };
  section?: string;
  multiArch?: string;
  /** Every field of the paragraph, in its order. */
  fields: Paragraph;
}

/** What the index says of the file itself; hashes in lower-case hexadecimal, size in bytes. */
export interface FileFacts {
  filename: string;
  size: number;
  sha256: string;
  md5?: string;
  sha1?: string;
  sha512?: string;
}

/** apt loses everything behind a larger stanza. */
export const MAX_STANZA_BYTES = 1024 * 1024;

/** Fields of which apt warns on every run when it does not know the word, and dpkg refuses. */
const WORDS: ReadonlyMap<string, RegExp> = new Map([
  ['multi-arch', /^(no|same|foreign|allowed)?$/],
  ['essential', /^(yes|no)?$/i],
  ['protected', /^(yes|no)?$/i],
  ['important', /^(yes|no)?$/i],
  // One of any other length makes apt drop the whole index.
  ['description-md5', /^([0-9a-f]{32})?$/i],
]);

/** dpkg would add these to the version, and so install another one than the index names. */
const REVISION_FIELDS = ['revision', 'package-revision', 'package_revision'];

/** Never passed on from inside a package: the index speaks here, or dpkg's own status file. */
const INDEX_FIELDS = new Set(
  'filename size md5sum sha1 sha256 sha512 checksum-filesize status optional phased-update-percentage'.split(
    ' ',
  ),
);

function unacceptable(detail: string): RefusalError {
  return new RefusalError('PACKAGE_UNACCEPTABLE', detail);
}

const isEdge = (character: string | undefined): boolean =>
  character === ' ' || character === '\t' || character === '\n';

function trim(text: string): string {
  if (!isEdge(text.at(0)) && !isEdge(text.at(-1))) return text;
  if (text[0] === ' ' && !isEdge(text[1]) && !isEdge(text.at(-1))) return text.slice(1);
  return text.replace(/^[ \t\n]+/, '').replace(/(?<![ \t\n])[ \t\n]+$/, '');
}

/** By their names in lower case. */
type FoldedFields = ReadonlyMap<string, Field>;

/** Text of a field without the blanks around it, or undefined where it is absent or empty. */
function readField(fields: FoldedFields, name: string): string | undefined {
  const field = fields.get(name.toLowerCase());
  return (field && trim(field.value.toString('utf8'))) || undefined;
}

function readRequired(fields: FoldedFields, name: string): string {
  const text = readField(fields, name);
  if (text === undefined) throw unacceptable(`the control file has no field ${name}`);
  return text;
}

function checkVersion(field: string, text: string): void {
  try {
    parseVersion(text);
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    throw unacceptable(`field ${field}: ${error.message}`);
  }
}

/** `name` or `name (version)`. */
function parseSource(
  text: string | undefined,
  own: { name: string; version: string },
): { name: string; version: string } {
  if (text === undefined) return own;
  const match = /^([^ \t\n()]+)(?:[ \t\n]*\([ \t\n]*([^ \t\n()]+)[ \t\n]*\))?$/.exec(text);
  const name = match?.[1];
  if (name === undefined || !isPackageName(name) || name.length > MAX_FILE_NAME_BYTES) {
    throw unacceptable(`field Source is not a source package: ${quoteText(text)}`);
  }
  const version = match?.[2] ?? own.version;
  checkVersion('Source', version);
  return { name, version };
}

function checkFields(fields: FoldedFields): void {
  for (const [folded, { name, value }] of fields) {
    if (REVISION_FIELDS.includes(folded)) {
      throw unacceptable(`field ${name} is obsolete and would change the version dpkg sees`);
    }
    const allowed = WORDS.get(folded);
    if (allowed !== undefined && !allowed.test(trim(value.toString('latin1')))) {
      throw unacceptable(`field ${name} has a value apt does not know: ${quoteText(value)}`);
    }
    if (RELATION_FIELDS.has(folded)) checkRelations(name, value.toString('latin1'));
  }
}

/**
 * The paragraph of a control file, checked.
 * @throws RefusalError PACKAGE_MALFORMED it does not parse, or is not exactly one paragraph
 * @throws RefusalError PACKAGE_UNACCEPTABLE naming the field and what stands in it
 */
export function parseControl(bytes: Buffer): Control {
  const [fields, ...more] = parseParagraphs(bytes);
  if (fields === undefined)
    throw new RefusalError('PACKAGE_MALFORMED', 'the control file is empty');
  if (more.length > 0) {
    throw new RefusalError('PACKAGE_MALFORMED', 'the control file has more than one paragraph');
  }
  const folded = new Map(fields.map((field) => [field.name.toLowerCase(), field]));
  const name = readRequired(folded, 'Package');
  if (!isPackageName(name)) {
    throw unacceptable(
      `field Package is ${quoteText(name)}; a name has lower-case letters, digits and + - . _, first a letter or digit`,
    );
  }
  const version = readRequired(folded, 'Version');
  checkVersion('Version', version);
  const architecture = readRequired(folded, 'Architecture');
  if (!isArchitectureName(architecture)) {
    throw unacceptable(`field Architecture is not one architecture: ${quoteText(architecture)}`);
  }
  // Colons of the version take three characters in a file name; the longest suffix is .ddeb.
  const fileName = `${name}_${version.replaceAll(':', '%3a')}_${architecture}.ddeb`;
  if (fileName.length > MAX_FILE_NAME_BYTES) {
    throw unacceptable(`name and version are too long for a file name: ${quoteText(fileName)}`);
  }
  checkFields(folded);
  const source = parseSource(readField(folded, 'Source'), { name, version });
  const section = readField(folded, 'Section');
  const multiArch = readField(folded, 'Multi-Arch');
  return {
    name,
    version,
    architecture,
    source,
    ...(section !== undefined && { section }),
    ...(multiArch !== undefined && { multiArch }),
    fields,
  };
}

/**
 * The stanza of one file in a Packages index, ending in one newline and no blank line. Fields
 * stand in the order of the control file, then Filename, Size and the hashes as apt-ftparchive
 * has them.
 * @throws RefusalError PACKAGE_UNACCEPTABLE over 1 MiB
 */
export function renderStanza(control: Control, facts: FileFacts): Buffer {
  const carried = control.fields.filter(({ name }) => !INDEX_FIELDS.has(name.toLowerCase()));
  const own = [
    `Filename: ${facts.filename}\n`,
    `Size: ${facts.size}\n`,
    facts.md5 === undefined ? '' : `MD5sum: ${facts.md5}\n`,
    facts.sha1 === undefined ? '' : `SHA1: ${facts.sha1}\n`,
    `SHA256: ${facts.sha256}\n`,
    facts.sha512 === undefined ? '' : `SHA512: ${facts.sha512}\n`,
  ];
  const last = own.join('');
  const size = carried.reduce((sum, { name, value }) => sum + name.length + value.length + 2, 0);
  const stanza = Buffer.allocUnsafe(size + Buffer.byteLength(last));
  let at = 0;
  for (const { name, value } of carried) {
    // A name is ASCII: deb822 says so.
    at += stanza.write(`${name}:`, at, 'latin1');
    stanza.set(value, at);
    at += value.length;
    stanza[at] = 0x0a;
    at += 1;
  }
  stanza.write(last, at);
  // One byte for the blank line that will follow it.
  if (stanza.length + 1 > MAX_STANZA_BYTES) {
    throw unacceptable(`its index entry would be ${stanza.length} bytes; apt reads up to 1 MiB`);
  }
  return stanza;
}
