/** `aptkeep sweep`: what nothing needs any more is freed. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, type Shown } from './command.ts';
import { formatBytes, renderTable } from './table.ts';

type Report = OutputOf<'sweep.run'>;

const WORDS: Readonly<Record<keyof Report['totals'], [string, string]>> = {
  publication: ['publication', 'publications'],
  listing: ['package out of its suite', 'packages out of their suites'],
  package: ['package of the pool', 'packages of the pool'],
  index: ['index', 'indexes'],
  orphan: ['file without facts', 'files without facts'],
};

function summarise({ totals, bytes }: Report): string {
  const parts = (Object.keys(WORDS) as (keyof Report['totals'])[])
    .filter((kind) => totals[kind].count > 0)
    .map((kind) => {
      const { count } = totals[kind];
      const [one, more] = WORDS[kind];
      return `${count} ${count === 1 ? one : more}`;
    });
  return parts.length === 0 ? 'nothing' : `${parts.join(', ')}: ${formatBytes(bytes)}`;
}

function show(report: Report, dryRun: boolean): Shown {
  const rows = report.things.map((thing) => [
    thing.kind,
    thing.name,
    thing.bytes === 0 ? '' : formatBytes(thing.bytes),
    thing.why,
  ]);
  const { foreign, published } = report;
  const lines = [
    ...(rows.length > 0 ? [renderTable(['WHAT', 'NAME', 'BYTES', 'WHY'], rows)] : []),
    `${dryRun ? 'would free' : 'freed'} ${summarise(report)}\n`,
    ...published.map(({ suite, publication }) => `published ${suite} ${publication}\n`),
    ...(foreign.count > 0
      ? [
          `left alone: ${foreign.count} files (${formatBytes(foreign.bytes)}) older than this repository; --foreign takes them too\n`,
        ]
      : []),
  ];
  return { json: { dryRun, ...report }, text: lines.join('') };
}

export function addSweepCommand(program: Command): void {
  addLeaf(program, {
    usage: 'sweep',
    summary: 'apply retention and free what nothing needs any more; the server does it every day',
    example: 'aptkeep sweep --dry-run',
    options: (command) =>
      command
        .option('--dry-run', 'only say what would go, and why')
        .option('--foreign', 'also files without facts that are older than the repository'),
    run: async (performer, options) => {
      const input = options.foreign ? { foreign: true } : {};
      return options.dryRun
        ? show(await performer.perform('sweep.show', input), true)
        : show(await performer.perform('sweep.run', input), false);
    },
  });
}
