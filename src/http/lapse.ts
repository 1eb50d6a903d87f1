/**
 * The moment at which the revocation list runs out: what is under way then is cut, because nobody
 * can say any more whether its bearer may have it. Idle connections are told at their next request.
 * Floor 7.
 */
import type { Parts } from '../operations/operation.ts';
import type { Connections } from './connections.ts';

/** Timers longer than this wrap around in Node. */
const MAX_TIMER_MS = 2_147_483_647;

export interface LapseWatch {
  /** To be called when another list came into force. */
  restart(): void;
  stop(): void;
}

export function watchLapse(parts: Parts, connections: Connections): LapseWatch {
  const { trust } = parts.authority;
  let timer: NodeJS.Timeout | undefined;
  const strike = (): void => {
    if (trust.isFresh(parts.now())) {
      restart();
      return;
    }
    parts.log.error({ event: 'crl.lapsed', number: trust.crl?.number });
    connections.cutBusy();
  };
  const restart = (): void => {
    clearTimeout(timer);
    const left = trust.nextUpdate - parts.now();
    timer = setTimeout(strike, Math.min(Math.max(left, 0), MAX_TIMER_MS));
    timer.unref();
  };
  restart();
  return { restart, stop: () => clearTimeout(timer) };
}
