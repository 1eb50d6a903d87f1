/**
 * Entries on their way into the audit log that nobody waits for: in memory up to a bound, written
 * in batches, one transaction for many. A disk that is full is tried again; what found no room
 * meanwhile is counted, and the count written. Floor 7.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEntry } from '../catalog/audit-chain.ts';
import type { Logger } from '../log.ts';

const MAX_WAITING = 5000;
const MAX_BATCH = 500;
/** After a failure. */
const RETRY_MS = 10_000;

export interface OutboxParts {
  append: (entries: readonly AuditEntry[]) => Promise<unknown>;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export class AuditOutbox {
  readonly #parts: OutboxParts;
  readonly #waiting: AuditEntry[] = [];
  #writing: Promise<void> | undefined;
  #failedAt: number | undefined;
  #lost = 0;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  add(entries: readonly AuditEntry[]): void {
    const room = Math.max(MAX_WAITING - this.#waiting.length, 0);
    this.#waiting.push(...entries.slice(0, room));
    this.#lost += Math.max(entries.length - room, 0);
    this.start();
  }

  /** Begins to write, unless it is under way or failed a moment ago. */
  start(): void {
    const since = this.#parts.now() - (this.#failedAt ?? Number.NEGATIVE_INFINITY);
    if (this.#waiting.length === 0 || (since >= 0 && since < RETRY_MS)) return;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    // What is refused in this turn of the event loop shares a transaction.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      try {
        await this.#parts.append(batch);
      } catch (error) {
        this.#failedAt = this.#parts.now();
        const waiting = this.#waiting.length;
        const event = 'gate.audit not written';
        this.#parts.log.error({ event, waiting, lost: this.#lost, error: String(error) });
        return;
      }
      this.#failedAt = undefined;
      this.#waiting.splice(0, batch.length);
      if (this.#lost > 0) this.#waiting.push(this.#tellLost());
    }
  }

  #tellLost(): AuditEntry {
    const detail = `${this.#lost} entries were lost while nothing could be written`;
    this.#lost = 0;
    const at = new Date(this.#parts.now()).toISOString();
    return {
      ...{ at, actor: 'several', role: 'unknown', serial: null, address: 'several' },
      ...{ operation: 'gate.request', subject: 'refusals not written', outcome: 'refused', detail },
    };
  }

  /** Writes all that waits, or tries to once more. */
  async finish(): Promise<void> {
    await this.#writing;
    this.#failedAt = undefined;
    this.start();
    await this.#writing;
  }
}
