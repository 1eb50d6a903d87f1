/** The segments of published files, as the catalog has them. Floor 3. */
import { findSegment } from '../catalog/index-files.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { PublishedFile } from './published-files.ts';
import { readMembers, type Segment } from './segments.ts';

async function listSegments(
  sql: SqlExecutor,
  path: string,
  { parts }: PublishedFile,
): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const { key } of parts ?? []) {
    // What is no segment is the head or the tail of a form, which is made again.
    const row = await findSegment(sql, key, path);
    if (!row) continue;
    const { raw_size: raw, size, members } = row;
    segments.push({ key, raw, size, members: readMembers(members) });
  }
  return segments;
}

/** Of each form of the index at `path`; undefined where one is missing. */
export async function loadSegments(
  sql: SqlExecutor,
  path: string,
  files: readonly (PublishedFile | undefined)[],
): Promise<Segment[][] | undefined> {
  const layers: Segment[][] = [];
  for (const file of files) {
    if (!file) return undefined;
    layers.push(await listSegments(sql, path, file));
  }
  return layers;
}
