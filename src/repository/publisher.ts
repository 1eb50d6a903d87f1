/**
 * Publications in line: what arrives while one is being made is published together in the next,
 * and each caller's answer waits for the one that contains its change. Floor 3.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { isListed } from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { type Addition, type Change, type ChangePlan, isEmpty, type Removal } from './change.ts';
import { type PublishParts, publishSuite } from './publish.ts';
import { getSuite } from './suites.ts';

interface Waiting {
  change: Change | ChangePlan;
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

  /**
   * Resolves with the publication that holds the change, once it is durable; with the current one
   * where a plan found nothing to change, or a change adds only what is listed already.
   */
  submit(suite: string, change: Change | ChangePlan): Promise<{ number: number }> {
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
      const batch = this.#take(suite);
      if (batch.length === 0) break;
      try {
        const publication = await this.#parts.catalog.lock(`suite:${suite}`, () =>
          this.#publish(suite, batch),
        );
        for (const one of batch) one.resolve(publication);
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    this.#running.delete(suite);
  }

  #take(suite: string): Waiting[] {
    const waiting = this.#waiting.get(suite) ?? [];
    const batch = takeTogether(waiting);
    if (waiting.length === 0) this.#waiting.delete(suite);
    return batch;
  }

  async #publish(suite: string, batch: readonly Waiting[]): Promise<{ number: number }> {
    const asked = await this.#workOut(suite, batch);
    const change = asked && (await leaveOutIdle(this.#parts.catalog, suite, asked));
    if (!change) return { number: (await getSuite(this.#parts, suite)).publication };
    try {
      return await publishSuite(this.#parts, suite, change);
    } catch (error) {
      this.#parts.indexes.forget(suite);
      throw error;
    }
  }

  async #workOut(suite: string, batch: readonly Waiting[]): Promise<Change | undefined> {
    const [first] = batch;
    if (typeof first?.change === 'function') {
      return first.change(await getSuite(this.#parts, suite));
    }
    return joinChanges(
      batch.map((one) => one.change).filter((change) => typeof change !== 'function'),
    );
  }
}

/** The changes that can be published together; a plan is alone, it has to see what is before it. */
function takeTogether(waiting: Waiting[]): Waiting[] {
  const plan = waiting.findIndex((one) => typeof one.change === 'function');
  return waiting.splice(0, plan === -1 ? waiting.length : Math.max(plan, 1));
}

/**
 * What of a change is one; undefined where it only adds what stands there already, or takes out
 * what does not.
 */
async function leaveOutIdle(
  sql: SqlExecutor,
  suite: string,
  change: Change,
): Promise<Change | undefined> {
  const stands = async ({ component, row }: Removal): Promise<boolean> =>
    (await isListed(sql, suite, component, row.id)) !== undefined;
  const removals: Removal[] = [];
  for (const removal of change.removals) if (await stands(removal)) removals.push(removal);
  const removed = new Set(removals.map(({ component, row }) => `${component} ${row.id}`));
  const additions: Addition[] = [];
  for (const addition of change.additions) {
    const comes = addition.isNew || removed.has(`${addition.component} ${addition.row.id}`);
    if (comes || !(await stands(addition))) additions.push(addition);
  }
  if (isEmpty(change)) return change;
  const left = { ...change, additions, removals };
  return isEmpty(left) && !change.signsAgain ? undefined : left;
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
    signsAgain: changes.some((change) => change.signsAgain || isEmpty(change)),
    reason: distinct(changes.map((change) => change.reason)),
    actor: distinct(changes.map((change) => change.actor)),
    notes: changes.flatMap((change) => change.notes ?? []),
  };
}

const emptyChange: Change = { additions: [], removals: [], reason: '', actor: '' };
