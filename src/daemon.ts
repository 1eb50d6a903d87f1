/**
 * The running server: listeners, timers, draining. It owns the data directory while it lives.
 * Floor 8.
 */
import type { Server } from 'node:net';
import { issueFirstCrl, renewCrls } from './authority/crl.ts';
import {
  findServerCertificateFault,
  issueServerCertificate,
} from './authority/server-certificate.ts';
import { readSite } from './authority/site.ts';
import { findAuditHead } from './catalog/audit.ts';
import { writeSetting } from './catalog/settings.ts';
import {
  initialiseDirectory,
  isInitialised,
  type OpenedParts,
  openParts,
  readRecordedNames,
} from './compose.ts';
import type { Config } from './config.ts';
import { RefusalError, systemCode } from './errors.ts';
import { createApp } from './http/app.ts';
import { isFileUrl, serveFile } from './http/files.ts';
import { createHealthServer } from './http/health.ts';
import { createGate, type Gate } from './http/server.ts';
import { rememberActor } from './http/session.ts';
import { listenLocally } from './http/socket.ts';
import type { Logger } from './log.ts';
import { upgradeHostPackages } from './operations/own-packages.ts';
import { repairMirror } from './repository/mirror.ts';
import { isDueForSigning, signSuiteAgain } from './repository/publications.ts';
import type { Address } from './settings.ts';

/** Refusing what is new, what is in flight may take this long. */
const DRAIN_MS = 30_000;
const TICK_MS = 1000;
const IDLE_SWEEP_MS = 50;
/** After a failure a timer waits this long before it tries again. */
const RETRY_MS = 10_000;
const CERTIFICATE_CHECK_MS = 3_600_000;
/** Files that did not fit together may have been met while they were replaced. */
const RECHECK_MS = 60_000;

export interface Daemon {
  parts: OpenedParts;
  /** Whether this start made the repository. */
  isFirst: boolean;
  /** Reads again what a site brings with it: its server certificate, its revocation lists. */
  reload(): Promise<void>;
  /** Drains and closes; resolves when the data directory is free again. */
  stop(): Promise<void>;
}

function listen(server: Server, address: Address, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const where = `${what} ${address.host}:${address.port}`;
      const why =
        systemCode(error) === 'EADDRINUSE' ? 'another program listens there' : systemCode(error);
      reject(new RefusalError('ADDRESS_UNAVAILABLE', `${where}: ${why}`));
    });
    server.listen(address.port, address.host, resolve);
  });
}

/**
 * A server certificate that is missing, lacks a name or nears its end is made anew; one that the
 * site brings is read again. Resolves with whether another one is to be shown. The key of the
 * server CA may be kept elsewhere: what serves still goes on serving without it.
 */
async function renewServerCertificate(parts: OpenedParts): Promise<boolean> {
  const { certs, server } = parts.authority;
  if (server) return server.reread();
  const names = await parts.serverNames();
  const fault = await findServerCertificateFault(certs, names, parts.now());
  if (fault === undefined) return false;
  try {
    await issueServerCertificate(certs, names, parts.now());
  } catch (error) {
    if (!fault.serves) throw error;
    const because = fault.why;
    parts.log.error({ event: 'server certificate not renewed', because, error: String(error) });
    return false;
  }
  parts.log.info({ event: 'server certificate issued', because: fault.why });
  return true;
}

/** A site may well have another name for it in mind, of a proxy say; so it is said, not refused. */
function warnOfName(parts: OpenedParts): void {
  const name = new URL(parts.url).hostname.replace(/^\[|\]$/g, '');
  if (parts.authority.server?.coversName(name) !== false) return;
  const why = `hosts are given the name ${name}, which server.certificate does not have`;
  parts.log.warn({ event: 'server certificate without a name', why });
}

async function recordHostNames(parts: OpenedParts): Promise<void> {
  const recorded = await readRecordedNames(parts.authority.catalog);
  const names = [...new Set([...recorded, ...parts.config.values.hostname])];
  if (names.length > recorded.length) {
    await writeSetting(parts.authority.catalog, 'host_names', JSON.stringify(names));
  }
}

/** A witness outside the catalog: who owns that could cut off its end and chain it anew. */
async function logAuditHead({ authority, log }: OpenedParts): Promise<void> {
  const { number, hash } = await findAuditHead(authority.catalog);
  log.info({ event: 'audit.head', number, hash });
}

interface Chore {
  name: string;
  /** When it is due next, in milliseconds since the epoch. */
  due: () => number;
  run: () => Promise<unknown>;
  retryAt?: number;
}

function listChores(parts: OpenedParts, gate: Gate): Chore[] {
  const { authority, repository, now } = parts;
  let checkedAt = now();
  const issuedAt = (): number => authority.trust.nextUpdate - authority.crlLifetime;
  const checkEvery = (): number => (authority.server?.fault ? RECHECK_MS : CERTIFICATE_CHECK_MS);
  return [
    {
      name: 'crl.refresh',
      due: () => {
        if (authority.trust.listOwed) return 0;
        return authority.foreign?.due ?? issuedAt() + parts.config.values['crl.refresh'];
      },
      run: async () => {
        await renewCrls(authority);
        await logAuditHead(parts);
      },
    },
    {
      name: 'suite.sign',
      due: () =>
        [...repository.live.values()].some((one) => isDueForSigning(one, now())) ? 0 : Infinity,
      run: async () => {
        for (const live of repository.live.values()) {
          if (!isDueForSigning(live, now())) continue;
          await signSuiteAgain(repository, live.suite, 'timer', 'sign again before Valid-Until');
        }
      },
    },
    {
      name: 'server certificate',
      due: () => checkedAt + checkEvery(),
      run: async () => {
        const at = now();
        if (await renewServerCertificate(parts)) await gate.reload();
        checkedAt = at;
      },
    },
  ];
}

/** Runs what is due, one after another; the answer ends it and waits for what is running. */
function startChores(parts: OpenedParts, chores: readonly Chore[]): () => Promise<void> {
  let running: Promise<void> | undefined;
  const runDue = async (): Promise<void> => {
    for (const chore of chores) {
      const now = parts.now();
      if (now < chore.due() || now < (chore.retryAt ?? 0)) continue;
      try {
        await chore.run();
      } catch (error) {
        chore.retryAt = now + RETRY_MS;
        parts.log.error({ event: 'timer failed', timer: chore.name, error: String(error) });
      }
    }
  };
  const timer = setInterval(() => {
    running ??= runDue().finally(() => {
      running = undefined;
    });
  }, TICK_MS);
  return async () => {
    clearInterval(timer);
    await running;
  };
}

async function listenForHealth(
  parts: OpenedParts,
  isDraining: () => boolean,
): Promise<Server | undefined> {
  const address = parts.config.values['health.listen'];
  if (address === null) return undefined;
  const server = createHealthServer(parts, isDraining);
  try {
    await listen(server, address, 'health.listen');
  } catch (error) {
    // Asked for, it must be there; by default, a second server on one machine goes without.
    if (parts.config.origins['health.listen'] !== 'default') throw error;
    parts.log.warn({ event: 'health not served', why: (error as Error).message });
    return undefined;
  }
  return server;
}

/** Ends a listener: what is in flight finishes, idle connections close, at most `DRAIN_MS`. */
function drainServer(server: {
  close(done: () => void): unknown;
  closeIdleConnections(): void;
  closeAllConnections(): void;
}): Promise<void> {
  return new Promise((resolve) => {
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
    const limit = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearInterval(sweep);
      clearTimeout(limit);
      resolve();
    });
    server.closeIdleConnections();
  });
}

async function prepare(parts: OpenedParts): Promise<void> {
  await recordHostNames(parts);
  warnOfName(parts);
  await renewServerCertificate(parts);
  await issueFirstCrl(parts.authority);
  for (const live of parts.repository.live.values()) await repairMirror(parts.repository, live);
  await logAuditHead(parts);
  await upgradeHostPackages(parts);
}

/**
 * Start serving a data directory, making the repository first where there is none.
 * @param now the clock, in milliseconds since the epoch.
 * @throws RefusalError DIRECTORY_IN_USE, ADDRESS_UNAVAILABLE, NOT_INITIALISED, CONFIG_INVALID
 */
export async function startDaemon(
  config: Config,
  log: Logger,
  now: () => number = Date.now,
): Promise<Daemon> {
  // What will be refused is refused before anything is made.
  await readSite(config, now, log);
  const isFirst = !(await isInitialised(config, now));
  if (isFirst) await initialiseDirectory(config, log, now);
  const parts = await openParts(config, log, now);
  const undo: (() => Promise<unknown> | unknown)[] = [() => parts.close()];
  const abandon = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  try {
    await prepare(parts);
    const app = createApp(parts);
    const gate = await createGate(parts, (request, response, actor) => {
      if (isFileUrl(request.url ?? '')) return serveFile(parts, request, response, actor);
      rememberActor(request, actor);
      app(request, response);
    });
    undo.push(() => gate.close());
    await listen(gate.server, config.values.listen, 'listen');
    undo.push(() => new Promise((resolve) => gate.server.close(resolve)));
    const bound = gate.server.address();
    if (bound !== null && typeof bound === 'object') {
      parts.url = parts.url.replace(/:\d+$/, `:${bound.port}`);
    }
    const local = await listenLocally(config.data, app);
    undo.push(() => drainServer(local));
    let draining = false;
    const health = await listenForHealth(parts, () => draining);
    const stopChores = startChores(parts, listChores(parts, gate));
    return {
      parts,
      isFirst,
      async reload() {
        if (await renewServerCertificate(parts)) await gate.reload();
        await parts.authority.foreign?.refresh();
      },
      async stop() {
        draining = true;
        gate.drain();
        log.info({ event: 'draining' });
        await Promise.all([stopChores(), drainServer(gate.server), drainServer(local)]);
        await gate.close();
        health?.close();
        await logAuditHead(parts);
        await parts.close();
        log.info({ event: 'stopped' });
      },
    };
  } catch (error) {
    await abandon();
    throw error;
  }
}
