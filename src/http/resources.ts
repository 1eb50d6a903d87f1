/**
 * What stands under a path of dists/ and pool/: names come from the publication in force, whole;
 * by-hash and pool keys are immutable. What a client may read is asked first. Floor 7.
 */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { RefusalError } from '../errors.ts';
import type { Readers } from '../fleet/reading.ts';
import type { Actor } from '../operations/operation.ts';
import type { LivePublication } from '../repository/live.ts';
import {
  listPieces,
  type ObjectPiece,
  type PublishedFile,
  readPublishedFile,
} from '../repository/published-files.ts';
import type { ByteRange, Storage } from '../storage/storage.ts';
import { type FilesByHash, parseByHash } from './by-hash.ts';
import { recallSeen, rememberSeen } from './seen.ts';
import type { Validators } from './validators.ts';

/** What a file is found with; a worker has no more. */
export interface ResourceParts {
  repository: { live: ReadonlyMap<string, LivePublication>; storage: Storage };
  readers: Pick<Readers, 'checkSuite' | 'checkFile' | 'maySuite'>;
  byHash: FilesByHash;
}

/** Where the bytes are, and which, where that is known; a stream is asked for only when it is wanted. */
export type Body =
  | { kind: 'bytes'; bytes: Buffer }
  | { kind: 'pieces'; list: (range: ByteRange) => ObjectPiece[]; sha256?: string }
  /** Whole only: no part of it can be read without the rest. */
  | { kind: 'stream'; open: () => Promise<Readable> };

export interface Resource extends Validators {
  size: number;
  type: string;
  immutable: boolean;
  body: Body;
  /** The key of what lies in storage as it is. */
  stored?: string;
}

const TYPES: Readonly<Record<string, string>> = {
  deb: 'application/vnd.debian.binary-package',
  udeb: 'application/vnd.debian.binary-package',
  ddeb: 'application/vnd.debian.binary-package',
  gz: 'application/gzip',
  xz: 'application/x-xz',
  bz2: 'application/x-bzip2',
  asc: 'application/pgp-signature',
  gpg: 'application/pgp-signature',
};
const TEXT = 'text/plain; charset=utf-8';

const typeOf = (path: string): string => TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? TEXT;

/**
 * The path of a URL, its escapes undone exactly once.
 * @throws RefusalError PATH_UNKNOWN for anything that is no plain path.
 */
export function decodePath(url: string): string[] {
  const [raw = ''] = url.split('?', 1);
  let path: string;
  try {
    path = decodeURIComponent(raw.replace(/^\/+/, ''));
  } catch {
    throw refusePath();
  }
  const segments = path.split('/');
  // Neither way up, nor what begins with a dot, nor what no key may hold.
  if (
    segments.some(
      (segment) => segment === '' || segment.startsWith('.') || /[\\\p{Cc}]/u.test(segment),
    )
  ) {
    throw refusePath();
  }
  return segments;
}

const refusePath = (): RefusalError =>
  new RefusalError('PATH_UNKNOWN', 'nothing is served under this path');

/** The signed files of a publication, by their names; undefined for any other. */
export function findSigned(publication: LivePublication, path: string): Resource | undefined {
  switch (path) {
    case 'InRelease':
      return serveBytes(publication.inRelease, publication, TEXT);
    case 'Release':
      return serveBytes(publication.release, publication, TEXT);
    case 'Release.gpg':
      return serveBytes(publication.releaseGpg, publication, TYPES.gpg ?? '');
    default:
      return undefined;
  }
}

function serveBytes(bytes: Buffer, publication: LivePublication, type: string): Resource {
  return {
    size: bytes.length,
    type,
    etag: `"${publication.suite}-${publication.number}-${bytes.length}"`,
    modified: publication.date,
    immutable: false,
    body: { kind: 'bytes', bytes },
  };
}

async function findStored(
  { repository }: ResourceParts,
  key: string,
): Promise<Resource | undefined> {
  const stat = await repository.storage.stat(key);
  if (!stat) return undefined;
  return {
    size: stat.size,
    type: typeOf(key),
    etag: `"${stat.size.toString(16)}-${Math.floor(stat.modified).toString(16)}"`,
    modified: stat.modified,
    immutable: true,
    stored: key,
    body: { kind: 'pieces', list: (range) => [{ key, range }] },
  };
}

/** @param modified the Date of the publication, or of the first that had a file asked for by hash. */
function servePublished(
  { repository: { storage } }: ResourceParts,
  file: PublishedFile,
  { modified, immutable }: Pick<Resource, 'modified' | 'immutable'>,
): Resource {
  const { parts } = file;
  return {
    size: file.size,
    type: typeOf(file.path),
    etag: `"${file.sha256.slice(0, 32)}"`,
    modified,
    immutable,
    body: parts
      ? { kind: 'pieces', list: (range) => listPieces(parts, range), sha256: file.sha256 }
      : { kind: 'stream', open: () => readPublishedFile(storage, file) },
  };
}

/** dists/SUITE/…: names from the publication in force, by-hash from any that is kept. */
async function findIndex(
  parts: ResourceParts,
  actor: Actor,
  segments: string[],
  request: IncomingMessage,
): Promise<Resource | undefined> {
  const [suite = '', ...rest] = segments.slice(1);
  const current = parts.repository.live.get(suite);
  if (!current || rest.length === 0) return undefined;
  await parts.readers.checkSuite(actor, suite);
  const path = rest.join('/');
  if (path === 'InRelease' || path === 'Release') rememberSeen(request, current);
  const publication = recallSeen(request, suite) ?? current;
  const signed = findSigned(publication, path);
  if (signed) return signed;
  const file = publication.files.get(path);
  if (file) return servePublished(parts, file, { modified: publication.date, immutable: false });
  const name = parseByHash(suite, path);
  const kept = name && (await parts.byHash.find(publication, name));
  return kept && servePublished(parts, kept, { modified: kept.modified, immutable: true });
}

/** pool/…: for who may read a suite that lists it; what none ever listed is not there. */
async function findPooled(
  parts: ResourceParts,
  actor: Actor,
  segments: string[],
): Promise<Resource | undefined> {
  const key = segments.join('/');
  if (segments.length < 3 || !(await parts.readers.checkFile(actor, key))) return undefined;
  return findStored(parts, key);
}

/** @throws RefusalError PATH_UNKNOWN, SUITE_FORBIDDEN, ROLE_FORBIDDEN */
export async function findResource(
  parts: ResourceParts,
  actor: Actor,
  request: IncomingMessage,
): Promise<Resource> {
  const segments = decodePath(request.url ?? '');
  const found =
    segments[0] === 'dists'
      ? await findIndex(parts, actor, segments, request)
      : await findPooled(parts, actor, segments);
  if (found) return found;
  throw new RefusalError('PATH_UNKNOWN', `there is no ${segments.join('/').slice(0, 200)}`);
}
