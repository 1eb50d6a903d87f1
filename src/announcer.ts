/**
 * Those who keep a copy of something, told of each change at once and in order; whoever made a
 * change may wait until all of them have taken it over. Floor 0.
 */

/** May answer a promise: `settled` waits for it, and takes a failure for an end. */
export type Listener<Change> = (change: Change) => Promise<void> | void;

export class Announcer<Change> {
  readonly #listeners = new Set<Listener<Change>>();
  readonly #pending = new Set<Promise<void>>();

  /** Calls `listener` after every change; the answer ends that. */
  subscribe(listener: Listener<Change>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(change: Change): void {
    for (const listener of this.#listeners) {
      const work = listener(change);
      if (!work) continue;
      const settled: Promise<void> = work
        .catch(() => {})
        .finally(() => this.#pending.delete(settled));
      this.#pending.add(settled);
    }
  }

  /** Resolves when every listener has taken over what was told so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
