/** `aptkeep audit`: the audit log, read, proven and handed on. Floor 9. */
import { once } from 'node:events';
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, allowVerbs, type LeafOptions, parseCount, type Shown } from './command.ts';
import type { Performer } from './performer.ts';
import { formatTime, paint, renderPairs, renderTable } from './table.ts';

const EXPORT_PAGE_ENTRIES = 1000;

type Entry = OutputOf<'audit.list'>['entries'][number];

/** Entries of before the log was chained were written down as they came. */
const printable = (text: string): string => text.replace(/\p{C}/gu, '?');

const readSince = ({ since }: LeafOptions): { since?: string } =>
  since === undefined ? {} : { since: String(since) };

function renderEntries(entries: readonly Entry[]): string {
  const rows = entries.map((entry) => [
    formatTime(entry.at),
    entry.actor,
    entry.address ?? 'local',
    entry.operation,
    entry.outcome,
    entry.detail || entry.subject,
  ]);
  const heading = ['TIME', 'WHO', 'FROM', 'OPERATION', 'OUTCOME', 'WHAT'];
  return renderTable(
    heading,
    rows.map((row) => row.map(printable)),
  );
}

/** Waits where the reader is slower than we are; false once there is nobody to read. */
async function writeOut(text: string): Promise<boolean> {
  const { stdout } = process;
  if (!stdout.writable) return false;
  if (stdout.write(text)) return true;
  return once(stdout, 'drain').then(
    () => true,
    () => false,
  );
}

/** One entry a line, page by page: the log may be larger than memory. */
async function exportEntries(performer: Performer, options: LeafOptions): Promise<void> {
  let after = options.after === undefined ? 0 : Number(options.after);
  let since = readSince(options);
  for (;;) {
    const input = { ...since, after, limit: EXPORT_PAGE_ENTRIES };
    const { entries } = await performer.perform('audit.list', input);
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    const last = entries.at(-1);
    if (last === undefined || !(await writeOut(lines))) return;
    after = last.number;
    since = {};
  }
}

function showVerdict(json: OutputOf<'audit.verify'>): Shown {
  const { valid, entries, head, fault } = json;
  const text = renderPairs([
    ['valid', valid ? paint('yes', 'green') : paint('no', 'red')],
    ...(fault ? [['fault', `at entry ${fault.number}: ${fault.why}`] as const] : []),
    ['entries', fault ? `${entries} whole before it` : String(entries)],
    ['head', `${head.number}:${head.hash}`],
  ]);
  return valid ? { json, text } : { json, text, status: 1 };
}

export function addAuditCommands(program: Command): void {
  const audit = addLeaf(program, {
    usage: 'audit',
    summary: 'who changed what, when and from where, and what was refused, newest first',
    example: 'aptkeep audit --since 2026-11-01',
    options: (command) =>
      command
        .option('--since <time>', 'from this ISO 8601 time on')
        .option('--limit <n>', 'at most so many entries', parseCount),
    run: async (performer, options) => {
      const limit = options.limit === undefined ? {} : { limit: Number(options.limit) };
      const json = await performer.perform('audit.list', { ...readSince(options), ...limit });
      return { json, text: renderEntries(json.entries) };
    },
  });
  allowVerbs(audit);
  addLeaf(audit, {
    usage: 'verify',
    summary: 'prove that no entry was changed, taken out or put in (exit status 1 where one was)',
    example: 'aptkeep audit verify --head "$(cat head-of-yesterday)"',
    options: (command) =>
      command.option('--head <number:hash>', 'a head of an earlier day, to be in the log still'),
    run: async (performer, { head }) =>
      showVerdict(
        await performer.perform('audit.verify', head === undefined ? {} : { head: String(head) }),
      ),
  });
  addLeaf(audit, {
    usage: 'export',
    summary: 'all of it as JSON lines on standard output, oldest first',
    example: 'aptkeep audit export > audit.jsonl',
    options: (command) =>
      command
        .option('--since <time>', 'from the first entry of this ISO 8601 time on')
        .option(
          '--after <number>',
          'only what follows this entry, the last one of before',
          parseCount,
        ),
    run: async (performer, options) => {
      await exportEntries(performer, options);
      return { json: undefined, text: '' };
    },
  });
}
