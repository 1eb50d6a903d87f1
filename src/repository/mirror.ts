/**
 * The current publication once more under its plain names in dists/, for a person's eyes and for
 * tools that read the tree from disk. Hosts are never served from it: they get the publication
 * itself, in one piece. Floor 3.
 */
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';
import { distsKey } from '../deb/layout.ts';
import type { Storage } from '../storage/storage.ts';
import type { LivePublication, PublishedFile } from './live.ts';
import { finishAll } from './together.ts';

/** The bytes of a published file, uncompressed from its .gz where only that is stored. */
export async function readPublishedFile(
  storage: Storage,
  publication: LivePublication,
  file: PublishedFile,
): Promise<Readable> {
  if (file.key !== null) return storage.read(file.key);
  const compressed = publication.files.get(`${file.path}.gz`);
  if (!compressed?.key) throw new Error(`publication lists ${file.path} without its .gz`);
  const stored = await storage.read(compressed.key);
  const plain = createGunzip();
  stored.on('error', (error) => plain.destroy(error));
  plain.on('close', () => stored.destroy());
  return stored.pipe(plain);
}

/** Whether the mirror holds a publication whole: InRelease is written last. */
async function isMirrored(
  parts: { storage: Storage },
  publication: LivePublication,
): Promise<boolean> {
  const key = distsKey(publication.suite, 'InRelease');
  if (!(await parts.storage.stat(key))) return false;
  return (await buffer(await parts.storage.read(key))).equals(publication.inRelease);
}

/**
 * Writes what differs from `previous`, the signed files last; everything where `previous` never
 * got there, because the disk was full or the process was killed.
 */
export async function mirrorPublication(
  parts: { storage: Storage },
  publication: LivePublication,
  previous: LivePublication | undefined,
): Promise<void> {
  const { storage } = parts;
  const { suite } = publication;
  const base = previous && (await isMirrored(parts, previous)) ? previous : undefined;
  const changed = [...publication.files.values()].filter(
    (file) => base?.files.get(file.path)?.sha256 !== file.sha256,
  );
  // Together, so that the disk makes them durable together.
  await finishAll(
    changed.map(async (file) => {
      const bytes = await buffer(await readPublishedFile(storage, publication, file));
      await storage.write(distsKey(suite, file.path), bytes);
    }),
  );
  await finishAll([
    storage.write(distsKey(suite, 'Release'), publication.release),
    storage.write(distsKey(suite, 'Release.gpg'), publication.releaseGpg),
  ]);
  await storage.write(distsKey(suite, 'InRelease'), publication.inRelease);
}

/** Writes the mirror of a publication again where a crash left an older one. */
export async function repairMirror(
  parts: { storage: Storage },
  publication: LivePublication,
): Promise<void> {
  if (await isMirrored(parts, publication)) return;
  await mirrorPublication(parts, publication, undefined);
}
