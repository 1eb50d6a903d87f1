/** Listeners: where they stand, and how they end. Floor 7. */
import type { Server } from 'node:net';
import { RefusalError, systemCode } from '../errors.ts';
import type { Address } from '../notation.ts';

/** Refusing what is new, what is in flight may take this long. */
export const DRAIN_MS = 30_000;
const IDLE_SWEEP_MS = 50;

/** What answers on the mutual-TLS port: this process, or several. */
export interface Front {
  port: number;
  /** Takes a new server certificate into the TLS context of every process that serves. */
  reload(): Promise<void>;
  /** Refuses what is new, and resolves when what is in flight is finished. */
  drain(): Promise<void>;
  /** Ends whatever is left. */
  close(): Promise<void>;
}

/** Why an address is not to be had; `what` names the setting. */
export function refuseAddress(what: string, { host, port }: Address, error: unknown): RefusalError {
  const code = systemCode(error);
  const why = code === 'EADDRINUSE' ? 'another program listens there' : code;
  return new RefusalError('ADDRESS_UNAVAILABLE', `${what} ${host}:${port}: ${why}`);
}

/** @throws RefusalError ADDRESS_UNAVAILABLE */
export function listen(server: Server, address: Address, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(refuseAddress(what, address, error)));
    server.listen(address.port, address.host, resolve);
  });
}

/** Ends a listener: what is in flight finishes, idle connections close, at most `DRAIN_MS`. */
export function drainServer(server: {
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
