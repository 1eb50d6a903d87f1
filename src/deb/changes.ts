/**
 * A .changes file: what one build made, to be taken whole or not at all. Source of truth:
 * deb-changes(5), Policy 5.5, dpkg-genchanges(1). Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { type Paragraph, parseParagraphs } from './deb822.ts';
import { type NamedFile, readNamedFiles, readTextField } from './file-list.ts';
import { isArchitectureName, isPackageName } from './names.ts';
import { quoteText } from './printable.ts';
import { parseVersion } from './version.ts';

export interface Changes {
  /** The version of the source, which a binary-only rebuild has apart from `version`. */
  source: { name: string; version: string };
  version: string;
  /** Of what was built: architectures, `all`, `source`. */
  architectures: string[];
  distributions: string[];
  /** In the order of the field Files. */
  files: NamedFile[];
}

/** Of a file that a .changes names, by its extension: how it is read then is up to what is inside. */
export type ChangedKind = 'dsc' | 'binary' | 'buildinfo' | 'other';

export const MAX_CHANGES_BYTES = 4 * 1024 * 1024;

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', `.changes: ${detail}`);
}

function readRequired(fields: Paragraph, name: string): string {
  const text = readTextField(fields, name)?.trim();
  if (text) return text;
  throw malformed(`it has no field ${name}`);
}

function readSource(fields: Paragraph, version: string): Changes['source'] {
  const text = readRequired(fields, 'Source');
  const match = /^([^ \t\n()]+)(?:[ \t]+\(([^ \t\n()]+)\))?$/.exec(text);
  const name = match?.[1];
  if (name === undefined || !isPackageName(name)) {
    throw malformed(`field Source is not a source package: ${quoteText(text)}`);
  }
  const sourceVersion = match?.[2] ?? version;
  parseVersion(sourceVersion);
  return { name, version: sourceVersion };
}

function readWords(fields: Paragraph, name: string, allowed: (word: string) => boolean): string[] {
  const words = readRequired(fields, name).split(/[ \t\n]+/);
  const odd = words.find((word) => !allowed(word));
  if (odd !== undefined) throw malformed(`field ${name} has ${quoteText(odd)}`);
  return words;
}

export function changedKind({ name }: NamedFile): ChangedKind {
  if (name.endsWith('.dsc')) return 'dsc';
  if (/\.[ud]?deb$/.test(name)) return 'binary';
  return name.endsWith('.buildinfo') ? 'buildinfo' : 'other';
}

/** A source package comes with its .dsc, and a .dsc with the word. */
function checkSource(architectures: readonly string[], files: readonly NamedFile[]): void {
  const named = files.filter((file) => changedKind(file) === 'dsc');
  if (named.length > 1) throw malformed('it names more than one .dsc');
  if (architectures.includes('source') === named.length > 0) return;
  throw malformed(
    named.length > 0
      ? 'it names a .dsc, but field Architecture has no "source"'
      : 'field Architecture has "source", but no .dsc is named',
  );
}

/**
 * The paragraph of a .changes, checked; `content` is without its signature.
 * @throws RefusalError PACKAGE_MALFORMED naming the field and what stands in it
 * @throws RefusalError PACKAGE_UNACCEPTABLE a bad version
 */
export function parseChanges(content: Buffer): Changes {
  if (content.length > MAX_CHANGES_BYTES) throw malformed('it is larger than 4 MiB');
  const [fields, ...more] = parseParagraphs(content);
  if (fields === undefined || more.length > 0) throw malformed('it is not one paragraph');
  const format = readRequired(fields, 'Format');
  if (!/^1\.\d{1,3}$/.test(format)) throw malformed(`Format ${quoteText(format)} is not 1.x`);
  const version = readRequired(fields, 'Version');
  parseVersion(version);
  const files = readNamedFiles(fields, 2);
  const architectures = readWords(
    fields,
    'Architecture',
    (word) => word === 'source' || isArchitectureName(word),
  );
  checkSource(architectures, files);
  return {
    source: readSource(fields, version),
    version,
    architectures,
    distributions: readWords(fields, 'Distribution', (word) => /^[A-Za-z0-9][\w.+/-]*$/.test(word)),
    files,
  };
}
