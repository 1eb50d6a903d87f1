/**
 * The running server: listeners, timers, draining. It owns the data directory while it lives.
 * Floor 8.
 */
import type { Server } from 'node:net';
import { readSite } from './authority/site.ts';
import {
  listChores,
  logAuditHead,
  prepareServing,
  renewServerCertificate,
  startChores,
} from './chores.ts';
import { initialiseDirectory, isInitialised, type OpenedParts, openParts } from './compose.ts';
import type { Config } from './config.ts';
import { createApp } from './http/app.ts';
import { openFront } from './http/front.ts';
import { createHealthServer } from './http/health.ts';
import { drainServer, listen } from './http/listen.ts';
import { openProxy } from './http/proxy/proxy.ts';
import { listenLocally } from './http/socket.ts';
import type { Logger } from './log.ts';

export interface Daemon {
  parts: OpenedParts;
  /** Where this process itself is reached; hosts may be told a proxy in front of it. */
  url: string;
  /** Whether this start made the repository. */
  isFirst: boolean;
  /** Reads what is read again on a timer now: the site's lists and its server certificate. */
  reload(): Promise<void>;
  /** Drains and closes; resolves when the data directory is free again. */
  stop(): Promise<void>;
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

/** What hosts are told: nginx in front, once it was said where that listens. */
function chooseUrl({ values, origins }: Config, url: string): string {
  if (!values['proxy.trust'] || origins['proxy.listen'] === 'default') return url;
  return url.replace(/:\d+$/, `:${values['proxy.listen'].port}`);
}

/**
 * Start serving a data directory, making the repository first where there is none.
 * @param now the clock, in milliseconds since the epoch; that of this process alone.
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
    await prepareServing(parts);
    const app = createApp(parts);
    const front = await openFront(parts, app);
    undo.push(() => front.close());
    const url = parts.url.replace(/:\d+$/, `:${front.port}`);
    parts.url = chooseUrl(config, url);
    const proxy = config.values['proxy.trust'] ? await openProxy(parts, app) : undefined;
    undo.push(() => proxy?.close());
    const local = await listenLocally(config.data, app);
    undo.push(() => drainServer(local));
    let draining = false;
    const health = await listenForHealth(parts, () => draining);
    const stopChores = startChores(parts, listChores(parts, front.reload));
    return {
      parts,
      url,
      isFirst,
      async reload() {
        if (await renewServerCertificate(parts)) await front.reload();
        await parts.authority.foreign?.refresh();
      },
      async stop() {
        draining = true;
        log.info({ event: 'draining' });
        await Promise.all([stopChores(), front.drain(), proxy?.drain(), drainServer(local)]);
        await front.close();
        await proxy?.close();
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
