/**
 * The hot path: dists/ and pool/, decided on the raw URL before express sees the request. Names
 * come from the publication in force, whole; by-hash and pool keys are immutable. What a client
 * may read is asked first, so that neither a range nor a condition gets around it. Floor 7.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RefusalError, systemCode } from '../errors.ts';
import type { Readers } from '../fleet/reading.ts';
import type { Logger } from '../log.ts';
import type { Activity, Actor } from '../operations/operation.ts';
import type { LivePublication } from '../repository/live.ts';
import { type PublishedFile, readPublishedFile } from '../repository/published-files.ts';
import type { ByteRange, Storage } from '../storage/storage.ts';
import { type FilesByHash, parseByHash } from './by-hash.ts';
import { sendRefusal } from './refusals.ts';
import { recallSeen, rememberSeen } from './seen.ts';
import { chooseRange, isUnchanged, type Validators } from './validators.ts';

/** What the hot path needs; a worker has no more. */
export interface FileParts {
  repository: { live: ReadonlyMap<string, LivePublication>; storage: Storage };
  readers: Pick<Readers, 'checkSuite' | 'checkFile'>;
  byHash: FilesByHash;
  activity: Pick<Activity, 'bytesSent' | 'refusals'>;
  log: Logger;
  /** Where a proxy that sends files of the pool by itself finds one, as a path of its own. */
  redirect?: (key: string) => string;
}

/** Something to serve; `open` is asked only when bytes are wanted. */
interface Resource extends Validators {
  size: number;
  type: string;
  immutable: boolean;
  /** Whether a part of it can be read without the rest. */
  seekable: boolean;
  /** The key of what lies in storage as it is. */
  stored?: string;
  open: (range: ByteRange | undefined) => Promise<Readable> | Buffer;
}

const IMMUTABLE = 'private, max-age=31536000, immutable';

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

const typeOf = (path: string): string =>
  TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'text/plain; charset=utf-8';

/** Whether the raw URL belongs to the hot path; some mirrors write more than one slash. */
export function isFileUrl(url: string): boolean {
  return /^\/+(dists|pool)(\/|\?|$)/.test(url);
}

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

function serveBytes(bytes: Buffer, publication: LivePublication, type: string): Resource {
  return {
    size: bytes.length,
    type,
    etag: `"${publication.suite}-${publication.number}-${bytes.length}"`,
    modified: publication.date,
    immutable: false,
    seekable: true,
    open: (range) => (range ? bytes.subarray(range.start, range.end + 1) : bytes),
  };
}

async function findStored(parts: FileParts, key: string): Promise<Resource | undefined> {
  const stat = await parts.repository.storage.stat(key);
  if (!stat) return undefined;
  return {
    size: stat.size,
    type: typeOf(key),
    etag: `"${stat.size.toString(16)}-${Math.floor(stat.modified).toString(16)}"`,
    modified: stat.modified,
    immutable: true,
    seekable: true,
    stored: key,
    open: (range) => parts.repository.storage.read(key, range),
  };
}

/** @param modified the Date of the publication, or of the first that had a file asked for by hash. */
function servePublished(
  parts: FileParts,
  file: PublishedFile,
  { modified, immutable }: Pick<Resource, 'modified' | 'immutable'>,
): Resource {
  const { storage } = parts.repository;
  return {
    size: file.size,
    type: typeOf(file.path),
    etag: `"${file.sha256.slice(0, 32)}"`,
    modified,
    immutable,
    seekable: file.parts !== null,
    open: (range) => readPublishedFile(storage, file, range),
  };
}

/** dists/SUITE/…: names from the publication in force, by-hash from any that is kept. */
async function findIndex(
  parts: FileParts,
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
  if (path === 'InRelease')
    return serveBytes(publication.inRelease, publication, 'text/plain; charset=utf-8');
  if (path === 'Release')
    return serveBytes(publication.release, publication, 'text/plain; charset=utf-8');
  if (path === 'Release.gpg')
    return serveBytes(publication.releaseGpg, publication, TYPES.gpg ?? '');
  const file = publication.files.get(path);
  if (file) return servePublished(parts, file, { modified: publication.date, immutable: false });
  const name = parseByHash(suite, path);
  const kept = name && (await parts.byHash.find(publication, name));
  return kept && servePublished(parts, kept, { modified: kept.modified, immutable: true });
}

/** pool/…: for who may read a suite that lists it; what none ever listed is not there. */
async function findPooled(
  parts: FileParts,
  actor: Actor,
  segments: string[],
): Promise<Resource | undefined> {
  const key = segments.join('/');
  if (segments.length < 3 || !(await parts.readers.checkFile(actor, key))) return undefined;
  return findStored(parts, key);
}

async function findResource(
  parts: FileParts,
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

function writeHead(
  response: ServerResponse,
  resource: Resource,
  range: ByteRange | undefined,
): void {
  const { size } = resource;
  const head: Record<string, string | number> = {
    'Content-Type': resource.type,
    'Content-Length': range ? range.end - range.start + 1 : size,
    'Last-Modified': new Date(resource.modified).toUTCString(),
    ETag: resource.etag,
    'Cache-Control': resource.immutable ? IMMUTABLE : 'private, no-cache',
  };
  if (resource.seekable) head['Accept-Ranges'] = 'bytes';
  if (range) head['Content-Range'] = `bytes ${range.start}-${range.end}/${size}`;
  response.writeHead(range ? 206 : 200, head);
}

async function answer(
  parts: FileParts,
  request: IncomingMessage,
  response: ServerResponse,
  actor: Actor,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new RefusalError(
      'METHOD_NOT_ALLOWED',
      `${request.method}: GET and HEAD are allowed here`,
    );
  }
  const resource = await findResource(parts, actor, request);
  if (parts.redirect && resource.stored !== undefined) {
    // Ranges and conditions are the sender's to answer.
    response.setHeader('X-Accel-Redirect', parts.redirect(resource.stored));
    response.writeHead(200, { 'Content-Type': resource.type, 'Cache-Control': IMMUTABLE }).end();
    return;
  }
  if (isUnchanged(request.headers, resource)) {
    const modified = new Date(resource.modified).toUTCString();
    response.writeHead(304, { 'Last-Modified': modified, ETag: resource.etag }).end();
    return;
  }
  // RFC 9110, 14.2: a range is defined for GET alone.
  const wanted =
    resource.seekable && request.method === 'GET'
      ? chooseRange(request.headers, resource.size, resource)
      : undefined;
  if (wanted === 'unsatisfiable') {
    const detail = `range ${request.headers.range}: the file has ${resource.size} bytes`;
    sendRefusal(response, new RefusalError('RANGE_UNSATISFIABLE', detail), parts.log, {
      'Content-Range': `bytes */${resource.size}`,
    });
    return;
  }
  if (request.method === 'HEAD') {
    writeHead(response, resource, undefined);
    response.end();
    return;
  }
  const body = await resource.open(wanted);
  writeHead(response, resource, wanted);
  if (Buffer.isBuffer(body)) response.end(body);
  else await pipeline(body, response);
  parts.activity.bytesSent += wanted ? wanted.end - wanted.start + 1 : resource.size;
}

/** Somebody tried a door that is not theirs: counted and written down. */
function noteForbidden(parts: FileParts, actor: Actor, url: string, refusal: RefusalError): void {
  parts.activity.refusals += 1;
  const { name, role, serial, address } = actor;
  const { code, message } = refusal;
  parts.log.info({
    event: 'request.refused',
    code,
    name,
    role,
    serial,
    address,
    url,
    why: message,
  });
}

/** Answers a request whose URL `isFileUrl` accepted. */
export function serveFile(
  parts: FileParts,
  request: IncomingMessage,
  response: ServerResponse,
  actor: Actor,
): void {
  answer(parts, request, response, actor).catch((error: unknown) => {
    if (response.headersSent || response.destroyed) {
      // The client hung up, or the file could not be read to its end: half an answer is cut.
      response.destroy();
      return;
    }
    const gone = systemCode(error) === 'ENOENT';
    const refusal = gone ? new RefusalError('PATH_UNKNOWN', 'the file is gone') : error;
    const code = refusal instanceof RefusalError ? refusal.code : undefined;
    if (code === 'SUITE_FORBIDDEN' || code === 'ROLE_FORBIDDEN') {
      noteForbidden(parts, actor, request.url ?? '', refusal as RefusalError);
    }
    const headers: Record<string, string> =
      code === 'METHOD_NOT_ALLOWED' ? { Allow: 'GET, HEAD' } : {};
    sendRefusal(response, refusal, parts.log, headers);
  });
}
