/**
 * Where the main process takes over what its workers hand to it: a socket of the data directory
 * that only its owner may open, and a token that only this server's own workers know. The worker
 * says which certificate was shown; who that is, and whether it may, is judged here once more.
 * Floor 7.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Parts } from '../../operations/operation.ts';
import { createServer } from '../../plain-http.ts';
import { isSameSecret } from '../../secret.ts';
import { admit, describeActor, type Presented } from '../identity.ts';
import { sendRefusal } from '../refusals.ts';
import { rememberActor } from '../session.ts';
import { listenPrivately } from '../socket.ts';

export const RECEPTION_NAME = 'aptkeep-workers.sock';

/** The header that a worker adds; what a client sends under a name that begins so is dropped. */
export const CALLER_HEADER = 'aptkeep-caller';

/** A worker takes no more than 16 KiB from a client; the caller comes on top of that. */
const MAX_HEADER_BYTES = 65_536;

/** Whose request it is, as the worker knows it from the connection. */
export interface Caller {
  token: string;
  presented: Presented;
  address: string | null;
}

export const writeCaller = (caller: Caller): string =>
  Buffer.from(JSON.stringify(caller)).toString('base64url');

/** Undefined for whoever is none of our workers. */
function readCaller(request: IncomingMessage, token: string): Caller | undefined {
  const header = request.headers[CALLER_HEADER];
  delete request.headers[CALLER_HEADER];
  try {
    const text = Buffer.from(String(header), 'base64url').toString('utf8');
    const caller = JSON.parse(text) as Caller;
    return isSameSecret(caller.token, token) ? caller : undefined;
  } catch {
    return undefined;
  }
}

/** Opens the socket; requests go to `app` with the actor of the client that sent them. */
export async function listenForWorkers(
  data: string,
  parts: Parts,
  app: RequestListener,
  token: string,
): Promise<Server> {
  const { authority, log, now } = parts;
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const caller = readCaller(request, token);
    if (caller === undefined) {
      log.warn({ event: 'hand-over refused', why: 'not from a worker of this server' });
      request.socket.destroy();
      return;
    }
    try {
      const { presented, address } = caller;
      admit(presented, authority.trust, now());
      rememberActor(request, describeActor(presented, authority.trust, address ?? undefined, now));
      app(request, response);
    } catch (error) {
      parts.activity.refusals += 1;
      sendRefusal(response, error, log, { Connection: 'close' });
    }
  };
  // HTTP/1.0 has no Host; who stands still is the worker's to find out.
  const server = createServer({ requireHostHeader: false, maxHeaderSize: MAX_HEADER_BYTES });
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, take);
  await listenPrivately(server, data, RECEPTION_NAME);
  return server;
}
