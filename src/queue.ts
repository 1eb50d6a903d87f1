/**
 * A queue of work: one at a time, first come, first served, whatever the one before came to.
 * Floor 0.
 */

export interface Queue {
  /** Runs `work` after all that came before; resolves or rejects as it does. */
  add<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Work queued or running. */
  readonly length: number;
  /** Resolves when all that was queued until now is over; never rejects. */
  drain(): Promise<void>;
}

/** An empty queue. */
export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  let length = 0;
  return {
    add(work) {
      length += 1;
      const result = last.then(work).finally(() => {
        length -= 1;
      });
      last = result.catch(() => undefined);
      return result;
    },
    get length() {
      return length;
    },
    async drain() {
      await last;
    },
  };
}
