/** `aptkeep status` and `aptkeep audit`. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, parseCount } from './command.ts';
import { formatBytes, formatSpan, formatTime, paint, renderPairs, renderTable } from './table.ts';

type Status = OutputOf<'status.show'>;

const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const;

function renderStatus(status: Status): string {
  const { certificates, load } = status;
  const door =
    status.door === 'open'
      ? 'open'
      : paint('closed: the revocation list is out of date; run `aptkeep crl refresh`', 'red');
  const workers = load.workers > 1 ? `${load.workers} workers, ` : '';
  const head = renderPairs([
    ['health', paint(status.health, COLOURS[status.health])],
    ['door', door],
    ['url', status.url],
    [
      'certificates',
      `${certificates.valid} valid, ${certificates.expired} expired, ${certificates.revoked} revoked`,
    ],
    [
      'load',
      `${load.connections} connections, ${load.requests} requests, ${load.refusals} refusals, ${load.uploads} uploads in ${formatSpan(load.uptimeSeconds)}; ${workers}${formatBytes(load.memoryBytes)}`,
    ],
  ]);
  const clocks = renderTable(
    ['CLOCK', 'UNTIL', 'LEFT', 'STATE'],
    status.clocks.map((clock) => [
      clock.name,
      clock.until === null ? 'never ends' : formatTime(clock.until),
      clock.secondsLeft === null ? '-' : formatSpan(clock.secondsLeft),
      paint(clock.state, COLOURS[clock.state]),
    ]),
  );
  const suites = renderTable(
    ['SUITE', 'PACKAGES', 'PUBLICATION', 'DATE'],
    status.suites.map((suite) => [
      suite.name,
      String(suite.packages),
      String(suite.publication),
      formatTime(suite.date),
    ]),
  );
  return `${head}\n${clocks}\n${suites}`;
}

export function addStatusCommands(program: Command): void {
  addLeaf(program, {
    usage: 'status',
    summary: 'health, clocks, suites and load on one screen',
    example: 'aptkeep status',
    run: async (performer) => {
      const json = await performer.perform('status.show', {});
      return { json, text: renderStatus(json) };
    },
  });
  addLeaf(program, {
    usage: 'audit',
    summary: 'who changed what, when and from where, newest first',
    example: 'aptkeep audit --since 2026-11-01',
    options: (command) =>
      command
        .option('--since <time>', 'from this ISO 8601 time on')
        .option('--limit <n>', 'at most so many entries', parseCount),
    run: async (performer, options) => {
      const json = await performer.perform('audit.list', {
        ...(options.since === undefined ? {} : { since: String(options.since) }),
        ...(options.limit === undefined ? {} : { limit: Number(options.limit) }),
      });
      const rows = json.entries.map((entry) => [
        formatTime(entry.at),
        entry.actor,
        entry.address ?? 'local',
        entry.operation,
        entry.outcome,
        entry.detail || entry.subject,
      ]);
      return {
        json,
        text: renderTable(['TIME', 'WHO', 'FROM', 'OPERATION', 'OUTCOME', 'WHAT'], rows),
      };
    },
  });
}
