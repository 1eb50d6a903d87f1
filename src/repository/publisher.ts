/**
 * Publications in line: what arrives while one is being made is published together in the next,
 * and each caller's answer waits for the one that contains its change. Floor 3.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Addition, Change } from './change.ts';
import { type PublishParts, publishSuite } from './publish.ts';

interface Waiting {
  change: Change;
  resolve: (publication: { number: number }) => void;
  reject: (error: unknown) => void;
}

export class Publisher {
  readonly #parts: PublishParts;
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #running = new Map<string, Promise<void>>();

  /** The loop serves many callers: it must not run inside a lock that one of them holds. */
  readonly #outside = AsyncLocalStorage.snapshot();

  constructor(parts: PublishParts) {
    this.#parts = parts;
  }

  /** Resolves with the publication that holds the change, once it is durable. */
  submit(suite: string, change: Change): Promise<{ number: number }> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(suite) ?? [];
      waiting.push({ change, resolve, reject });
      this.#waiting.set(suite, waiting);
      if (this.#running.has(suite)) return;
      this.#running.set(
        suite,
        this.#outside(() => this.#work(suite)),
      );
    });
  }

  /** Resolves when nothing is being published any more. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async #work(suite: string): Promise<void> {
    // One turn of the event loop: uploads that ended together are taken together.
    await new Promise(setImmediate);
    for (;;) {
      const batch = this.#waiting.get(suite) ?? [];
      this.#waiting.delete(suite);
      if (batch.length === 0) break;
      try {
        const publication = await this.#parts.catalog.lock(`suite:${suite}`, () =>
          publishSuite(this.#parts, suite, joinChanges(batch.map((one) => one.change))),
        );
        for (const one of batch) one.resolve(publication);
      } catch (error) {
        this.#parts.indexes.forget(suite);
        for (const one of batch) one.reject(error);
      }
    }
    this.#running.delete(suite);
  }
}

function joinChanges(changes: readonly Change[]): Change {
  const [first] = changes;
  if (!first || changes.length === 1) return first ?? emptyChange;
  const additions = new Map<string, Addition>();
  for (const addition of changes.flatMap((change) => change.additions)) {
    additions.set(`${addition.component} ${addition.row.id}`, addition);
  }
  const distinct = (words: string[]): string => [...new Set(words)].join(', ');
  return {
    additions: [...additions.values()],
    removals: changes.flatMap((change) => change.removals),
    reason: distinct(changes.map((change) => change.reason)),
    actor: distinct(changes.map((change) => change.actor)),
  };
}

const emptyChange: Change = { additions: [], removals: [], reason: '', actor: '' };
