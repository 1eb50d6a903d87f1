/**
 * The mutual-TLS listener. Strangers are cut before any HTTP is parsed; a certificate of ours that
 * is revoked, expired or not yet valid is told so; every request is judged again. Floor 7.
 */
import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Authority } from '../authority/authority.ts';
import { readServerCredentials } from '../authority/server-certificate.ts';
import { appendAudit } from '../catalog/audit.ts';
import { RefusalError } from '../errors.ts';
import type { Parts } from '../operations/operation.ts';
import { Connections } from './connections.ts';
import { createGateAudit } from './gate-audit.ts';
import { describeBearer, describeStranger, type GateRefusal } from './gate-refusal.ts';
import { findRefusal } from './identity.ts';
import { createJudge, type GateParts, type Serve, type ServerPair } from './judge.ts';
import { watchLapse } from './lapse.ts';
import { ShownCertificates } from './shown-certificates.ts';
import { spaceOut } from './spacing.ts';

/** How long a peer may take, in milliseconds. */
export interface Patience {
  handshake: number;
  headers: number;
  /** How often connections are looked at for it. */
  check: number;
}

const PATIENCE: Patience = { handshake: 10_000, headers: 15_000, check: 5000 };
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const MAX_HEADER_BYTES = 16_384;

export interface Gate {
  server: Server;
  connections: Connections;
  /** Refuses what is new from now on. */
  drain(): void;
  /** Takes a new server certificate or revocation list into the TLS context. */
  reload(): Promise<void>;
  /** Resolves when its refusals are in the audit log. */
  close(): Promise<void>;
}

/** The gate of the process that has the catalog. */
export function describeGate({ authority, activity, config, log, now }: Parts): GateParts {
  return {
    ...{ authority, activity, config, log, now },
    readPair: () => readServerPair(authority),
    append: async (entries) => {
      await appendAudit(authority.catalog, entries);
    },
  };
}

export async function readServerPair(authority: Authority): Promise<ServerPair> {
  const { key, certificate: cert } = await readServerCredentials(authority);
  return { key, cert };
}

async function readContext(parts: GateParts): Promise<SecureContextOptions> {
  const { trust } = parts.authority;
  const pair = await parts.readPair();
  // Asked for last: of two readings at once, neither may bring an older list.
  const crl = trust.crls.map((list) => list.pem);
  // Node takes an empty list for "no check at all".
  if (crl.length < Math.max(trust.authorities.length, 1)) {
    throw new RefusalError('CRL_STALE', 'a revocation list is missing; the door stays shut');
  }
  return {
    ...pair,
    ca: trust.authorities.map((authority) => authority.pem),
    crl,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    honorCipherOrder: true,
  };
}

/** What is said to bytes that are no request, where more than 400 can be said: RFC 6585, RFC 9110. */
const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request header fields too large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request timeout',
};

function renderClientError(code: string | undefined): string {
  const line = CLIENT_ERRORS[code ?? ''] ?? '400 Malformed request';
  const body = `${line.slice(4)}\n`;
  return `HTTP/1.1 ${line}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Opens the gate around `serve`; the caller makes the server listen. */
export async function createGate(
  parts: GateParts,
  serve: Serve,
  patience: Patience = PATIENCE,
): Promise<Gate> {
  const { trust } = parts.authority;
  const { activity, log, now } = parts;
  const connections = new Connections();
  const certificates = new ShownCertificates(trust);
  let draining = false;
  const server = createServer({
    ...(await readContext(parts)),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: patience.handshake,
    connectionsCheckingInterval: patience.check,
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: true,
    insecureHTTPParser: false,
  });
  server.headersTimeout = patience.headers;
  // An upload is limited by standing still, not by how long it takes.
  server.requestTimeout = 0;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  server.timeout = parts.config.values['upload.idleTimeout'];

  const audit = createGateAudit({ append: parts.append, log, now });
  const hangUp = (socket: TLSSocket, refusal: GateRefusal): void => {
    activity.refusals += 1;
    const { detail: why, address } = refusal;
    log.info({ event: 'handshake.refused', why, address });
    audit.note(refusal);
    socket.destroy();
  };

  const [beginHttp] = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', (socket: TLSSocket) => {
    const presented = certificates.readPresented(socket);
    if (typeof presented === 'string') return hangUp(socket, describeStranger(socket, presented));
    if (parts.config.values['tls.strictHandshake']) {
      const refusal = findRefusal(presented, trust, now());
      const from = { address: socket.remoteAddress };
      if (refusal) return hangUp(socket, describeBearer(presented, trust, from, refusal));
    }
    activity.connections += 1;
    connections.add(socket, presented);
    beginHttp?.call(server, socket);
    // Node's HTTP parser reads TLS records past its own pause when requests are pipelined, as apt
    // does, and then takes them for malformed (HPE_PAUSED). With a listener here it is given the
    // bytes by the stream, which does stop.
    socket.on('data', () => {});
  });

  const judge = createJudge(parts, connections, audit, serve, () => draining);
  server.on('request', judge);
  server.on('checkContinue', judge);
  server.on('checkExpectation', judge);
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else if (!connections.find(socket)) socket.destroy();
    else socket.end(renderClientError(error.code));
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    log.debug({ event: 'handshake.failed', code: error.code, address: socket.remoteAddress });
    socket.destroy();
  });

  const reload = async (): Promise<void> => server.setSecureContext(await readContext(parts));
  const explain = (error: unknown): void =>
    log.error({ event: 'tls.reload failed', error: String(error) });
  const follow = spaceOut(reload, explain);
  const lapse = watchLapse(parts, connections);
  const unsubscribe = trust.subscribe((change) => {
    if (change.kind === 'certificate' && !change.certificate.revoked) return undefined;
    if (change.kind === 'authorities') certificates.forget();
    const cut = connections.cutRefused(trust);
    if (cut > 0) log.info({ event: 'connections.cut', count: cut });
    if (change.kind === 'certificate' || change.kind === 'serials') return undefined;
    lapse.restart();
    // What clients see of the server waits for nothing; every request is judged without the list.
    if (change.kind !== 'list') return reload().catch(explain);
    follow.start();
    return undefined;
  });

  return {
    server,
    connections,
    reload,
    drain() {
      draining = true;
    },
    async close() {
      lapse.stop();
      follow.stop();
      unsubscribe();
      connections.destroyAll();
      await audit.close();
    },
  };
}
