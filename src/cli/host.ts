/** `aptkeep host`. Floor 9. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { formatTime, renderPairs, renderTable } from './table.ts';

function showHost(json: OutputOf<'host.show'>): Shown {
  return {
    json,
    text: renderPairs([
      ['host', json.name],
      ['group', json.group],
      ['added', formatTime(json.addedAt)],
      ['certificate', json.certificate ?? 'none that is valid'],
      ['valid until', formatTime(json.notAfter)],
    ]),
  };
}

export function addHostCommands(program: Command): void {
  const host = addNoun(
    program,
    'host',
    'the machines that read the repository',
    'aptkeep host list',
  );
  addLeaf(host, {
    usage: 'add <name>',
    summary: 'record a host',
    example: 'aptkeep host add moodle-web5 --group moodle',
    options: (command) =>
      command.option('--group <name>', 'the group it is in (default: the group "default")'),
    run: async (performer, options, [name]) => {
      const group = options.group === undefined ? {} : { group: String(options.group) };
      return showHost(await performer.perform('host.add', { host: String(name), ...group }));
    },
  });
  addLeaf(host, {
    usage: 'set <name>',
    summary: 'put a host into another group',
    example: 'aptkeep host set moodle-web5 --group moodle',
    options: (command) =>
      command.requiredOption('--group <name>', 'the group it is in from now on'),
    run: async (performer, options, [name]) => {
      const input = { host: String(name), group: String(options.group) };
      return showHost(await performer.perform('host.set', input));
    },
  });
  addLeaf(host, {
    usage: 'list',
    summary: 'every host with its newest valid certificate',
    example: 'aptkeep host list',
    run: async (performer) => {
      const json = await performer.perform('host.list', {});
      const rows = json.hosts.map((one) => [
        one.name,
        one.group,
        one.certificate ?? '-',
        formatTime(one.notAfter),
      ]);
      return { json, text: renderTable(['HOST', 'GROUP', 'CERTIFICATE', 'VALID UNTIL'], rows) };
    },
  });
  addLeaf(host, {
    usage: 'show <name>',
    summary: 'one host; with --apt a script that writes its apt files',
    example: 'aptkeep host show moodle-web0 --apt > moodle-web0.sh',
    options: (command) =>
      command
        .option('--apt', 'the files its apt needs, as a script to run there beside NAME.key')
        .option('--key-file <path>', 'with --apt: where the script finds the private key')
        .option(
          '--root <dir>',
          'with --apt: a folder that stands in for /, to try without touching the system',
        ),
    run: async (performer, options, [name]) => {
      if (!options.apt)
        return showHost(await performer.perform('host.show', { host: String(name) }));
      const json = await performer.perform('host.apt', {
        host: String(name),
        ...(options.keyFile === undefined ? {} : { key: String(options.keyFile) }),
        ...(options.root === undefined ? {} : { root: resolve(String(options.root)) }),
      });
      return { json, text: json.script };
    },
  });
  addLeaf(host, {
    usage: 'remove <name>',
    summary: 'forget a host whose certificates are revoked or expired',
    example: 'aptkeep host remove moodle-web5',
    run: async (performer, _options, [name]) => {
      const json = await performer.perform('host.remove', { host: String(name) });
      return { json, text: `removed ${json.host}\n` };
    },
  });
}
