/** `aptkeep check`: proves the whole, and puts right what can be. Floor 9. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { RefusalError } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, type Shown } from './command.ts';
import type { Performer } from './performer.ts';
import { startBar } from './progress.ts';
import { formatBytes, paint, renderTable } from './table.ts';

type State = OutputOf<'check.show'>;
type Report = NonNullable<State['report']>;

/** How often a check that is under way is looked at. */
const LOOK_MS = 200;

/** Waits for the end of a check, here or on a server. */
async function watch(performer: Performer): Promise<State> {
  const bar = startBar('checking');
  try {
    for (;;) {
      const state = await performer.perform('check.show', {});
      if (!state.running) return state;
      const { step = '', done = 0, total = 1 } = state.progress ?? {};
      bar.show(done, total, step);
      await delay(LOOK_MS);
    }
  } finally {
    bar.stop();
  }
}

function summarise({ faults, garbage, read }: Report): string {
  const { packages, publications, indexes, bytes } = read;
  const seen = `${packages} packages, ${publications} publications, ${indexes} indexes, ${formatBytes(bytes)} read`;
  const verdict = faults === 0 ? paint('no fault', 'green') : paint(`${faults} faults`, 'red');
  const left =
    garbage.files + garbage.packages === 0
      ? ''
      : `; ${garbage.files} files and ${garbage.packages} packages (${formatBytes(garbage.bytes)}) are left for a sweep`;
  return `${verdict}: ${seen}${left}\n`;
}

export function showReport(report: Report): Shown {
  const rows = report.findings.map(({ code, subject, why }) => [code, subject, why]);
  const text = [
    ...(rows.length > 0 ? [renderTable(['WHAT', 'WHERE', 'WHY'], rows)] : []),
    ...report.repaired.map((line) => `repaired: ${line}\n`),
    summarise(report),
  ].join('');
  return report.faults === 0 ? { json: report, text } : { json: report, text, status: 1 };
}

export function addCheckCommand(program: Command): void {
  addLeaf(program, {
    usage: 'check',
    summary: 'prove that everything is as it was recorded, and name what is not (exit status 1)',
    example: 'aptkeep check',
    options: (command) =>
      command
        .option('--quick', 'read no bytes: catalog, signatures and sizes of files only')
        .option('--repair', 'put right what can be'),
    run: async (performer, options) => {
      const input = options.quick ? { quick: true } : {};
      if (options.repair) await performer.perform('check.repair', input);
      else await performer.perform('check.start', input);
      const { report, failure } = await watch(performer);
      if (report) return showReport(report);
      throw new RefusalError('CHECK_FAILED', failure ?? 'it ended without a report');
    },
  });
}
