/** `aptkeep crl`: the revocation list. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

function showCrl(json: OutputOf<'crl.show'>): Shown {
  const pairs = renderPairs([
    ['number', String(json.number)],
    ['thisUpdate', formatTime(json.thisUpdate)],
    ['nextUpdate', formatTime(json.nextUpdate)],
    ['fresh', json.fresh ? 'yes' : 'no: nobody is let in'],
    ['revoked', String(json.entries.length)],
  ]);
  const rows = json.entries.map((entry) => [
    entry.serial,
    formatTime(entry.revokedAt),
    entry.reason ?? 'unspecified',
  ]);
  const table = rows.length ? `\n${renderTable(['SERIAL', 'REVOKED', 'REASON'], rows)}` : '';
  return { json, text: pairs + table };
}

export function addCrlCommands(program: Command): void {
  const crl = addNoun(program, 'crl', 'the revocation list', 'aptkeep crl show');
  addLeaf(crl, {
    usage: 'show',
    summary: 'the list in force',
    example: 'aptkeep crl show',
    run: async (performer) => showCrl(await performer.perform('crl.show', {})),
  });
  addLeaf(crl, {
    usage: 'refresh',
    summary: 'issue the next list now; opens the door again when the last one ran out',
    example: 'aptkeep crl refresh',
    run: async (performer) => showCrl(await performer.perform('crl.refresh', {})),
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
