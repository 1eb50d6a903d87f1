/** `aptkeep suite`, `publication` and `publish`. Floor 9. */
import type { Command } from 'commander';
import { RefusalError } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { addPublicationNoun } from './publication.ts';
import { addSettingOptions, describeOptions, readSettings } from './suite-options.ts';
import { formatSpan, formatTime, renderPairs, renderTable } from './table.ts';

function showSuite(json: OutputOf<'suite.show'>): Shown {
  return {
    json,
    text: renderPairs([
      ['suite', json.name],
      ['codename', json.codename],
      ['origin', json.origin],
      ['label', json.label],
      ...(json.description ? [['description', json.description] as const] : []),
      ['components', json.components.join(' ')],
      ['architectures', json.architectures.join(' ')],
      ['packages', String(json.packages)],
      ['publication', String(json.publication)],
      ['date', formatTime(json.date)],
      ['valid until', formatTime(json.validUntil)],
      ['valid for', formatSpan(json.validForSeconds)],
      ...describeOptions(json.options),
    ]),
  };
}

function addSuiteNoun(program: Command): void {
  const suite = addNoun(program, 'suite', 'suites', 'aptkeep suite list');
  addLeaf(suite, {
    usage: 'create <name>',
    summary: 'make a suite; its identity never changes by itself',
    example: 'aptkeep suite create testing --origin Uni --label Uni',
    options: (command) =>
      addSettingOptions(
        command
          .requiredOption('--origin <text>', 'Origin: who publishes it')
          .requiredOption('--label <text>', 'Label: what it is')
          .option('--codename <name>', "Codename (default: the suite's name)"),
      ),
    run: async (performer, options, [name]) =>
      showSuite(
        await performer.perform('suite.create', {
          name: String(name),
          ...(readSettings(options) as { origin: string; label: string }),
        }),
      ),
  });
  addLeaf(suite, {
    usage: 'list',
    summary: 'every suite',
    example: 'aptkeep suite list',
    run: async (performer) => {
      const json = await performer.perform('suite.list', {});
      const rows = json.suites.map((one) => [
        one.name,
        one.components.join(' '),
        one.architectures.join(' '),
        String(one.packages),
        String(one.publication),
        formatTime(one.validUntil),
      ]);
      const heading = [
        'SUITE',
        'COMPONENTS',
        'ARCHITECTURES',
        'PACKAGES',
        'PUBLICATION',
        'VALID UNTIL',
      ];
      return { json, text: renderTable(heading, rows) };
    },
  });
  addLeaf(suite, {
    usage: 'show <name>',
    summary: 'one suite',
    example: 'aptkeep suite show stable',
    run: async (performer, _options, [name]) =>
      showSuite(await performer.perform('suite.show', { suite: String(name) })),
  });
  addSettingLeaves(suite);
}

function addSettingLeaves(suite: Command): void {
  addLeaf(suite, {
    usage: 'set <name>',
    summary: 'change what a suite is and has; in force with its next publication, made at once',
    example: 'aptkeep suite set stable --components main,extra --changelogs',
    options: (command) =>
      addSettingOptions(command)
        .option('--origin <text>', 'Origin; only with --force-identity')
        .option('--label <text>', 'Label; only with --force-identity')
        .option('--codename <name>', 'Codename; only with --force-identity')
        .option(
          '--force-identity',
          'change what every host refuses, and --not-automatic, until an administrator agrees there',
        )
        .option('--force', 'take out packages that would have no place any more'),
    check: (options) => {
      if (Object.keys(readSettings(options)).length > 0) return;
      throw new RefusalError('USAGE_INVALID', 'suite set: name what is to change');
    },
    run: async (performer, options, [name]) => {
      const { force, forceIdentity } = options;
      const input = {
        suite: String(name),
        ...readSettings(options),
        ...(force ? { force: true } : {}),
        ...(forceIdentity ? { forceIdentity: true } : {}),
      };
      return showSuite(await performer.perform('suite.set', input));
    },
  });
  addLeaf(suite, {
    usage: 'remove <name>',
    summary: 'remove a suite; its packages stay in the pool until a sweep',
    example: 'aptkeep suite remove testing',
    options: (command) =>
      command.option('--force', 'although it lists packages, or groups of hosts name it'),
    run: async (performer, options, [name]) => {
      const input = { suite: String(name), ...(options.force ? { force: true } : {}) };
      const json = await performer.perform('suite.remove', input);
      const groups = json.groups.length
        ? `; the hosts of ${json.groups.join(', ')} may not read it any more`
        : '';
      return { json, text: `removed ${json.suite} with ${json.packages} packages${groups}\n` };
    },
  });
}

export function addSuiteCommands(program: Command): void {
  addSuiteNoun(program);
  addPublicationNoun(program);
  addLeaf(program, {
    usage: 'publish [suite]',
    summary: 'sign a suite, or --all, again now',
    example: 'aptkeep publish stable',
    options: (command) => command.option('--all', 'every suite'),
    check: (options, [suite]) => {
      if ((suite === undefined) !== (options.all === undefined)) return;
      throw new RefusalError('USAGE_INVALID', 'publish: name one suite, or --all');
    },
    run: async (performer, options, [suite]) => {
      const names = options.all
        ? (await performer.perform('suite.list', {})).suites.map((one) => one.name)
        : [String(suite)];
      const published = [];
      for (const name of names) {
        published.push(await performer.perform('suite.publish', { suite: name }));
      }
      const rows = published.map((one) => [one.suite, String(one.publication)]);
      return { json: { published }, text: renderTable(['SUITE', 'PUBLICATION'], rows) };
    },
  });
}
