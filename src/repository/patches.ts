/**
 * The patches of one index: from each of the last publications in which it differed to the one
 * that is being made. What the last publication offers is read back, led on by what changes now,
 * and one patch more begins at it; so no older index is at hand, and none is needed. Floor 3.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { compressGzip, uncompressGzip } from '../deb/at-once.ts';
import { type Fingerprint, type Patch, readDiffIndex, renderDiffIndex } from '../deb/diff-index.ts';
import { readEdScript, renderEdScript } from '../deb/ed-script.ts';
import { composeEdits, type LineEdit } from '../deb/line-edit.ts';
import { finishAll } from './together.ts';

/** A host that is further behind fetches the whole index. */
const MAX_PATCHES = 28;
/** A script that is longer is not worth the work of every publication that leads it on. */
const MAX_SCRIPT_BYTES = 4 * 1024 * 1024;
/** Of all patches of one index together, which each of its publications writes. */
const MAX_TOTAL_BYTES = 4 * 1024 * 1024;

const GZIP_LEVEL = 9;
/** Patches made side by side, in the threads that compress. */
const AT_ONCE = 4;

/** A patch and its bytes, as gzip. */
export interface StoredPatch extends Patch {
  bytes: Buffer;
}

export interface PatchSet {
  /** The file Index. */
  index: Buffer;
  /** The oldest first. */
  patches: readonly StoredPatch[];
}

export interface PatchStep {
  /** The index of the publication before, uncompressed. */
  from: Fingerprint;
  /** The index that is being published, uncompressed. */
  to: Fingerprint;
  /** What makes the one of the other. */
  edit: LineEdit;
  /** The size of the smallest compressed form: apt takes no patch that is larger. */
  limit: number;
}

function fingerprint(bytes: Uint8Array): Fingerprint {
  return { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
}

/** Undefined where no patch can say it, or where it is larger than what it saves. */
async function makePatch(
  from: Fingerprint,
  edit: LineEdit,
  limit: number,
): Promise<StoredPatch | undefined> {
  const script = renderEdScript(edit);
  if (script === undefined || script.length > MAX_SCRIPT_BYTES) return undefined;
  const bytes = await compressGzip(script, GZIP_LEVEL);
  if (bytes.length > limit) return undefined;
  const download = fingerprint(bytes);
  // Hosts ask for patches by name, and for old ones too: one name is one content for ever.
  return { name: download.sha256, from, script: fingerprint(script), download, bytes };
}

interface Origin {
  from: Fingerprint;
  edit: LineEdit;
}

async function readOrigin(
  patch: Patch,
  read: (patch: Patch) => Promise<Uint8Array>,
): Promise<Origin> {
  const script = await uncompressGzip(await read(patch), patch.script.size);
  if (fingerprint(script).sha256 !== patch.script.sha256) {
    throw new Error(`patch ${patch.name} is not what it was`);
  }
  return { from: patch.from, edit: readEdScript(script) };
}

/** From where the last publication's patches lead, the newest first; none where they are damaged. */
async function readOrigins(
  index: Uint8Array,
  last: Fingerprint,
  read: (patch: Patch) => Promise<Uint8Array>,
): Promise<Origin[]> {
  const { current, patches } = readDiffIndex(index);
  if (current.sha256 !== last.sha256) return [];
  return (await finishAll(patches.map((patch) => readOrigin(patch, read)))).reverse();
}

/**
 * The patches that lead to `step.to`; undefined where there are none, and then no Index either,
 * because apt would fetch it for nothing.
 * @param before the Index of the publication before, and how the bytes of its patches are read;
 *   undefined where it had none.
 * @throws Error where what was published before cannot be read.
 */
export async function advancePatches(
  step: PatchStep,
  before?: { index: Uint8Array; read: (patch: Patch) => Promise<Uint8Array> },
): Promise<PatchSet | undefined> {
  const older = before ? await readOrigins(before.index, step.from, before.read) : [];
  const origins = [{ from: step.from, edit: [] }, ...older];
  const seen = new Set([step.to.sha256]);
  const differing = origins.filter(({ from }) => {
    const isNew = !seen.has(from.sha256);
    seen.add(from.sha256);
    return isNew;
  });
  const patches: StoredPatch[] = [];
  let room = MAX_TOTAL_BYTES;
  for (let at = 0; at < Math.min(differing.length, MAX_PATCHES) && room >= 0; at += AT_ONCE) {
    // Long scripts take a while; whoever is served meanwhile does not wait for all of them.
    if (at > 0) await nextTurn();
    const some = differing.slice(at, Math.min(at + AT_ONCE, MAX_PATCHES));
    const made = await finishAll(
      some.map(({ from, edit }) => makePatch(from, composeEdits(edit, step.edit), step.limit)),
    );
    for (const patch of made) {
      if (patch === undefined) continue;
      room -= patch.bytes.length;
      if (room >= 0) patches.unshift(patch);
    }
  }
  if (patches.length === 0) return undefined;
  return { index: renderDiffIndex({ current: step.to, patches }), patches };
}
