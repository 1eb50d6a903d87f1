/**
 * The Release file of another repository, read as apt reads it. Source of truth:
 * DebianRepository/Format, section "Release" files. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { type Paragraph, parseParagraphs } from './deb822.ts';

export interface ReleaseText {
  origin: string;
  label: string;
  suite: string;
  codename: string;
  description: string;
  version: string;
  /** Undefined where it has none, or one that is not read. */
  date: Date | undefined;
  notAutomatic: boolean;
  butAutomaticUpgrades: boolean;
  /** As they stand there, `all` and `source` among them. */
  architectures: string[];
  components: string[];
  /** Path -> size in bytes, SHA-256 in lower-case hexadecimal. */
  files: Map<string, { size: number; sha256: string }>;
}

function readText(fields: Paragraph, name: string): string {
  const folded = name.toLowerCase();
  const field = fields.find((one) => one.name.toLowerCase() === folded);
  return field?.value.toString('utf8').trim() ?? '';
}

const readWords = (fields: Paragraph, name: string): string[] =>
  readText(fields, name).split(/\s+/).filter(Boolean);

function readFiles(fields: Paragraph): ReleaseText['files'] {
  const files: ReleaseText['files'] = new Map();
  for (const line of readText(fields, 'SHA256').split('\n')) {
    const [sha256 = '', size = '', path = '', ...rest] = line.trim().split(/\s+/);
    if (sha256 === '') continue;
    if (!/^[0-9a-f]{64}$/i.test(sha256) || !/^\d{1,15}$/.test(size) || !path || rest.length > 0) {
      throw new RefusalError('SOURCE_UNACCEPTABLE', 'Release: SHA256 has a line that is none');
    }
    files.set(path, { size: Number(size), sha256: sha256.toLowerCase() });
  }
  return files;
}

function readDate(text: string): Date | undefined {
  const date = new Date(text);
  return text === '' || Number.isNaN(date.getTime()) ? undefined : date;
}

/** @throws RefusalError SOURCE_UNACCEPTABLE */
export function readRelease(bytes: Uint8Array): ReleaseText {
  let fields: Paragraph;
  try {
    fields = parseParagraphs(bytes)[0] ?? [];
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    const why = error.message.replace('the control file', 'the file');
    throw new RefusalError('SOURCE_UNACCEPTABLE', `Release: ${why}`);
  }
  const suite = readText(fields, 'Suite');
  const codename = readText(fields, 'Codename');
  return {
    origin: readText(fields, 'Origin'),
    label: readText(fields, 'Label'),
    suite: suite || codename,
    codename: codename || suite,
    description: readText(fields, 'Description'),
    version: readText(fields, 'Version'),
    date: readDate(readText(fields, 'Date')),
    notAutomatic: readText(fields, 'NotAutomatic') === 'yes',
    butAutomaticUpgrades: readText(fields, 'ButAutomaticUpgrades') === 'yes',
    architectures: readWords(fields, 'Architectures'),
    components: readWords(fields, 'Components'),
    files: readFiles(fields),
  };
}
