/**
 * The gate's memory in another process: a whole copy first, then what changes, as plain data. A
 * revocation is told twice: the bare serials, which are in force at once however long the list has
 * grown, and then the list. Floor 3.
 */
import { readCertificate } from '../pki/certificate.ts';
import {
  type CurrentCrl,
  type KnownCertificate,
  type Recognise,
  Trust,
  type TrustChange,
} from './trust.ts';

/** A list without its entries; the serials that are new in it and those that are not in it any more. */
interface ListDifference {
  authority: string;
  number: number;
  thisUpdate: Date;
  nextUpdate: Date;
  pem: string;
  namesKey: boolean;
  added: readonly string[];
  removed: readonly string[];
  /** How many it names in all, so that a copy that has gone astray is found out. */
  count: number;
}

export type TrustMessage =
  | { kind: 'authorities'; entries: readonly { certificate: string; list: ListDifference }[] }
  | { kind: 'certificate'; certificate: KnownCertificate }
  | { kind: 'revoked'; authority: string; serials: readonly string[] }
  | { kind: 'list'; list: ListDifference };

/** Everything that a memory holds; authorities as PEM. */
export interface TrustSnapshot {
  authorities: readonly string[];
  lists: readonly ListDifference[];
  certificates: readonly KnownCertificate[];
}

const NONE: ReadonlySet<string> = new Set();

function describeList(
  authority: string,
  list: CurrentCrl,
  before: ReadonlySet<string>,
): ListDifference {
  const { number, thisUpdate, nextUpdate, pem, namesKey, serials } = list;
  return {
    ...{ authority, number, thisUpdate, nextUpdate, pem, namesKey, count: serials.size },
    added: [...serials].filter((serial) => !before.has(serial)),
    removed: [...before].filter((serial) => !serials.has(serial)),
  };
}

/** Puts a memory and what changes in it into words that another process understands. */
export class TrustFeed {
  readonly #trust: Trust;
  /** Authority -> the serials of the list that was described last. */
  readonly #described = new Map<string, ReadonlySet<string>>();

  constructor(trust: Trust) {
    this.#trust = trust;
    for (const { fingerprint } of trust.authorities) this.#note(fingerprint);
  }

  #note(authority: string): void {
    const list = this.#trust.listOf(authority);
    if (list) this.#described.set(authority, list.serials);
    else this.#described.delete(authority);
  }

  snapshot(): TrustSnapshot {
    const trust = this.#trust;
    return {
      authorities: trust.authorities.map((authority) => authority.pem),
      lists: trust.authorities.flatMap(({ fingerprint }) => {
        const list = trust.listOf(fingerprint);
        return list ? [describeList(fingerprint, list, NONE)] : [];
      }),
      certificates: [...trust.list()],
    };
  }

  /** To be called with every change, in order and at once. */
  describe(change: TrustChange): TrustMessage[] {
    switch (change.kind) {
      case 'certificate':
        return [change];
      case 'serials':
      case 'server certificate':
        return [];
      case 'authorities': {
        const trust = this.#trust;
        const gone = [...this.#described.keys()].filter((one) => !trust.counts(one));
        for (const authority of gone) this.#described.delete(authority);
        const entries = trust.authorities.flatMap(({ pem: certificate, fingerprint }) => {
          const list = trust.listOf(fingerprint);
          this.#note(fingerprint);
          return list ? [{ certificate, list: describeList(fingerprint, list, NONE) }] : [];
        });
        return [{ kind: 'authorities', entries }];
      }
      case 'list': {
        const { authority } = change;
        const list = describeList(authority, change.list, this.#described.get(authority) ?? NONE);
        this.#note(authority);
        const whole: TrustMessage = { kind: 'list', list };
        if (list.added.length === 0) return [whole];
        return [{ kind: 'revoked', authority, serials: list.added }, whole];
      }
    }
  }
}

/** @throws Error where the copy would not name as many as the original. */
function loadList(trust: Trust, { authority, added, removed, count, ...list }: ListDifference) {
  // The copy's own, changed where it stands: the list before it is of no use any more.
  const serials = trust.listOf(authority)?.serials ?? new Set<string>();
  for (const serial of removed) serials.delete(serial);
  for (const serial of added) serials.add(serial);
  if (serials.size !== count) throw new Error('the copy of a revocation list has gone astray');
  trust.load({ ...list, serials, entries: [] }, authority);
}

/** Makes the copy. @param recognise as for Trust. */
export function copyTrust(snapshot: TrustSnapshot, recognise?: Recognise): Trust {
  const trust = new Trust(snapshot.authorities.map(readCertificate), recognise);
  for (const certificate of snapshot.certificates) trust.restore(certificate);
  for (const list of snapshot.lists) loadList(trust, list);
  return trust;
}

/** Follows the original; in force when it returns. @throws Error where the copy is of no use. */
export function followTrust(trust: Trust, message: TrustMessage): void {
  switch (message.kind) {
    case 'authorities':
      trust.replaceAuthorities(
        message.entries.map(({ certificate, list: { added, removed, count, ...list } }) => ({
          facts: readCertificate(certificate),
          list: { ...list, serials: new Set(added), entries: [] },
        })),
      );
      break;
    case 'certificate':
      trust.restore(message.certificate);
      break;
    case 'revoked':
      trust.refuse(message.serials, message.authority);
      break;
    case 'list':
      loadList(trust, message.list);
      break;
  }
}
