/**
 * A stanza of Packages as a suite asks for it: with more hashes, or with its long description in a
 * Translation file. Source of truth: DebianRepository/Format, sections Packages Indices and
 * Translation Indices; apt-ftparchive(1), LongDescription. Floor 1.
 */
import { createHash } from 'node:crypto';
import { type Paragraph, parseParagraphs } from './deb822.ts';

/** By their names in a stanza; lower-case hexadecimal. */
export interface StanzaHashes {
  MD5sum?: string | undefined;
  SHA512?: string | undefined;
}

const NEWLINE = Buffer.from('\n');
const WHITESPACE = [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20];

function render(fields: Paragraph): Buffer {
  const parts = fields.flatMap(({ name, value }) => [Buffer.from(`${name}:`), value, NEWLINE]);
  return Buffer.concat(parts);
}

const field = (name: string, value: string): Paragraph[number] => ({
  name,
  value: Buffer.from(` ${value}`, 'latin1'),
});

const isNamed = (name: string, folded: string): boolean => name.toLowerCase() === folded;

/**
 * A stanza with hashes besides its SHA256, in the order of apt-ftparchive.
 * @param stanza as `renderStanza` makes it.
 */
export function addHashes(stanza: Uint8Array, hashes: StanzaHashes): Buffer {
  const { MD5sum, SHA512 } = hashes;
  const fields = parseParagraphs(stanza)[0] ?? [];
  return render(
    fields.flatMap((one) => {
      if (!isNamed(one.name, 'sha256')) return [one];
      const before = MD5sum === undefined ? [] : [field('MD5sum', MD5sum)];
      const behind = SHA512 === undefined ? [] : [field('SHA512', SHA512)];
      return [...before, one, ...behind];
    }),
  );
}

/** Without the white space around it, as apt reads the value of a field. */
function trimBytes(value: Buffer): Buffer {
  let start = 0;
  let end = value.length;
  while (start < end && WHITESPACE.includes(value[start] ?? 0)) start += 1;
  while (end > start && WHITESPACE.includes(value[end - 1] ?? 0)) end -= 1;
  return value.subarray(start, end);
}

/**
 * The stanza with the first line of its description and Description-md5, by which apt finds the
 * rest; and the paragraph of Translation-en that holds all of it. A stanza without a description
 * stays as it is, and has no paragraph there.
 */
export function splitDescription(stanza: Uint8Array): {
  stanza: Uint8Array;
  translation: Buffer | undefined;
} {
  const fields = parseParagraphs(stanza)[0] ?? [];
  const name = fields.find((one) => isNamed(one.name, 'package'))?.value;
  const full = fields.find((one) => isNamed(one.name, 'description'))?.value;
  const description = full && trimBytes(full);
  if (!name || !description || description.length === 0) return { stanza, translation: undefined };
  const md5 = createHash('md5').update(description).update(NEWLINE).digest('hex');
  const cut = description.indexOf(NEWLINE);
  const first = trimBytes(cut < 0 ? description : description.subarray(0, cut));
  const short = Buffer.concat([Buffer.from(' '), first]);
  const shortened = fields
    .filter((one) => !isNamed(one.name, 'description-md5'))
    .flatMap((one) =>
      one.value === full
        ? [{ name: one.name, value: short }, field('Description-md5', md5)]
        : [one],
    );
  const translation = render([
    { name: 'Package', value: name },
    field('Description-md5', md5),
    { name: 'Description-en', value: Buffer.concat([Buffer.from(' '), description]) },
  ]);
  return { stanza: render(shortened), translation };
}
