/**
 * Requests that nginx has taken and hands over. It has checked the certificate; we check it again,
 * for every request, by the same memory and with the same words as on our own port, because nginx
 * knows of a revocation only after a reload. A connection holds one request, so that it belongs to
 * one client and can be cut with it. Floor 7.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { TrustChange } from '../../authority/trust.ts';
import { RefusalError } from '../../errors.ts';
import type { Parts } from '../../operations/operation.ts';
import { createServer } from '../../plain-http.ts';
import { Connections } from '../connections.ts';
import { createGateAudit, type GateAudit } from '../gate-audit.ts';
import { describeUnknown } from '../gate-refusal.ts';
import type { Presented } from '../identity.ts';
import { createJudge } from '../judge.ts';
import { watchLapse } from '../lapse.ts';
import { drainServer } from '../listen.ts';
import { sendRefusal } from '../refusals.ts';
import { describeGate } from '../server.ts';
import { createServe, describeFiles } from '../serving.ts';
import { ShownCertificates } from '../shown-certificates.ts';
import { type Handover, readClaim, readHandover, readShownCertificate } from './handover.ts';
import { locatePooled, proxySocketPath } from './nginx.ts';
import { openProxyFolder, openSecret, writeProxyTrust } from './proxy-files.ts';
import { listenForProxy } from './proxy-socket.ts';

/** nginx takes up to 32 KiB from a client and adds a certificate. */
const MAX_HEADER_BYTES = 131_072;

export interface Proxy {
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Who nginx says a client is, read again. */
class Handovers {
  readonly #parts: Parts;
  readonly #audit: GateAudit;
  readonly #certificates: ShownCertificates;

  constructor(parts: Parts, audit: GateAudit) {
    this.#parts = parts;
    this.#audit = audit;
    this.#certificates = new ShownCertificates(parts.authority.trust);
  }

  forget(): void {
    this.#certificates.forget();
  }

  /** @throws RefusalError CERTIFICATE_NOT_RECORDED for a stranger. */
  read({ verify, certificate: escaped, address }: Handover): Presented {
    if (verify !== 'SUCCESS') throw this.#refuse(undefined, address, `nginx says ${verify}`);
    const raw = readShownCertificate(escaped);
    if (!raw) throw this.#refuse(undefined, address, 'no certificate that can be read');
    const presented = this.#certificates.read(raw, false);
    if (typeof presented === 'string') throw this.#refuse(raw, address, presented);
    return presented;
  }

  #refuse(raw: Buffer | undefined, address: string | undefined, why: string): RefusalError {
    this.#parts.activity.refusals += 1;
    this.#audit.note(describeUnknown(raw && readClaim(raw), address, why));
    return new RefusalError('CERTIFICATE_NOT_RECORDED', `the client's certificate: ${why}`);
  }
}

/**
 * Listens where nginx hands over, and keeps what nginx checks by.
 * @throws RefusalError CONFIG_INVALID, KEY_EXPOSED
 */
export async function openProxy(parts: Parts, app: RequestListener): Promise<Proxy> {
  const { authority, config, log, now } = parts;
  const { trust } = authority;
  await openProxyFolder(config.data);
  const secret = await openSecret(config.data);
  const connections = new Connections();
  const gate = describeGate(parts);
  const audit = createGateAudit({ append: gate.append, log, now });
  const handovers = new Handovers(parts, audit);
  const files = describeFiles(parts);
  const redirect = config.values['proxy.sendFiles'] ? { redirect: locatePooled } : {};
  const serve = createServe({ ...files, ...redirect }, app);
  let draining = false;
  const judge = createJudge(gate, connections, audit, serve, () => draining);
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const handover = readHandover(request, secret);
    if (!handover) {
      log.warn({ event: 'hand-over refused', why: 'not from the nginx that knows the secret' });
      socket.destroy();
      return;
    }
    // Said with the answer before: the connection ends with that.
    if (connections.find(socket)) return;
    response.setHeader('Connection', 'close');
    try {
      connections.add(socket, handovers.read(handover), handover.address);
    } catch (error) {
      sendRefusal(response, error, log);
      return;
    }
    judge(request, response);
  };
  // HTTP/1.0 has no Host, and nginx has refused whoever should have sent one.
  const server = createServer({ requireHostHeader: false, maxHeaderSize: MAX_HEADER_BYTES });
  server.requestTimeout = 0;
  server.timeout = config.values['upload.idleTimeout'];
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, take);

  let writing = writeProxyTrust(config.data, trust);
  await writing;
  const follow = (): void => {
    writing = writing
      .then(() => writeProxyTrust(config.data, trust))
      .catch((error: unknown) => log.error({ event: 'proxy/ not written', error: String(error) }));
  };
  const lapse = watchLapse(parts, connections);
  const unsubscribe = trust.subscribe(({ kind }: TrustChange) => {
    connections.cutRefused(trust);
    if (kind !== 'list' && kind !== 'authorities') return;
    if (kind === 'authorities') handovers.forget();
    lapse.restart();
    follow();
  });
  const close = async (): Promise<void> => {
    lapse.stop();
    unsubscribe();
    connections.destroyAll();
    server.close();
    await writing;
    await audit.close();
  };
  try {
    const group = config.values['proxy.group'];
    await listenForProxy(server, proxySocketPath(config), group);
  } catch (error) {
    await close();
    throw error;
  }
  log.info({ event: 'proxy trusted', socket: proxySocketPath(config) });
  return {
    drain() {
      draining = true;
      return drainServer(server);
    },
    close,
  };
}
