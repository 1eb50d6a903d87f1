/** `aptkeep host`. Floor 9. */
import { basename, dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { reserveFiles } from './new-files.ts';
import type { Performer } from './performer.ts';
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
      ['client', json.client ?? 'has not reported'],
      ['reported', json.reportedAt === null ? 'never' : formatTime(json.reportedAt)],
    ]),
  };
}

interface AddOptions {
  group?: string;
  again?: boolean;
  out?: string;
  json?: boolean;
}

/** The kit is what is printed, so that it can be redirected; people read the note beside it. */
async function addHost(performer: Performer, name: string, options: AddOptions): Promise<Shown> {
  const { again = false, group, out } = options;
  const input = { host: name, again, ...(group === undefined ? {} : { group }) };
  const ask = () => performer.perform('host.add', input);
  const file = out ?? 'kit.sh';
  const note = (json: OutputOf<'host.add'>): string =>
    `aptkeep: the kit of ${json.name} is good once, until ${formatTime(json.kitExpires)}, and holds a private key: bring it to ${json.name} and run \`sh ${basename(file)}\` there as root\n`;
  if (out === undefined) {
    const json = await ask();
    if (!options.json) process.stderr.write(note(json));
    return { json, text: json.kit };
  }
  const reserved = await reserveFiles(dirname(out), [{ path: out, mode: 0o600, mustBeNew: false }]);
  try {
    const json = await ask();
    await reserved.fill([json.kit]);
    const { kit: _kit, ...rest } = json;
    return { json: { ...rest, file: out }, text: note(json) };
  } catch (error) {
    await reserved.abandon();
    throw error;
  }
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
    summary: 'record a host and print its kit: a script to run there, once, within the hour',
    example: 'aptkeep host add moodle-web5 --group moodle > kit.sh',
    options: (command) =>
      command
        .option('--group <name>', 'the group it is in (default: the group "default")')
        .option(
          '--again',
          'a new kit for a host that is there; kits that were not used become void',
        )
        .option('--out <file>', 'write the kit to this file (0600) instead of printing it'),
    run: (performer, options, [name]) =>
      addHost(performer, String(name), options as unknown as AddOptions),
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
