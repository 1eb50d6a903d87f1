/**
 * The hot path: dists/ and pool/, decided on the raw URL before express sees the request. What a
 * client may read is asked first, so that neither a range nor a condition gets around it. Floor 7.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { RefusalError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Activity, Actor } from '../operations/operation.ts';
import type { ByteRange } from '../storage/storage.ts';
import { describeHead, describeUnchanged, IMMUTABLE } from './heads.ts';
import { answerPrepared } from './prepared.ts';
import { sendRefusal } from './refusals.ts';
import { findResource, type Resource, type ResourceParts } from './resources.ts';
import { PieceReader, sendPieces } from './send.ts';
import { MAX_SMALL_BYTES, readSmall } from './small-bodies.ts';
import { chooseRange, isUnchanged } from './validators.ts';

/** What the hot path needs; a worker has no more. */
export interface FileParts extends ResourceParts {
  activity: Pick<Activity, 'bytesSent' | 'refusals'>;
  log: Logger;
  /** Where a proxy that sends files of the pool by itself finds one, as a path of its own. */
  redirect?: (key: string) => string;
}

/** The first bytes are copied behind the head; of more than this the head goes ahead. */
const MAX_COPIED_BYTES = 16_384;

/** Whether the raw URL belongs to the hot path; some mirrors write more than one slash. */
export function isFileUrl(url: string): boolean {
  return url.startsWith('/dists/') || url.startsWith('/pool/') || FILE_URL.test(url);
}

const FILE_URL = /^\/+(dists|pool)(\/|\?|$)/;

/** Sends the head and the bytes; resolves when they are on their way. */
async function send(
  { repository: { storage } }: FileParts,
  response: ServerResponse,
  resource: Resource,
  range: ByteRange | undefined,
): Promise<void> {
  const { body, size } = resource;
  const begin = (): void => {
    response.writeHead(range ? 206 : 200, describeHead(resource, range));
  };
  if (body.kind === 'stream') {
    const stream = await body.open();
    begin();
    return pipeline(stream, response);
  }
  if (body.kind === 'bytes' || size === 0) {
    begin();
    const bytes = body.kind === 'bytes' ? body.bytes : Buffer.alloc(0);
    response.end(range ? bytes.subarray(range.start, range.end + 1) : bytes);
    return;
  }
  const pieces = body.list(range ?? { start: 0, end: size - 1 });
  if (body.sha256 !== undefined && range === undefined && size <= MAX_SMALL_BYTES) {
    const bytes = await readSmall(storage, body.sha256, pieces);
    begin();
    if (size > MAX_COPIED_BYTES) response.flushHeaders();
    response.end(bytes);
    return;
  }
  const reader = await PieceReader.open(storage, pieces);
  begin();
  if (reader.left > MAX_COPIED_BYTES) response.flushHeaders();
  await sendPieces(response, reader);
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
    response.writeHead(304, describeUnchanged(resource)).end();
    return;
  }
  // RFC 9110, 14.2: a range is defined for GET alone.
  const wanted =
    resource.body.kind !== 'stream' && request.method === 'GET'
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
    response.writeHead(200, describeHead(resource, undefined)).end();
    return;
  }
  await send(parts, response, resource, wanted);
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
  const sent = answerPrepared(parts, request, response, actor);
  if (sent !== undefined) {
    parts.activity.bytesSent += sent;
    return;
  }
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
