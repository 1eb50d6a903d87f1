/** A bar on a terminal, silence elsewhere. Floor 9. */
import { SingleBar } from 'cli-progress';

export interface ProgressBar {
  /** How far it is of how much, and what is written behind. */
  show(done: number, total: number, text: string): void;
  stop(): void;
}

/** @param label what is being done, before the bar. */
export function startBar(label: string): ProgressBar {
  if (!process.stderr.isTTY) return { show: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `${label} [{bar}] {percentage}%  {text}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(1, 0, { text: '' });
  return {
    show(done, total, text) {
      bar.setTotal(Math.max(total, 1));
      bar.update(Math.min(done, total), { text });
    },
    stop: () => bar.stop(),
  };
}
