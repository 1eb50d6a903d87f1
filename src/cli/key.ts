/** `aptkeep key`: the archive's OpenPGP key. Floor 9. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { RefusalError, systemCode } from '../errors.ts';
import { addLeaf, addNoun } from './command.ts';
import { addPassphraseCommand } from './passphrase.ts';
import { formatTime, renderTable } from './table.ts';

export function addKeyCommands(program: Command): void {
  const key = addNoun(program, 'key', "the archive's OpenPGP key", 'aptkeep key show');
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
  addPassphraseCommand(key);
  addLeaf(key, {
    usage: 'package',
    summary: 'the public keyring as a .deb, for hosts that get their keyrings by apt',
    example:
      'aptkeep key package --out . && aptkeep upload ./*-archive-keyring_*_all.deb --suite stable',
    options: (command) => command.requiredOption('--out <dir>', 'the folder to write it to'),
    run: async (performer, options) => {
      const json = await performer.perform('key.package', {});
      const path = join(String(options.out), json.filename);
      await writeFile(path, Buffer.from(json.content, 'base64')).catch((error: unknown) => {
        throw new RefusalError('FILE_UNREADABLE', `${path}: ${systemCode(error)}`);
      });
      return { json: { ...json, file: path }, text: `${path}\n` };
    },
  });
}
