/**
 * Work that stops everything else while it lasts, given room in between: reading a list of a hundred
 * thousand into the TLS context takes 200 ms, and one list may follow the other. Nothing depends on
 * that being prompt, because every request is judged by serial as well. Floor 7.
 */

/** Work takes no more than about one part in so many of the time. */
const SHARE = 10;

export interface SpacedWork {
  /** Now where there is room, or else as soon as there is; what is asked for in between is one. */
  start(): void;
  stop(): void;
}

export function spaceOut(work: () => Promise<void>, explain: (error: unknown) => void): SpacedWork {
  let notBefore = 0;
  let isWanted = false;
  let isRunning = false;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    isRunning = true;
    isWanted = false;
    const begun = performance.now();
    await work().catch(explain);
    const ended = performance.now();
    notBefore = ended + (ended - begun) * (SHARE - 1);
    isRunning = false;
    if (isWanted) start();
  };
  const start = (): void => {
    isWanted = true;
    if (isRunning || timer !== undefined) return;
    const wait = notBefore - performance.now();
    if (wait <= 0) {
      // Never rejects: what goes wrong is explained.
      run().catch(() => {});
      return;
    }
    timer = setTimeout(() => {
      timer = undefined;
      start();
    }, wait);
    timer.unref();
  };
  return {
    start,
    stop() {
      clearTimeout(timer);
      isWanted = false;
    },
  };
}
