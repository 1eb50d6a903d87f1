/**
 * A resident index and the published files that it stands for: which belong together, what is
 * written down of them. Floor 3.
 */
import { insertSegment } from '../catalog/index-files.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { Form } from './form.ts';
import type { IndexDefinition } from './index-definitions.ts';
import type { PublishedFile } from './published-files.ts';
import { type FileImage, type ResidentIndex, rawImage } from './resident-index.ts';
import { type Segment, spellMembers } from './segments.ts';
import type { ExtraHash } from './suite-options.ts';

/** What an index has to be in. */
export interface Wanted {
  definition: IndexDefinition;
  forms: readonly Form[];
  extra: readonly ExtraHash[];
}

/** The publication before the one that is made. */
export interface Previous {
  files: ReadonlyMap<string, PublishedFile>;
}

/** The files of an index in a publication; undefined where one is not there as it is wanted. */
export function findFiles(
  { definition, forms, extra }: Wanted,
  previous: Previous | undefined,
): PublishedFile[] | undefined {
  const paths = [definition.path, ...forms.map(({ suffix }) => `${definition.path}.${suffix}`)];
  const files = paths.flatMap((path) => previous?.files.get(path) ?? []);
  const isWhole = files.every(({ hashes = {} }) => {
    const names = Object.keys(hashes);
    return names.length === extra.length && extra.every((name) => names.includes(name));
  });
  return files.length === paths.length && isWhole ? files : undefined;
}

/** Whether an index is the one that the publication has, in the forms and with the hashes wanted. */
export function isThatOf(
  index: ResidentIndex,
  wanted: Wanted,
  previous: Previous | undefined,
): boolean {
  const { path } = wanted.definition;
  const isFile = (name: string, { size, digests }: FileImage): boolean => {
    const file = previous?.files.get(name);
    const hasExtra = wanted.extra.every((one) => digests[one] !== undefined);
    const count = Object.keys(digests).length;
    return (
      file?.sha256 === digests.SHA256 &&
      file.size === size &&
      hasExtra &&
      count === wanted.extra.length + 1
    );
  };
  return (
    index.layers.length === wanted.forms.length &&
    isFile(path, rawImage(index)) &&
    index.layers.every(({ form, image }) => isFile(`${path}.${form.suffix}`, image))
  );
}

/** The files of an index; `modified` is the Date of their publication. */
export function describeFiles(
  { definition: { path } }: Wanted,
  index: ResidentIndex,
  modified: number,
): PublishedFile[] {
  const describe = ({ size, digests }: FileImage) => {
    const { SHA256: sha256, ...hashes } = digests;
    return { size, sha256, ...(Object.keys(hashes).length > 0 ? { hashes } : {}), modified };
  };
  const source = index.layers[0]?.image.parts ?? [];
  return [
    { path, ...describe(rawImage(index)), parts: null, source },
    ...index.layers.map(({ form, image }) => ({
      ...{ path: `${path}.${form.suffix}`, ...describe(image), parts: image.parts },
    })),
  ];
}

/** Writes down the segments of the index at each path. */
export async function recordSegments(
  sql: SqlExecutor,
  segments: readonly { path: string; segment: Segment }[],
): Promise<void> {
  for (const { path, segment } of segments) {
    const { key, raw, size, members } = segment;
    await insertSegment(sql, { key, path, raw_size: raw, size, members: spellMembers(members) });
  }
}
