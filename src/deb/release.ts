/**
 * The Release file, which is what gets signed. Source of truth: DebianRepository/Format, section
 * "Release" files; field order as in Debian's own. Never Signed-By: apt 3.3 warns of it. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';

/** `path` is relative to the suite; hashes in lower-case hexadecimal; `size` in bytes. */
export interface ReleaseFile {
  path: string;
  size: number;
  sha256: string;
  /** Those besides SHA256, by their names in a stanza. */
  hashes?: Partial<Record<ReleaseHash, string>> | undefined;
}

/** What may stand beside SHA256. */
export type ReleaseHash = 'MD5sum' | 'SHA512';

export interface Release {
  origin: string;
  label: string;
  suite: string;
  codename: string;
  version?: string | undefined;
  description?: string | undefined;
  date: Date;
  validUntil?: Date | undefined;
  /** Installed only where asked for: apt pins the suite at 1. */
  notAutomatic?: boolean | undefined;
  /** With notAutomatic: upgrades what was installed from it; apt pins the suite at 100. */
  butAutomaticUpgrades?: boolean | undefined;
  /** Where apt finds changelogs: a URL with `@CHANGEPATH@`. */
  changelogs?: string | undefined;
  /** Where apt finds the suite as it was: a URL with `@SNAPSHOTID@`. */
  snapshots?: string | undefined;
  architectures: readonly string[];
  components: readonly string[];
  /** Every file is listed with these as well; apt asks for by-hash files by the strongest. */
  hashes?: readonly ReleaseHash[] | undefined;
  /** Uncompressed and compressed indexes alike; apt fetches nothing that is not listed plain. */
  files: readonly ReleaseFile[];
}

function invalid(detail: string): RefusalError {
  return new RefusalError('INPUT_INVALID', detail);
}

function renderField(name: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a control character forges a field
  if (/[\x00-\x1f\x7f]/.test(value)) {
    throw invalid(`${name} of a Release file is one line, not ${quoteText(value)}`);
  }
  if (value.trim() === '') throw invalid(`${name} of a Release file may not be empty`);
  return `${name}: ${value}\n`;
}

/** RFC 1123, in UTC, to the second: what apt parses. */
function renderDate(name: string, date: Date): string {
  if (Number.isNaN(date.getTime())) throw invalid(`${name} of a Release file is not a date`);
  return renderField(name, date.toUTCString().replace(/GMT$/, 'UTC'));
}

/** In the order of Debian's own; the name of a section and the length of its hashes. */
const SECTIONS = {
  MD5sum: ['MD5Sum', 32],
  SHA256: ['SHA256', 64],
  SHA512: ['SHA512', 128],
} as const;

type HashName = keyof typeof SECTIONS;

function renderFile(file: ReleaseFile, name: HashName): string {
  if (!/^[\x21-\x7e]+$/.test(file.path)) {
    throw invalid(`${quoteText(file.path)} cannot be listed in a Release file`);
  }
  const hash = (name === 'SHA256' ? file.sha256 : file.hashes?.[name]) ?? '';
  const isHash = hash.length === SECTIONS[name][1] && /^[0-9a-f]*$/.test(hash);
  if (!isHash || !Number.isSafeInteger(file.size) || file.size < 0) {
    throw invalid(`size or ${name} of ${file.path} is not one`);
  }
  return ` ${hash} ${file.size} ${file.path}\n`;
}

function renderFiles({ files, hashes = [] }: Release): string {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const twice = sorted.find((file, i) => file.path === sorted[i - 1]?.path);
  if (twice !== undefined) throw invalid(`${quoteText(twice.path)} is listed twice`);
  const names = Object.keys(SECTIONS) as HashName[];
  return names
    .filter((name) => name === 'SHA256' || hashes.includes(name))
    .map((name) => `${SECTIONS[name][0]}:\n${sorted.map((one) => renderFile(one, name)).join('')}`)
    .join('');
}

/**
 * The whole file, newline at the end.
 * @throws RefusalError INPUT_INVALID a value that is empty or not one line, a path listed twice
 */
export function renderRelease(release: Release): string {
  const optional = (name: string, value: string | undefined): string =>
    value === undefined || value === '' ? '' : renderField(name, value);
  return [
    renderField('Origin', release.origin),
    renderField('Label', release.label),
    renderField('Suite', release.suite),
    optional('Version', release.version),
    renderField('Codename', release.codename),
    renderDate('Date', release.date),
    release.validUntil === undefined ? '' : renderDate('Valid-Until', release.validUntil),
    release.notAutomatic ? 'NotAutomatic: yes\n' : '',
    release.butAutomaticUpgrades ? 'ButAutomaticUpgrades: yes\n' : '',
    'Acquire-By-Hash: yes\n',
    optional('Changelogs', release.changelogs),
    optional('Snapshots', release.snapshots),
    renderField('Architectures', release.architectures.join(' ')),
    renderField('Components', release.components.join(' ')),
    optional('Description', release.description),
    renderFiles(release),
  ].join('');
}

/** The same Release, valid until another time. */
export function renewRelease(release: string, validUntil: Date): string {
  const field = renderDate('Valid-Until', validUntil);
  return release.replace(/^Valid-Until: .*\n/m, '').replace(/^Date: .*\n/m, (date) => date + field);
}

/** What a Release lists under SHA256: path -> hash. */
export function readReleaseHashes(release: string): Map<string, string> {
  const section = /^SHA256:\n((?: .*\n)*)/m.exec(release)?.[1] ?? '';
  return new Map(
    [...section.matchAll(/^ ([0-9a-f]{64}) +\d+ (\S+)$/gm)].map((match) => [
      match[2] ?? '',
      match[1] ?? '',
    ]),
  );
}
