/**
 * A request that is the main process's to answer, handed over by a worker: its head with the caller
 * added, its body and the answer streamed as they come, each side waiting for the other. Where the
 * client is cut, so is the main process's side, and nothing of an upload stays. Source: RFC 9110
 * sections 7.6.1 (what belongs to one connection) and 10.1.1 (100-continue). Floor 7.
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream';
import { request as openRequest } from '../../plain-http.ts';
import type { Presented } from '../identity.ts';
import { readRest } from '../linger.ts';
import type { SocketPath } from '../socket.ts';
import { CALLER_HEADER, writeCaller } from './reception.ts';

export interface HandOverParts {
  /** The main process's; held for as long as its path is used. */
  socket: SocketPath;
  token: string;
  /** How long a connection may stand still, in milliseconds. */
  idleTimeout: number;
}

/** What belongs to one connection and is not passed on. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
]);

/** Pairs of name and values, in order, without what ends here or only a worker may say. */
function* listHeaders(rawHeaders: readonly string[], isDropped: (name: string) => boolean) {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!isDropped(name.toLowerCase())) yield [name, rawHeaders[index + 1] ?? ''] as const;
  }
}

const isOurs = (name: string): boolean => HOP_BY_HOP.has(name) || name.startsWith('aptkeep-');
const isFraming = (name: string): boolean => HOP_BY_HOP.has(name) || name === 'transfer-encoding';

function openUpstream(
  { socket, token }: HandOverParts,
  request: IncomingMessage,
  presented: Presented,
): ClientRequest {
  const upstream = openRequest({
    socketPath: socket.path,
    method: request.method ?? '',
    path: request.url ?? '',
    // A connection for each: one that is cut takes nothing else with it.
    agent: false,
    setHost: false,
  });
  for (const [name, value] of listHeaders(request.rawHeaders, isOurs)) {
    upstream.appendHeader(name, value);
  }
  const address = request.socket.remoteAddress ?? null;
  upstream.setHeader(CALLER_HEADER, writeCaller({ token, presented, address }));
  return upstream;
}

/** The body, when it is wanted: at once, or when the main process has said so. */
function passBody(request: IncomingMessage, response: ServerResponse, upstream: ClientRequest) {
  const { headers, socket } = request;
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    // Without either there is no body; Node would announce one for some methods.
    upstream.removeHeader('Content-Length');
    upstream.removeHeader('Transfer-Encoding');
    upstream.end();
    socket.setTimeout(0);
    return;
  }
  // The body is whole: the answer may take longer than a connection may stand still.
  request.once('end', () => socket.setTimeout(0));
  if (headers.expect?.toLowerCase() !== '100-continue') {
    request.pipe(upstream);
    return;
  }
  upstream.flushHeaders();
  upstream.once('continue', () => {
    response.writeContinue();
    request.pipe(upstream);
  });
}

/** The main process's answer, as it is; what is left of a body after it is read and dropped. */
function passAnswer(request: IncomingMessage, response: ServerResponse, answer: IncomingMessage) {
  const head = [...listHeaders(answer.rawHeaders, isFraming)].flat();
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', head);
  pipeline(answer, response, (error) => {
    if (error) response.destroy();
    else readRest(request);
  });
}

/** Hands a request over that the worker's gate has let in. */
export function handOver(
  parts: HandOverParts,
  request: IncomingMessage,
  response: ServerResponse,
  presented: Presented,
): void {
  const upstream = openUpstream(parts, request, presented);
  upstream.once('response', (answer) => {
    request.unpipe(upstream);
    request.socket.setTimeout(parts.idleTimeout);
    passAnswer(request, response, answer);
  });
  // The main process is gone, or has cut the connection: so is this one.
  upstream.once('error', () => {
    if (!response.writableEnded) response.destroy();
  });
  // Finished, or the client is gone: then the other side must not wait for more.
  response.once('close', () => upstream.destroy());
  passBody(request, response, upstream);
}
