/** `aptkeep key`: the archive's OpenPGP key. Floor 9. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { RefusalError, systemCode } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addFinishOptions, describeFollowers } from './ca.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { addPassphraseCommand } from './passphrase.ts';
import { formatTime, renderTable } from './table.ts';

type Key = OutputOf<'key.show'>['keys'][number];

function renderKeys(keys: readonly Key[]): string {
  const rows = keys.map((one) => [
    one.fingerprint,
    one.userId,
    one.state,
    formatTime(one.created),
    one.expires === null ? 'never' : formatTime(one.expires),
  ]);
  return renderTable(['FINGERPRINT', 'USER ID', 'STATE', 'CREATED', 'EXPIRES'], rows);
}

function showRotated(json: OutputOf<'key.rotate'>): Shown {
  const end = 'end it with aptkeep key rotate --finish';
  const note =
    json.keys.length > 1 ? `\n${describeFollowers('signing key', json.followers, end)}\n` : '';
  return { json, text: `${renderKeys(json.keys)}${note}` };
}

function addRotateCommand(key: Command): void {
  addLeaf(key, {
    usage: 'rotate',
    summary: 'sign every suite with a new key too; with --finish with the new one alone',
    example: 'aptkeep key rotate',
    options: addFinishOptions,
    run: async (performer, options) => {
      if (!options.finish) return showRotated(await performer.perform('key.rotate', {}));
      const force = options.force === true;
      return showRotated(await performer.perform('key.finish', { force }));
    },
  });
}

export function addKeyCommands(program: Command): void {
  const key = addNoun(program, 'key', "the archive's OpenPGP key", 'aptkeep key show');
  addLeaf(key, {
    usage: 'show',
    summary: 'the keys that sign every suite',
    example: 'aptkeep key show',
    run: async (performer) => {
      const json = await performer.perform('key.show', {});
      return { json, text: renderKeys(json.keys) };
    },
  });
  addRotateCommand(key);
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
