/** `aptkeep crl`: the revocation list. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun } from './command.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

function describeCrl(json: OutputOf<'crl.show'>): string {
  const pairs = renderPairs([
    ['number', String(json.number)],
    ['thisUpdate', formatTime(json.thisUpdate)],
    ['nextUpdate', formatTime(json.nextUpdate)],
    ['fresh', json.fresh ? 'yes' : 'no: nobody is let in'],
    ['revoked', String(json.entries.length)],
  ]);
  const lists = renderTable(
    ['AUTHORITY', 'NUMBER', 'NEXT UPDATE', 'REVOKED'],
    json.lists.map((one) => [
      one.authority,
      one.number === 0 ? '-' : String(one.number),
      formatTime(one.nextUpdate),
      String(one.revoked),
    ]),
  );
  const sources = renderTable(
    ['SOURCE', 'READ', 'GIVES', 'FAULT'],
    json.sources.map((one) => [
      one.source,
      one.readAt === null ? 'never' : formatTime(one.readAt),
      one.authorities.join(', ') || '-',
      one.fault ?? '-',
    ]),
  );
  const several = json.lists.length > 1 || json.sources.length > 0;
  const foreign = several ? `\n${lists}${json.sources.length > 0 ? `\n${sources}` : ''}` : '';
  return pairs + foreign;
}

/** A list may name a hundred thousand; who asked to look at it sees them all. */
function showEntries(json: OutputOf<'crl.show'>): string {
  const several = json.lists.length > 1 || json.sources.length > 0;
  const rows = json.entries.map((entry) => [
    entry.serial,
    formatTime(entry.revokedAt),
    entry.reason ?? 'unspecified',
    ...(several ? [entry.authority] : []),
  ]);
  const heads = ['SERIAL', 'REVOKED', 'REASON', ...(several ? ['AUTHORITY'] : [])];
  return rows.length ? `\n${renderTable(heads, rows)}` : '';
}

export function addCrlCommands(program: Command): void {
  const crl = addNoun(program, 'crl', 'the revocation list', 'aptkeep crl show');
  addLeaf(crl, {
    usage: 'show',
    summary: 'the list in force',
    example: 'aptkeep crl show',
    run: async (performer) => {
      const json = await performer.perform('crl.show', {});
      return { json, text: describeCrl(json) + showEntries(json) };
    },
  });
  addLeaf(crl, {
    usage: 'refresh',
    summary:
      "issue the next list now, or read those of a site's own CA; opens the door when one ran out",
    example: 'aptkeep crl refresh',
    run: async (performer) => {
      const json = await performer.perform('crl.refresh', {});
      return { json, text: describeCrl(json) };
    },
  });
  addLeaf(crl, {
    usage: 'export',
    summary: 'the list in force, as PEM on standard output',
    example: 'aptkeep crl export | openssl crl -noout -text',
    run: async (performer) => {
      const json = await performer.perform('crl.export', {});
      return { json, text: json.pem };
    },
  });
}
