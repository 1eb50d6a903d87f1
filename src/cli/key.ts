/** `aptkeep key`: the archive's OpenPGP key. Floor 9. */
import type { Command } from 'commander';
import { addLeaf } from './command.ts';
import { formatTime, renderTable } from './table.ts';

export function addKeyCommands(program: Command): void {
  const key = program.command('key').description("the archive's OpenPGP key");
  addLeaf(key, {
    usage: 'show',
    summary: 'the keys that sign every suite',
    example: 'aptkeep key show',
    run: async (performer) => {
      const json = await performer.perform('key.show', {});
      const rows = json.keys.map((one) => [
        one.fingerprint,
        one.userId,
        formatTime(one.created),
        one.expires === null ? 'never' : formatTime(one.expires),
      ]);
      return { json, text: renderTable(['FINGERPRINT', 'USER ID', 'CREATED', 'EXPIRES'], rows) };
    },
  });
  addLeaf(key, {
    usage: 'export',
    summary: 'the public keyring for Signed-By, on standard output',
    example: 'aptkeep key export --armor > aptkeep.asc',
    options: (command) => command.option('--armor', 'armoured (.asc) instead of binary (.gpg)'),
    run: async (performer, options) => {
      const json = await performer.perform('key.export', {});
      if (options.armor || options.json) return { json, text: json.armored };
      process.stdout.write(Buffer.from(json.binary, 'base64'));
      return { json, text: '' };
    },
  });
}
