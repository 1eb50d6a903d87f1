/**
 * `aptkeep status --check`: one line and an exit status for a monitoring system. Source of truth:
 * the Monitoring Plugins Development Guidelines (states 0 to 3, performance data). Floor 9.
 */
import type { OutputOf } from '../operations/table.ts';
import type { Shown } from './command.ts';
import { describeFailure } from './exit.ts';
import { formatSpan } from './table.ts';

type Status = OutputOf<'status.show'>;

const STATES = { ok: ['OK', 0], warning: ['WARNING', 1], error: ['CRITICAL', 2] } as const;

/** What a person has to read of it: what is wrong, or how long all is well. */
function summarise(status: Status, faults: readonly string[]): string {
  if (faults.length > 0) return faults.join('; ');
  const [next] = status.clocks
    .filter((clock) => clock.secondsLeft !== null)
    .sort((a, b) => (a.secondsLeft ?? 0) - (b.secondsLeft ?? 0));
  const first = next
    ? `; ${next.name} is the first to run out, in ${formatSpan(next.secondsLeft ?? 0)}`
    : '';
  return `the door is open${first}`;
}

/** Only printable text without what separates performance data. */
const label = (name: string): string => name.replace(/[^\w .:-]/g, '_');

/** @param isServer false where no server runs on the directory that was asked. */
export function renderCheck(status: Status, isServer: boolean): Shown {
  const faults = status.clocks
    .filter((clock) => clock.state !== 'ok')
    .map((clock) =>
      (clock.secondsLeft ?? 0) < 0
        ? `${clock.name} ran out ${formatSpan(-(clock.secondsLeft ?? 0))} ago`
        : `${clock.name}: ${formatSpan(clock.secondsLeft ?? 0)} left`,
    );
  if (status.door === 'closed') faults.unshift('the door is closed: revocation list out of date');
  if (!isServer) faults.unshift('no server runs on this data directory');
  const health = isServer && status.door === 'open' ? status.health : 'error';
  const [word, code] = STATES[health];
  const numbers = status.clocks
    .filter((clock) => clock.secondsLeft !== null)
    .map((clock) => `'${label(clock.name)}'=${clock.secondsLeft}s`);
  const line = `APTKEEP ${word} - ${summarise(status, faults)} | ${numbers.join(' ')}\n`;
  return { json: { ...status, health, check: word, faults }, text: line, status: code };
}

/** A question that could not be asked is UNKNOWN, which is not the same as bad. */
export function renderUnknown(error: unknown): Shown {
  const { message } = describeFailure(error);
  const [why = ''] = message.replace(/^aptkeep: /, '').split('\n', 1);
  return { json: { check: 'UNKNOWN', why }, text: `APTKEEP UNKNOWN - ${why}\n`, status: 3 };
}
