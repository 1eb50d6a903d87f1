/**
 * Every request is judged by its connection's certificate before anybody answers it, from memory.
 * Source: RFC 9112 section 3.2. Floor 7.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Trust } from '../authority/trust.ts';
import type { AuditEntry } from '../catalog/audit-chain.ts';
import type { Config } from '../config.ts';
import { RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Activity, Actor } from '../operations/operation.ts';
import type { Connections } from './connections.ts';
import type { GateAudit } from './gate-audit.ts';
import { describeBearer } from './gate-refusal.ts';
import { admit, checkReach, describeActor, type Presented } from './identity.ts';
import { sendRefusal } from './refusals.ts';

const MAX_REQUESTS_PER_SOCKET = 1000;

/** Answers a request that passed the gate; `presented` is what the actor was recognised by. */
export type Serve = (
  request: IncomingMessage,
  response: ServerResponse,
  actor: Actor,
  presented: Presented,
) => void;

/** The server's key and certificate as PEM, in the clear. */
export interface ServerPair {
  key: string;
  cert: string;
}

/** What the gate needs; a worker has no more. */
export interface GateParts {
  authority: { trust: Trust };
  activity: Pick<Activity, 'connections' | 'requests' | 'refusals'>;
  config: { values: Pick<Config['values'], 'tls.strictHandshake' | 'upload.idleTimeout'> };
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** What is shown to clients, as it stands now. */
  readPair: () => Promise<ServerPair>;
  /** Takes what was refused into the audit log. */
  append: (entries: readonly AuditEntry[]) => Promise<void>;
}

const dropAuthority = (url: string): string => url.replace(/^https?:\/\/[^/?#]*(?=\/)/i, '');

/** RFC 9112, 3.2: two Host lines are a request for two servers. @throws RefusalError INPUT_INVALID */
function checkHost({ rawHeaders }: IncomingMessage): void {
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  if (hosts > 1) throw new RefusalError('INPUT_INVALID', 'more than one Host header');
}

/** Judges every request by its connection's certificate before anybody answers it. */
export function createJudge(
  parts: GateParts,
  connections: Connections,
  audit: GateAudit,
  serve: Serve,
  isDraining: () => boolean,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { trust } = parts.authority;
  const { activity, log, now } = parts;
  return (request, response) => {
    const connection = connections.find(request.socket);
    if (!connection) {
      request.socket.destroy();
      return;
    }
    connection.requests += 1;
    // The client was told so with the answer before; Node's own limit answers 503 and never closes.
    if (connection.requests > MAX_REQUESTS_PER_SOCKET) return;
    if (connection.requests === MAX_REQUESTS_PER_SOCKET) response.setHeader('Connection', 'close');
    // RFC 9112, 3.2.2: the absolute form names this server too.
    if (!request.url?.startsWith('/')) request.url = dropAuthority(request.url ?? '');
    activity.requests += 1;
    connection.busy += 1;
    response.once('close', () => {
      connection.busy -= 1;
    });
    try {
      if (isDraining())
        throw new RefusalError('DRAINING', 'the server is stopping; ask again shortly');
      admit(connection.presented, trust, now());
      checkHost(request);
      const actor = describeActor(connection.presented, trust, connection.address, now);
      checkReach(actor, request.url);
      serve(request, response, actor, connection.presented);
    } catch (error) {
      activity.refusals += 1;
      log.info({
        event: 'request.refused',
        code: error instanceof RefusalError ? error.code : 'INTERNAL_ERROR',
        name: connection.presented.commonName,
        serial: connection.presented.serial,
        address: connection.address,
        url: request.url,
      });
      if (error instanceof RefusalError && error.code !== 'DRAINING') {
        const from = { url: request.url, address: connection.address };
        audit.note(describeBearer(connection.presented, trust, from, error));
      }
      sendRefusal(response, error, log, { Connection: 'close' });
    }
  };
}
