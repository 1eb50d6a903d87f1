/** `aptkeep package copy`, `remove` and `phase`. Floor 9. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { RefusalError } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, type LeafOptions } from './command.ts';
import { renderTable } from './table.ts';

type Standing = OutputOf<'package.remove'>['removed'][number];

/** `NAME`, `NAME:ARCH`, `NAME=VERSION` or `NAME=VERSION:ARCH`; a version may have an epoch. */
function parseWanted(word: string): { package: string; version?: string; architecture?: string } {
  const match = /^([^=:]+)(?:=(.*?))?(?::([a-z][a-z0-9-]*))?$/.exec(word);
  const [, name = '', version, architecture] = match ?? [];
  if (!match || version === '') {
    throw new RefusalError('USAGE_INVALID', `${word}: NAME, NAME=VERSION or NAME=VERSION:ARCH`);
  }
  return {
    package: name,
    ...(version === undefined ? {} : { version }),
    ...(architecture === undefined ? {} : { architecture }),
  };
}

function parseExact(word: string): { package: string; version: string; architecture?: string } {
  const { version, ...rest } = parseWanted(word);
  if (version !== undefined) return { ...rest, version };
  throw new RefusalError('USAGE_INVALID', `${word}: say which version, like ${word}=1.0-1`);
}

function parsePercentage(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text);
  throw new InvalidArgumentError('A whole number from 0 to 100 is allowed.');
}

const HEADING = ['PACKAGE', 'VERSION', 'ARCH', 'COMPONENT', ''];

const toRows = (standing: readonly Standing[], what: string): string[][] =>
  standing.map((one) => [one.package, one.version, one.architecture, one.component, what]);

const readComponent = ({ component }: LeafOptions): { component?: string } =>
  component === undefined ? {} : { component: String(component) };

const published = (suite: string, publication: number): string =>
  `suite ${suite}, publication ${publication}\n`;

function addCopy(packages: Command): void {
  addLeaf(packages, {
    usage: 'copy [name...]',
    summary: 'list NAME, NAME=VERSION or NAME=VERSION:ARCH in another suite too; one publication',
    example: 'aptkeep package copy lu-moodle-lu=2.5.0-0 --from testing --to stable',
    options: (command) =>
      command
        .requiredOption('--from <suite>', 'the suite that lists them')
        .requiredOption('--to <suite>', 'the suite that is to list them')
        .option('--component <name>', 'where they stand there (default: as they stand)')
        .option('--with-source', 'their source packages too')
        .option('--all', 'everything that the suite lists'),
    check: (options, [words]) => {
      const named = (words as string[]).map(parseWanted).length > 0;
      if (named === (options.all !== undefined)) {
        throw new RefusalError('USAGE_INVALID', 'package copy: name packages, or --all');
      }
    },
    run: async (performer, options, [words]) => {
      const json = await performer.perform('package.copy', {
        ...{ from: String(options.from), to: String(options.to), ...readComponent(options) },
        ...(options.all ? { all: true } : { packages: (words as string[]).map(parseWanted) }),
        ...(options.withSource ? { withSource: true } : {}),
      });
      const rows = [
        ...toRows(json.copied, 'copied'),
        ...toRows(json.unchanged, 'was there already'),
        ...toRows(json.skipped, `skipped: ${json.to} does not have this architecture`),
      ];
      return { json, text: renderTable(HEADING, rows) + published(json.to, json.publication) };
    },
  });
}

function addRemove(packages: Command): void {
  addLeaf(packages, {
    usage: 'remove <name=version...>',
    summary: 'take NAME=VERSION or NAME=VERSION:ARCH out of a suite; one publication',
    example: 'aptkeep package remove lu-moodle-lu=2.5.0-0 --suite stable',
    options: (command) =>
      command
        .requiredOption('--suite <name>', 'the suite')
        .option('--component <name>', 'in this component alone'),
    check: (_options, [words]) => {
      (words as string[]).forEach(parseExact);
    },
    run: async (performer, options, [words]) => {
      const json = await performer.perform('package.remove', {
        ...{ suite: String(options.suite), ...readComponent(options) },
        packages: (words as string[]).map(parseExact),
      });
      const table = renderTable(HEADING, toRows(json.removed, 'removed'));
      return { json, text: table + published(json.suite, json.publication) };
    },
  });
}

function addPhase(packages: Command): void {
  addLeaf(packages, {
    usage: 'phase <name=version...>',
    summary: 'say what share of hosts takes a version when it upgrades; 100 is everybody',
    example: 'aptkeep package phase lu-moodle-lu=2.5.0-0 --suite stable --percentage 10',
    options: (command) =>
      command
        .requiredOption('--suite <name>', 'the suite')
        .requiredOption('--percentage <number>', 'from 0 to 100', parsePercentage)
        .option('--component <name>', 'in this component alone'),
    check: (_options, [words]) => {
      (words as string[]).forEach(parseExact);
    },
    run: async (performer, options, [words]) => {
      const json = await performer.perform('package.phase', {
        ...{ suite: String(options.suite), ...readComponent(options) },
        packages: (words as string[]).map(parseExact),
        percentage: Number(options.percentage),
      });
      const table = renderTable(HEADING, toRows(json.phased, `${String(options.percentage)} %`));
      return { json, text: table + published(json.suite, json.publication) };
    },
  });
}

export function addMoves(packages: Command): void {
  addCopy(packages);
  addRemove(packages);
  addPhase(packages);
}
