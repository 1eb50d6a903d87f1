/**
 * The gate's refusals on their way into the audit log. The gate never waits for the disk and never
 * fills it: the first refusal of one address, certificate and reason is written at once, the others
 * of the same minute are counted and written as one entry; strangers share a bound of their own, so
 * that a crowd of them hides no certificate of ours. Floor 7.
 */
import type { AuditEntry } from '../catalog/audit-chain.ts';
import { findNetwork } from './address.ts';
import { AuditOutbox, type OutboxParts } from './audit-outbox.ts';
import type { GateRefusal } from './gate-refusal.ts';

const WINDOW_MS = 60_000;
/** Told apart within a window; whatever is beyond is counted together. */
const MAX_KNOWN = 1000;
const MAX_STRANGERS = 100;
const SWEEP_MS = 1000;

export interface GateAudit {
  /** Takes note of a refusal; never waits, never throws. */
  note(refusal: GateRefusal): void;
  /** Writes down what was counted in windows that are over; called every second by itself. */
  sweep(): void;
  /** Ends every window, and resolves when all is written or could not be. */
  close(): Promise<void>;
}

/** The refusals of one kind since the first of its window. */
interface Count {
  first: AuditEntry;
  since: number;
  last: number;
  more: number;
}

/** A clock that went back ends a window too: it would never end by itself. */
const isOver = ({ since }: Count, now: number): boolean => now < since || now - since >= WINDOW_MS;

const iso = (time: number): string => new Date(time).toISOString();

const toEntry = ({ code, ...refusal }: GateRefusal, at: number): AuditEntry => ({
  ...refusal,
  at: iso(at),
  outcome: `refused ${code}`,
});

const createRest = (operation: GateRefusal['operation'], subject: string): AuditEntry => ({
  ...{ at: '', actor: 'several', role: 'unknown', serial: null, address: 'several' },
  ...{ operation, subject, outcome: 'refused', detail: '' },
});

function summarise({ first, since, last, more }: Count): AuditEntry {
  const address = first.address && findNetwork(first.address);
  const detail = `and ${more} more from ${iso(since)} to ${iso(last)}`;
  return { ...first, address, at: iso(last), detail };
}

/** Who shares a bound: its counts of this minute, and the count of all that found no room. */
class Crowd {
  readonly #counts = new Map<string, Count>();
  readonly #max: number;
  readonly #rest: AuditEntry;
  #others: Count | undefined;

  constructor(max: number, rest: AuditEntry) {
    this.#max = max;
    this.#rest = rest;
  }

  /** What is to be written now: the refusal, where it is the first of its kind in its window. */
  add(refusal: GateRefusal, now: number): AuditEntry[] {
    const { operation, serial, code, address } = refusal;
    const key = JSON.stringify([operation, serial, code, findNetwork(address)]);
    const count = this.#counts.get(key);
    if (count !== undefined && !isOver(count, now)) {
      count.more += 1;
      count.last = now;
      return [];
    }
    if (count === undefined && this.#counts.size >= this.#max) {
      this.#others ??= { first: this.#rest, since: now, last: now, more: 0 };
      this.#others.more += 1;
      this.#others.last = now;
      return [];
    }
    const first = toEntry(refusal, now);
    this.#counts.set(key, { first, since: now, last: now, more: 0 });
    return count !== undefined && count.more > 0 ? [summarise(count), first] : [first];
  }

  /** Takes out the windows that are over, all of them without a time; answers what they counted. */
  take(now?: number): AuditEntry[] {
    const isDue = (count: Count): boolean => now === undefined || isOver(count, now);
    const over = [...this.#counts].filter(([, count]) => isDue(count));
    for (const [key] of over) this.#counts.delete(key);
    const counts = over.map(([, count]) => count).filter(({ more }) => more > 0);
    if (this.#others && isDue(this.#others)) {
      counts.push(this.#others);
      this.#others = undefined;
    }
    return counts.map(summarise);
  }
}

/** Begins to take note; the timer of its windows holds no process back. */
export function createGateAudit(parts: OutboxParts): GateAudit {
  const outbox = new AuditOutbox(parts);
  const known = new Crowd(
    MAX_KNOWN,
    createRest('gate.request', 'more certificates and addresses than are told apart'),
  );
  const strangers = new Crowd(
    MAX_STRANGERS,
    createRest('gate.handshake', 'other addresses: more than are told apart'),
  );
  let closed = false;
  const sweep = (): void => {
    const now = parts.now();
    outbox.add([...strangers.take(now), ...known.take(now)]);
  };
  const timer = setInterval(sweep, SWEEP_MS);
  timer.unref();
  return {
    sweep,
    note(refusal) {
      if (closed) return;
      const crowd = refusal.serial === null ? strangers : known;
      outbox.add(crowd.add(refusal, parts.now()));
    },
    async close() {
      clearInterval(timer);
      closed = true;
      outbox.add([...strangers.take(), ...known.take()]);
      await outbox.finish();
    },
  };
}
