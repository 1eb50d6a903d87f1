/** `aptkeep group`. Floor 9. */
import type { Command } from 'commander';
import { RefusalError } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, collectWords, type LeafOptions, type Shown } from './command.ts';
import { renderPairs, renderTable } from './table.ts';

function showGroup(json: OutputOf<'group.show'>): Shown {
  return {
    json,
    text: renderPairs([
      ['group', json.name],
      ...(json.description ? [['description', json.description] as const] : []),
      ['suites', json.suites === null ? 'all' : json.suites.join(' ') || '-'],
      ['hosts', json.hosts.join(' ') || '-'],
    ]),
  };
}

/** @throws RefusalError USAGE_INVALID */
function checkSuites({ suites, allSuites }: LeafOptions): void {
  if (Array.isArray(suites) && suites.length === 0) {
    throw new RefusalError('USAGE_INVALID', '--suites: name at least one suite');
  }
  if (suites !== undefined && allSuites !== undefined) {
    throw new RefusalError('USAGE_INVALID', '--suites and --all-suites exclude each other');
  }
}

function readChange({ suites, allSuites, description }: LeafOptions) {
  return {
    ...(suites === undefined ? {} : { suites: suites as string[] }),
    ...(allSuites === undefined ? {} : { suites: null }),
    ...(description === undefined ? {} : { description: String(description) }),
  };
}

const addChangeOptions = (command: Command): Command =>
  command
    .option('--suites <names>', 'the suites that its hosts may read', collectWords)
    .option('--description <text>', 'what the group is for');

export function addGroupCommands(program: Command): void {
  const group = addNoun(
    program,
    'group',
    'groups of hosts, and what they may read',
    'aptkeep group list',
  );
  addLeaf(group, {
    usage: 'create <name>',
    summary: 'make a group; its hosts may read the suites named, or all',
    example: 'aptkeep group create moodle --suites stable,moodle',
    options: addChangeOptions,
    check: checkSuites,
    run: async (performer, options, [name]) => {
      const input = { group: String(name), ...readChange(options) };
      return showGroup(await performer.perform('group.create', input));
    },
  });
  addLeaf(group, {
    usage: 'list',
    summary: 'every group',
    example: 'aptkeep group list',
    run: async (performer) => {
      const json = await performer.perform('group.list', {});
      const rows = json.groups.map((one) => [
        one.name,
        one.suites === null ? 'all' : one.suites.join(' ') || '-',
        String(one.hosts.length),
        one.description,
      ]);
      return { json, text: renderTable(['GROUP', 'SUITES', 'HOSTS', 'DESCRIPTION'], rows) };
    },
  });
  addLeaf(group, {
    usage: 'show <name>',
    summary: 'one group with its hosts',
    example: 'aptkeep group show moodle',
    run: async (performer, _options, [name]) =>
      showGroup(await performer.perform('group.show', { group: String(name) })),
  });
  addLeaf(group, {
    usage: 'set <name>',
    summary: 'change what a group may read; in force at the next request',
    example: 'aptkeep group set moodle --suites stable',
    options: (command) =>
      addChangeOptions(command).option('--all-suites', 'its hosts may read every suite'),
    check: (options) => {
      checkSuites(options);
      if (Object.keys(readChange(options)).length > 0) return;
      throw new RefusalError('USAGE_INVALID', 'group set: --suites, --all-suites or --description');
    },
    run: async (performer, options, [name]) => {
      const input = { group: String(name), ...readChange(options) };
      return showGroup(await performer.perform('group.set', input));
    },
  });
  addLeaf(group, {
    usage: 'remove <name>',
    summary: 'remove a group that no host is in',
    example: 'aptkeep group remove moodle',
    run: async (performer, _options, [name]) => {
      const json = await performer.perform('group.remove', { group: String(name) });
      return { json, text: `removed ${json.group}\n` };
    },
  });
}
