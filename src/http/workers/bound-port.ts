/**
 * The mutual-TLS port, bound here and accepted from by the workers alone: all of them share one
 * socket and its queue, so none that dies takes waiting connections with it, as it would with
 * SO_REUSEPORT. Source of truth: socket(7), accept(2), Node's net.BoundSocket. Floor 7.
 */
import { lookup } from 'node:dns/promises';
import { BoundSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { RefusalError, systemCode } from '../../errors.ts';
import type { Address } from '../../notation.ts';
import { refuseAddress } from '../listen.ts';

/** Whether this Node can hand a bound port to another process. */
export const canSharePort = BoundSocket !== undefined;

/** Workers of a server that was killed have the port until they notice: some milliseconds. */
const PATIENCE_MS = 2000;
const RETRY_MS = 25;

export interface BoundPort {
  port: number;
  /** Of the socket, to be inherited by a worker, which listens on it. */
  descriptor: number;
  /** Gives this process's hold on it back; may be called again. */
  close(): void;
}

/** @throws RefusalError ADDRESS_UNAVAILABLE, CONFIG_INVALID where Node is too old for it. */
export async function bindPort(address: Address): Promise<BoundPort> {
  // The launcher takes a Node from the PATH where the program's own is missing.
  if (!canSharePort) {
    throw new RefusalError(
      'CONFIG_INVALID',
      `workers: more than 1 needs Node 26.4 or newer; this is ${process.version}`,
    );
  }
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await bind(address);
    } catch (error) {
      const mayBeFree = systemCode(error) === 'EADDRINUSE' && performance.now() < end;
      if (!mayBeFree) throw refuseAddress('listen', address, error);
      await delay(RETRY_MS);
    }
  }
}

async function bind(address: Address): Promise<BoundPort> {
  let bound: BoundSocket | undefined;
  try {
    const { address: host } = await lookup(address.host);
    bound = new BoundSocket({ host, port: address.port });
    const [{ port }, descriptor] = [bound.address(), bound.fd()];
    return {
      port,
      descriptor,
      close() {
        bound?.close();
        bound = undefined;
      },
    };
  } catch (error) {
    bound?.close();
    throw error;
  }
}
