/** `aptkeep package`. Floor 9. */
import type { Command } from 'commander';
import { addLeaf, addNoun } from './command.ts';
import { addMoves } from './package-moves.ts';
import { formatBytes, formatTime, renderTable } from './table.ts';

export function addPackageCommands(program: Command): void {
  const packages = addNoun(program, 'package', 'packages', 'aptkeep package list');
  addLeaf(packages, {
    usage: 'list [query]',
    summary: 'packages that a suite lists; QUERY is a part of the name',
    example: 'aptkeep package list moodle',
    options: (command) => command.option('--suite <name>', 'only this suite'),
    run: async (performer, options, [query]) => {
      const json = await performer.perform('package.list', {
        ...(query === undefined ? {} : { query: String(query) }),
        ...(options.suite === undefined ? {} : { suite: String(options.suite) }),
      });
      const rows = json.packages.map((one) => [
        one.package,
        one.version,
        one.architecture,
        `${one.suite}/${one.component}`,
        formatBytes(one.size),
        formatTime(one.uploadedAt),
      ]);
      return {
        json,
        text: renderTable(['PACKAGE', 'VERSION', 'ARCH', 'SUITE', 'SIZE', 'UPLOADED'], rows),
      };
    },
  });
  addLeaf(packages, {
    usage: 'show <name[=version]>',
    summary: 'the stanzas of a package, newest version first',
    example: 'aptkeep package show lu-moodle-lu=2.5.0-0',
    run: async (performer, _options, [word]) => {
      const [name = '', version] = String(word).split('=', 2);
      const input = { package: name, ...(version === undefined ? {} : { version }) };
      const json = await performer.perform('package.show', input);
      return { json, text: json.packages.map((one) => one.stanza).join('\n') };
    },
  });
  addMoves(packages);
}
