/** `aptkeep status`. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { describeFollowers } from './ca.ts';
import { renderCheck, renderUnknown } from './check.ts';
import { addLeaf } from './command.ts';
import { formatBytes, formatSpan, formatTime, paint, renderPairs, renderTable } from './table.ts';

type Status = OutputOf<'status.show'>;

const COLOURS = { ok: 'green', warning: 'yellow', error: 'red' } as const;

function renderStatus(status: Status): string {
  const { certificates, load } = status;
  const door =
    status.door === 'open'
      ? 'open'
      : paint('closed: the revocation list is out of date; run `aptkeep crl refresh`', 'red');
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
      `${load.connections} connections, ${load.requests} requests, ${load.refusals} refusals, ${load.uploads} uploads in ${formatSpan(load.uptimeSeconds)}; ${formatBytes(load.memoryBytes)}`,
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
  const rotations = status.rotations.map(
    ({ what, followers, end }) => `${describeFollowers(what, followers, `end it with ${end}`)}\n`,
  );
  const notes = rotations.length > 0 ? `\n${rotations.join('')}` : '';
  return `${head}\n${clocks}\n${suites}${notes}`;
}

export function addStatusCommands(program: Command): void {
  addLeaf(program, {
    usage: 'status',
    summary: 'health, clocks, suites and load on one screen',
    example: 'aptkeep status --check',
    options: (command) =>
      command.option(
        '--check',
        'one line for a monitoring system, and its exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN',
      ),
    run: async (performer, options) => {
      const json = await performer.perform('status.show', {});
      if (options.check) return renderCheck(json, performer.isServer);
      return { json, text: renderStatus(json) };
    },
    explain: (error, options) => (options.check ? renderUnknown(error) : undefined),
  });
}
