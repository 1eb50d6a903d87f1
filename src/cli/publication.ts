/** `aptkeep publication`. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, parseCount } from './command.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

type Comparison = Omit<OutputOf<'publication.diff'>, 'suite' | 'from' | 'to'>;

/** One line for each difference; nothing differs where there is none. */
function renderComparison(made: Comparison): string {
  const percent = (phased: number | null): string => `${phased ?? 100} %`;
  const rows = [
    ...made.upgraded.map((one) => [
      '^',
      ...[one.package, one.architecture, one.component, `${one.from} -> ${one.to}`],
    ]),
    ...made.downgraded.map((one) => [
      'v',
      ...[one.package, one.architecture, one.component, `${one.from} -> ${one.to}`],
    ]),
    ...made.added.map((one) => ['+', one.package, one.architecture, one.component, one.version]),
    ...made.removed.map((one) => ['-', one.package, one.architecture, one.component, one.version]),
    ...made.phased.map((one) => [
      '~',
      ...[one.package, one.architecture, one.component],
      `${one.version}: ${percent(one.from)} -> ${percent(one.phased)}`,
    ]),
  ];
  if (rows.length === 0) return 'they list the same\n';
  return renderTable(['', 'PACKAGE', 'ARCH', 'COMPONENT', 'VERSION'], rows);
}

function describeCounts(counts: OutputOf<'publication.show'>['counts']): string {
  if (counts === null) return 'not known any more: it was swept';
  const places = counts.map((one) => `${one.packages} in ${one.component}`);
  return places.join(', ') || 'nothing';
}

export function addPublicationNoun(program: Command): void {
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
        ['published', formatTime(json.publishedAt)],
        ['by', json.actor],
        ['reason', json.reason],
        ['lists', describeCounts(json.counts)],
      ]);
      return { json, text: `${pairs}\n${json.release}` };
    },
  });
  addLeaf(publication, {
    usage: 'diff <suite> <from> <to>',
    summary: 'what one publication lists otherwise than another',
    example: 'aptkeep publication diff stable 12 14',
    options: (command) => {
      command.registeredArguments.at(1)?.argParser(parseCount);
      command.registeredArguments.at(2)?.argParser(parseCount);
    },
    run: async (performer, _options, [suite, from, to]) => {
      const input = { suite: String(suite), from: Number(from), to: Number(to) };
      const json = await performer.perform('publication.diff', input);
      return { json, text: renderComparison(json) };
    },
  });
  addLeaf(publication, {
    usage: 'rollback <suite>',
    summary: 'publish again what a publication listed; hosts take it for the newest',
    example: 'aptkeep publication rollback stable --to 12 --reason "2.5.0 loses sessions"',
    options: (command) =>
      command
        .requiredOption('--to <number>', 'the publication whose contents are wanted', parseCount)
        .requiredOption('--reason <text>', 'why, for the record'),
    run: async (performer, options, [suite]) => {
      const json = await performer.perform('publication.rollback', {
        ...{ suite: String(suite), to: Number(options.to), reason: String(options.reason) },
      });
      const text = `${renderComparison(json)}suite ${json.suite}, publication ${json.publication}\n`;
      return { json, text };
    },
  });
}
