/**
 * What a worker serves by: copies of what the main process has, complete as soon as the beginning
 * is read, and changed by its messages alone. Floor 7.
 */

import { createRecognise } from '../../authority/recognise.ts';
import { parseRoleRules } from '../../authority/role-rules.ts';
import type { Trust } from '../../authority/trust.ts';
import { copyTrust, followTrust } from '../../authority/trust-copy.ts';
import { Readers, type ReadingRules } from '../../fleet/reading.ts';
import { createLogger, type Logger } from '../../log.ts';
import { LivePublications } from '../../repository/live.ts';
import type { ServerPair } from '../judge.ts';
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
  rules: ReadingRules;
  readers: Readers;
  pair: ServerPair;
  activity: Counters;
  log: Logger;
}

/** @param findSuites asks the main process which suites list a key of the pool. */
export function createCopy(
  { trust, isForeign, rules, publications, pair, values }: Beginning,
  findSuites: (key: string) => Promise<readonly string[]>,
): Copy {
  const live = new LivePublications();
  for (const publication of publications) live.set(publication.suite, publication);
  const log = createLogger(values['log.level'], { worker: process.pid });
  const recognise = isForeign
    ? createRecognise(parseRoleRules(values['clientCa.roles']))
    : undefined;
  const copy: Copy = {
    ...{ trust: copyTrust(trust, recognise), live, rules, pair, log },
    readers: new Readers({ readRules: async () => copy.rules, findSuites }),
    activity: { ...NOTHING_COUNTED },
  };
  return copy;
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
    case 'rules':
      copy.rules = change.rules;
      copy.readers.invalidate();
      break;
    case 'pair':
      copy.pair = change.pair;
      break;
  }
  return { isOtherPair: change.kind === 'pair' };
}
