/**
 * A package of the pool read again from its own bytes: what a check compares, and what a lost catalog
 * is made of. Floor 3.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { readPackage } from '../deb/archive.ts';
import { readClearSigned } from '../deb/clear-sign.ts';
import { parseControl, renderStanza } from '../deb/control.ts';
import {
  dscStem,
  MAX_DSC_BYTES,
  parseDsc,
  renderSourceStanza,
  type SourceControl,
} from '../deb/dsc.ts';
import type { NamedFile } from '../deb/file-list.ts';
import { sourceDirectory } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import { createAbsentError } from '../storage/key.ts';
import { openObjectSource } from '../storage/object-source.ts';
import type { Storage } from '../storage/storage.ts';

/** Where a package lies, and what its bytes are. */
export interface PooledFile {
  filename: string;
  size: number;
  sha256: string;
}

export interface Reread {
  name: string;
  version: string;
  architecture: string;
  source: string;
  /** Its index entry. */
  stanza: Buffer;
  /** What a .dsc names. */
  files: readonly NamedFile[];
}

/** The index entry of a .dsc; `text` as it was received, its signature included. */
export function renderDsc(
  control: SourceControl,
  text: Buffer,
  place: { component: string; size: number; sha256: string },
): Buffer {
  const { name, version } = control;
  const digest = (algorithm: string): string => createHash(algorithm).update(text).digest('hex');
  return renderSourceStanza(control, {
    filename: `${dscStem(name, version)}.dsc`,
    directory: sourceDirectory(place.component, name),
    ...{ size: place.size, sha256: place.sha256 },
    ...{ md5: digest('md5'), sha1: digest('sha1'), sha512: digest('sha512') },
  });
}

/** @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE */
export function rereadPackage(
  storage: Storage,
  file: PooledFile,
  component: string,
): Promise<Reread> {
  return file.filename.endsWith('.dsc')
    ? rereadSource(storage, file, component)
    : rereadBinary(storage, file);
}

async function rereadBinary(storage: Storage, file: PooledFile): Promise<Reread> {
  const source = await openObjectSource(storage, file.filename);
  if (!source) throw createAbsentError(file.filename);
  const control = parseControl((await readPackage(source)).control);
  const { name, version, architecture } = control;
  const stanza = renderStanza(control, file);
  return { name, version, architecture, source: control.source.name, stanza, files: [] };
}

async function rereadSource(
  storage: Storage,
  { filename, size, sha256 }: PooledFile,
  component: string,
): Promise<Reread> {
  if (size > MAX_DSC_BYTES) throw new RefusalError('PACKAGE_MALFORMED', 'it is larger than 1 MiB');
  const text = await buffer(await storage.read(filename));
  const control = parseDsc(readClearSigned(text).content);
  const { name, version, files } = control;
  const stanza = renderDsc(control, text, { component, size, sha256 });
  return { name, version, architecture: 'source', source: name, stanza, files };
}
