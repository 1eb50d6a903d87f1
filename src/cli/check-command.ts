/** `aptkeep check`: proves the whole, and puts right what can be. Floor 9. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { RefusalError } from '../errors.ts';
import { createLocalActor } from '../http/socket.ts';
import { createLogger } from '../log.ts';
import type { OutputOf } from '../operations/table.ts';
import type { RecoverReport } from '../recover.ts';
import {
  addLeaf,
  collectWords,
  type LeafOptions,
  readConfig,
  type Shown,
  type TargetOptions,
} from './command.ts';
import type { Performer } from './performer.ts';
import { startBar } from './progress.ts';
import { connectSocket } from './remote.ts';
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

const count = (number: number, one: string, more = `${one}s`): string =>
  `${number} ${number === 1 ? one : more}`;

function summarise({ faults, garbage, read }: Report): string {
  const { packages, publications, indexes, bytes } = read;
  const seen = `${count(packages, 'package')}, ${count(publications, 'publication')}, ${count(indexes, 'index', 'indexes')}, ${formatBytes(bytes)} read`;
  const verdict = faults === 0 ? paint('no fault', 'green') : paint(count(faults, 'fault'), 'red');
  const left =
    garbage.files + garbage.packages === 0
      ? ''
      : `; left for a sweep: ${count(garbage.files, 'file')}, ${count(garbage.packages, 'package')}, ${formatBytes(garbage.bytes)}`;
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

function showRecovery(report: RecoverReport): string {
  const { loss, suites, packages, unlisted, certificates, warnings } = report;
  const { revoked, recorded, refused } = certificates;
  const lines = [
    `the catalog was ${loss}; it was made again from pool/, dists/ and certs/`,
    ...suites.map(
      (one) =>
        `suite ${one.suite}: ${count(one.packages, 'package')}, publication ${one.publication}`,
    ),
    `recorded again: ${count(packages, 'package')} of the pool`,
    ...(unlisted.count > 0
      ? [
          `in no suite: ${count(unlisted.count, 'package')} (${formatBytes(unlisted.bytes)}); a sweep frees them, an upload of the same file keeps them`,
        ]
      : []),
    `stay revoked: ${count(revoked, 'certificate')}`,
    ...recorded.map(
      ({ name, role, serial }) => `may enter again: ${role} ${name}, serial ${serial}`,
    ),
    ...refused.map((why) => `not taken back: ${why}`),
    'lost: who else had a certificate (hosts need new kits, others new certificates), groups, limits of uploaders, retention, signers, past publications, the audit log',
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
  return `${lines.join('\n')}\n`;
}

/** Without a catalog nothing opens: it is made again first. */
async function recoverFirst(options: LeafOptions & TargetOptions): Promise<void> {
  const { suite, certificates = [] } = options as { suite?: string; certificates?: string[] };
  const isRemote = options.server !== undefined && options.data === undefined;
  if (!options.repair && (suite !== undefined || certificates.length > 0)) {
    throw new RefusalError('USAGE_INVALID', '--suite and --certificates go with --repair');
  }
  if (!options.repair || isRemote) return;
  const config = readConfig(options);
  const running = await connectSocket(config.data);
  if (running) return running.close();
  const { recoverCatalog } = await import('../recover.ts');
  const bar = startBar('reading');
  let bytes = 0;
  const read = (more: number): void => {
    bytes += more;
    bar.show(0, 1, formatBytes(bytes));
  };
  const actor = createLocalActor().name;
  const request = { suite, certificates, actor, read };
  const report = await recoverCatalog(config, createLogger('warn'), request).finally(bar.stop);
  if (report) options.recovered = report;
  else if (suite !== undefined || certificates.length > 0) {
    const why = '--suite and --certificates are for a catalog that is lost: this one is not';
    throw new RefusalError('USAGE_INVALID', why);
  }
}

export function addCheckCommand(program: Command): void {
  addLeaf(program, {
    usage: 'check',
    summary: 'prove that everything is as it was recorded, and name what is not (exit status 1)',
    example: 'aptkeep check',
    options: (command) =>
      command
        .option('--quick', 'read no bytes: catalog, signatures and sizes of files only')
        .option('--repair', 'put right what can be; makes a catalog that is lost again')
        .option(
          '--suite <name>',
          'with a lost catalog: where packages go that dists/ does not list',
        )
        .option(
          '--certificates <files>',
          'with a lost catalog: certificates of hosts, observers and admins that may enter again',
          collectWords,
        ),
    prepare: recoverFirst,
    run: async (performer, options) => {
      const input = options.quick ? { quick: true } : {};
      if (options.repair) await performer.perform('check.repair', input);
      else await performer.perform('check.start', input);
      const { report, failure } = await watch(performer);
      if (!report) throw new RefusalError('CHECK_FAILED', failure ?? 'it ended without a report');
      const shown = showReport(report);
      const recovered = options.recovered as RecoverReport | undefined;
      if (!recovered) return shown;
      const text = showRecovery(recovered) + shown.text;
      return { ...shown, json: { recovered, ...report }, text };
    },
  });
}
