/** `aptkeep suite`, `publication` and `publish`. Floor 9. */
import type { Command } from 'commander';
import { RefusalError } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, collectWords, parseCount, type Shown } from './command.ts';
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
    ]),
  };
}

interface CreateOptions {
  origin: string;
  label: string;
  codename?: string;
  description?: string;
  components?: string[];
  architectures?: string[];
  validFor?: number;
}

function addSuiteNoun(program: Command): void {
  const suite = addNoun(program, 'suite', 'suites', 'aptkeep suite list');
  addLeaf(suite, {
    usage: 'create <name>',
    summary: 'make a suite; its identity never changes by itself',
    example: 'aptkeep suite create testing --origin Uni --label Uni',
    options: (command) =>
      command
        .requiredOption('--origin <text>', 'Origin: who publishes it')
        .requiredOption('--label <text>', 'Label: what it is')
        .option('--codename <name>', "Codename (default: the suite's name)")
        .option('--description <text>', 'Description')
        .option('--components <names>', 'components (default: main)', collectWords)
        .option('--architectures <names>', 'architectures (default: amd64,arm64)', collectWords)
        .option('--valid-for <days>', 'days from Date to Valid-Until', parseCount),
    run: async (performer, options, [name]) => {
      const { validFor, ...rest } = options as unknown as CreateOptions;
      const { origin, label, codename, description, components, architectures } = rest;
      const input = {
        ...{ name: String(name), origin, label },
        ...(codename === undefined ? {} : { codename }),
        ...(description === undefined ? {} : { description }),
        ...(components === undefined ? {} : { components }),
        ...(architectures === undefined ? {} : { architectures }),
        ...(validFor === undefined ? {} : { validForDays: validFor }),
      };
      return showSuite(await performer.perform('suite.create', input));
    },
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
}

function addPublicationNoun(program: Command): void {
  const publication = addNoun(
    program,
    'publication',
    'what a suite published, and when',
    'aptkeep publication list stable',
  );
  addLeaf(publication, {
    usage: 'list <suite>',
    summary: 'the publications of a suite, newest first',
    example: 'aptkeep publication list stable',
    run: async (performer, _options, [suite]) => {
      const json = await performer.perform('publication.list', { suite: String(suite) });
      const rows = json.publications.map((one) => [
        String(one.number),
        formatTime(one.date),
        formatTime(one.validUntil),
        one.actor,
        one.reason.length > 60 ? `${one.reason.slice(0, 59)}…` : one.reason,
      ]);
      return { json, text: renderTable(['NUMBER', 'DATE', 'VALID UNTIL', 'BY', 'REASON'], rows) };
    },
  });
  addLeaf(publication, {
    usage: 'show <suite> <number>',
    summary: 'one publication, with the Release file that was signed',
    example: 'aptkeep publication show stable 2',
    options: (command) => command.registeredArguments.at(1)?.argParser(parseCount),
    run: async (performer, _options, [suite, number]) => {
      const input = { suite: String(suite), number: Number(number) };
      const json = await performer.perform('publication.show', input);
      const pairs = renderPairs([
        ['publication', `${json.suite} ${json.number}`],
        ['date', formatTime(json.date)],
        ['valid until', formatTime(json.validUntil)],
        ['by', json.actor],
        ['reason', json.reason],
      ]);
      return { json, text: `${pairs}\n${json.release}` };
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
