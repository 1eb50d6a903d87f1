/** `aptkeep export`: leaving is easy. Floor 9. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { addLeaf, collectWords } from './command.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

export function addExportCommand(program: Command): void {
  addLeaf(program, {
    usage: 'export <dir>',
    summary: 'write suites as a plain tree that any web server can serve, or bring one up to date',
    example: 'aptkeep export /srv/www/debian --suite stable',
    options: (command) =>
      command.option('--suite <names>', 'these suites (default: all)', collectWords),
    run: async (performer, options, [folder]) => {
      const isElsewhere = options.server !== undefined && options.data === undefined;
      const suites = options.suite as string[] | undefined;
      const json = await performer.perform('suite.export', {
        directory: isElsewhere ? String(folder) : resolve(String(folder)),
        ...(suites === undefined ? {} : { suites }),
      });
      const rows = json.suites.map(({ suite, publication, validUntil }) => [
        suite,
        String(publication),
        formatTime(validUntil),
      ]);
      const counts = renderPairs([
        ['files', String(json.files)],
        ['written', String(json.written)],
        ['removed', String(json.removed)],
      ]);
      const table = renderTable(['SUITE', 'PUBLICATION', 'VALID UNTIL'], rows);
      return { json, text: `${table}${counts}` };
    },
  });
}
