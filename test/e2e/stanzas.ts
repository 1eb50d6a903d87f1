/**
 * Two indexes compared field by field: the one that is served and the one that apt-ftparchive
 * writes for the same files. Source: deb822(5).
 */
import { succeed } from './command.ts';

/** Field -> value as written, by `package version architecture`. */
export type Index = Map<string, Map<string, string>>;

export function readIndex(text: string): Index {
  const index: Index = new Map();
  for (const paragraph of text.split(/\n\n+/)) {
    if (!paragraph.trim()) continue;
    const fields = new Map<string, string>();
    for (const field of paragraph.replace(/\n$/, '').split(/\n(?![ \t])/)) {
      const colon = field.indexOf(':');
      const name = field.slice(0, colon);
      if (colon < 1 || fields.has(name)) throw new Error(`no field, or a second one: ${field}`);
      fields.set(name, field.slice(colon + 1).replace(/^[ \t]+/, ''));
    }
    const key = ['Package', 'Version', 'Architecture'].map((name) => fields.get(name)).join(' ');
    if (index.has(key)) throw new Error(`${key} is listed twice`);
    index.set(key, fields);
  }
  return index;
}

/**
 * apt-ftparchive's index of `folder`, whose Filename fields are relative to `directory`.
 * @param encoding latin1 where not every stanza is UTF-8.
 */
export async function indexPool(
  directory: string,
  folder: string,
  encoding: BufferEncoding = 'utf8',
): Promise<Index> {
  // Only the hash that an index of ours holds; the others are not part of the comparison.
  const hashes = ['MD5', 'SHA1', 'SHA512'].flatMap((name) => [
    '-o',
    `APT::FTPArchive::${name}=false`,
  ]);
  const args = [...hashes, 'packages', folder];
  return readIndex(await succeed('apt-ftparchive', args, { cwd: directory, encoding }));
}

/** Every difference, one line each: what is listed in one only, or a field that is not the same. */
export function compareIndexes(ours: Index, theirs: Index): string[] {
  const keys = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  return keys.flatMap((key) => {
    const left = ours.get(key);
    const right = theirs.get(key);
    if (!left || !right) return [`${key}: only in ${left ? 'ours' : 'theirs'}`];
    return [...new Set([...left.keys(), ...right.keys()])]
      .filter((field) => left.get(field) !== right.get(field))
      .map((field) => `${key}: ${field}: '${left.get(field)}' is not '${right.get(field)}'`);
  });
}
