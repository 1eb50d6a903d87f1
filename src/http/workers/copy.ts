/**
 * What a worker serves by: copies of what the main process has, complete as soon as the beginning
 * is read, and changed by its messages alone. Floor 7.
 */
import type { Trust } from '../../authority/trust.ts';
import { copyTrust, followTrust } from '../../authority/trust-copy.ts';
import { createLogger, type Logger } from '../../log.ts';
import { LivePublications } from '../../repository/live.ts';
import type { ServerPair } from '../server.ts';
import type { Beginning, Change, Counters } from './messages.ts';

export const NOTHING_COUNTED: Counters = {
  connections: 0,
  requests: 0,
  refusals: 0,
  bytesSent: 0,
};

export interface Copy {
  trust: Trust;
  live: LivePublications;
  pair: ServerPair;
  activity: Counters;
  log: Logger;
}

export function createCopy({ trust, publications, pair, values }: Beginning): Copy {
  const live = new LivePublications();
  for (const publication of publications) live.set(publication.suite, publication);
  const log = createLogger(values['log.level'], { worker: process.pid });
  return { trust: copyTrust(trust), live, pair, activity: { ...NOTHING_COUNTED }, log };
}

/**
 * In force when it returns: whoever subscribed to the trust has been told. Answers whether
 * the server's certificate is another one.
 * @throws Error where the copy cannot follow, and is of no use any more.
 */
export function followChange(copy: Copy, change: Change): { isOtherPair: boolean } {
  switch (change.kind) {
    case 'trust':
      followTrust(copy.trust, change.message);
      break;
    case 'publication':
      if ('gone' in change.change) copy.live.delete(change.change.gone);
      else copy.live.set(change.change.publication.suite, change.change.publication);
      break;
    case 'pair':
      copy.pair = change.pair;
      break;
  }
  return { isOtherPair: change.kind === 'pair' };
}
