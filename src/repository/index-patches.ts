/**
 * The patches of an index among the files of a publication: `Packages.diff/Index`, which Release
 * lists, and beside it what Index names. Floor 3.
 */
import { diffIndexPath, patchPath } from '../deb/layout.ts';
import type { LineEdit } from '../deb/line-edit.ts';
import type { Logger } from '../log.ts';
import type { Previous } from './index-images.ts';
import { advancePatches, type PatchSet } from './patches.ts';
import type { PublishedFile } from './published-files.ts';
import { RunningHashes } from './running-hashes.ts';
import type { SegmentStore } from './segment-store.ts';
import type { FilePart } from './segments.ts';
import type { ExtraHash } from './suite-options.ts';

export interface PatchTools {
  suite: string;
  store: Pick<SegmentStore, 'add' | 'readPart'>;
  log: Logger;
}

/** What a publication offered of patches for the index at `path`. */
export function listPatchFiles(previous: Previous | undefined, path: string): PublishedFile[] {
  const index = diffIndexPath(path);
  if (!previous?.files.has(index)) return [];
  const folder = index.slice(0, index.lastIndexOf('/') + 1);
  return [...previous.files.values()].filter((file) => file.path.startsWith(folder));
}

async function readSmall(
  { store }: PatchTools,
  file: PublishedFile | undefined,
): Promise<Uint8Array> {
  const parts: readonly FilePart[] = file?.parts ?? [];
  return Buffer.concat(await Promise.all(parts.map((part) => store.readPart(part))));
}

function lookBack(tools: PatchTools, previous: Previous, path: string, index: Uint8Array) {
  return {
    index,
    read: ({ name }: { name: string }) =>
      readSmall(tools, previous.files.get(patchPath(path, name))),
  };
}

async function describeSet(
  { suite, store }: PatchTools,
  { path, extra, modified }: PatchRequest,
  { index, patches }: PatchSet,
): Promise<PublishedFile[]> {
  const states = RunningHashes.create(extra);
  await states.update(index);
  const { SHA256: sha256, ...hashes } = states.digest();
  // One object for all of them: each publication writes them anew, and waits for the disk once.
  const object = Buffer.concat([index, ...patches.map(({ bytes }) => bytes)]);
  const key = store.add(suite, object);
  const whole = object.length;
  const described: PublishedFile[] = [
    {
      ...{ path: diffIndexPath(path), sha256, size: index.length, modified },
      ...(extra.length > 0 ? { hashes } : {}),
      parts: [{ key, size: index.length, slice: { offset: 0, whole } }],
    },
  ];
  let offset = index.length;
  for (const { name, bytes } of patches) {
    const size = bytes.length;
    described.push({
      ...{ path: patchPath(path, name), sha256: name, size, modified, isUnlisted: true },
      parts: [{ key, size, slice: { offset, whole } }],
    });
    offset += size;
  }
  return described;
}

export interface PatchRequest {
  /** Of the index that changes. */
  path: string;
  previous: Previous | undefined;
  /** The files of the index in the publication that is made. */
  files: readonly PublishedFile[];
  /** What makes the raw index of the one before; undefined where that is not known. */
  step: LineEdit | undefined;
  /** Besides SHA256, what Release says of files. */
  extra: readonly ExtraHash[];
  modified: number;
}

/**
 * The patches to an index, and their Index; none where there are none, or where it cannot be known
 * from what it came. Their bytes are in the store, and not yet persisted.
 */
export async function makePatches(
  tools: PatchTools,
  asked: PatchRequest,
): Promise<PublishedFile[]> {
  const { path, previous, files, step } = asked;
  const from = previous?.files.get(path);
  const to = files.find((file) => file.path === path);
  if (!previous || !from || !to) return [];
  // In other forms, or built anew, it may still be what it was.
  const edit = from.sha256 === to.sha256 ? [] : step;
  if (!edit) return [];
  const limit = Math.min(...files.filter((file) => file !== to).map(({ size }) => size));
  const request = { from, to, edit, limit };
  const before = previous.files.get(diffIndexPath(path));
  let set: PatchSet | undefined;
  try {
    const index = before && (await readSmall(tools, before));
    set = await advancePatches(request, index && lookBack(tools, previous, path, index));
  } catch (error) {
    // Hosts that need one of those that are lost fetch the whole.
    tools.log.warn({ event: 'patches.lost', suite: tools.suite, path, why: String(error) });
    set = await advancePatches(request);
  }
  return set ? describeSet(tools, asked, set) : [];
}
