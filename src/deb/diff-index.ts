/**
 * `Packages.diff/Index`: which patch leads from an older index to this one. Merged form: one patch
 * leads all the way, and X-Patch-Precedence says so, without which apt applies them one after the
 * other. Source of truth: DebianRepository/Format, section "Indices: diffs"; apt's
 * pkgAcqDiffIndex::ParseDiffIndex. Floor 1.
 */
import { parseParagraphs } from './deb822.ts';

/** `sha256` in lower-case hexadecimal, `size` in bytes. */
export interface Fingerprint {
  sha256: string;
  size: number;
}

export interface Patch {
  /** Its name beside Index, without the .gz of the file that is fetched. */
  name: string;
  /** The index that it is made for. */
  from: Fingerprint;
  /** The script. */
  script: Fingerprint;
  /** The script as gzip. */
  download: Fingerprint;
}

export interface DiffIndex {
  current: Fingerprint;
  /** The oldest first; each leads to `current`. */
  patches: readonly Patch[];
}

const PRECEDENCE = 'merged';

const renderMark = ({ sha256, size }: Fingerprint): string => `${sha256} ${size}`;

/** The whole file, newline at the end. */
export function renderDiffIndex({ current, patches }: DiffIndex): Buffer {
  const list = (field: string, line: (patch: Patch) => string): string =>
    `SHA256-${field}:\n${patches.map((patch) => ` ${line(patch)}\n`).join('')}`;
  return Buffer.from(
    [
      `SHA256-Current: ${renderMark(current)}\n`,
      list('History', ({ from, name }) => `${renderMark(from)} ${name}`),
      list('Patches', ({ script, name }) => `${renderMark(script)} ${name}`),
      list('Download', ({ download, name }) => `${renderMark(download)} ${name}.gz`),
      `X-Patch-Precedence: ${PRECEDENCE}\n`,
    ].join(''),
  );
}

function readMark(words: readonly string[]): Fingerprint {
  const [sha256 = '', size = ''] = words;
  if (!/^[0-9a-f]{64}$/.test(sha256) || !/^\d{1,15}$/.test(size)) {
    throw new Error(`no hash and size: ${JSON.stringify(words.join(' ').slice(0, 100))}`);
  }
  return { sha256, size: Number(size) };
}

/** What `renderDiffIndex` wrote. @throws Error anything else */
export function readDiffIndex(bytes: Uint8Array): DiffIndex {
  const fields = new Map(
    (parseParagraphs(bytes)[0] ?? []).map((field) => [field.name, field.value.toString('latin1')]),
  );
  const read = (field: string): string[][] =>
    (fields.get(field) ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .map((line) => line.split(' '));
  const scripts = read('SHA256-Patches');
  const downloads = read('SHA256-Download');
  const patches = read('SHA256-History').map((words, i): Patch => {
    const name = words[2] ?? '';
    const [script = [], download = []] = [scripts[i], downloads[i]];
    if (name === '' || script[2] !== name || download[2] !== `${name}.gz`) {
      throw new Error(`patch ${JSON.stringify(name.slice(0, 80))} is not described whole`);
    }
    return { name, from: readMark(words), script: readMark(script), download: readMark(download) };
  });
  return { current: readMark(read('SHA256-Current')[0] ?? []), patches };
}
