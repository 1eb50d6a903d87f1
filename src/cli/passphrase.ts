/**
 * `aptkeep key passphrase`: the passphrase of the keys at rest. Only where no server runs, which
 * would go on writing keys under the one it started with. Floor 9.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KEY_FILES } from '../authority/files.ts';
import { encryptKeysAnew } from '../authority/keys.ts';
import { type Passphrase, readPassphraseFile } from '../authority/passphrase.ts';
import { RefusalError } from '../errors.ts';
import { createLocalActor } from '../http/socket.ts';
import { createLogger } from '../log.ts';
import { addExample, print, readConfig, type TargetOptions } from './command.ts';
import { connectSocket } from './remote.ts';

interface PassphraseOptions extends TargetOptions {
  newFile?: string;
  remove?: boolean;
}

const OPTION = '--new-file';

async function readNext({ newFile, remove }: PassphraseOptions): Promise<Passphrase | undefined> {
  if ((newFile === undefined) === (remove === undefined)) {
    throw new RefusalError('USAGE_INVALID', `key passphrase: name either ${OPTION} or --remove`);
  }
  if (newFile === undefined) return undefined;
  const path = resolve(newFile);
  return { secret: await readPassphraseFile(OPTION, path), origin: path };
}

async function changePassphrase(options: PassphraseOptions): Promise<void> {
  const next = await readNext(options);
  const config = readConfig(options);
  const running = await connectSocket(config.data);
  if (running) {
    await running.close();
    throw new RefusalError(
      'DIRECTORY_IN_USE',
      'a server runs on this data directory: stop it, change the passphrase, start it again',
    );
  }
  // Loaded only here, as all commands do that seldom need it.
  const { openParts } = await import('../compose.ts');
  const { auditDeed } = await import('../operations/perform.ts');
  const parts = await openParts(config, createLogger('warn'));
  try {
    const { certs } = parts.authority;
    const present = await Promise.all(KEY_FILES.map((file) => certs.exists(file)));
    const keys = KEY_FILES.filter((_file, position) => present[position]);
    const entry = { operation: 'key.passphrase', subject: next ? 'changed' : 'removed' };
    await auditDeed(parts, createLocalActor(), entry, () => encryptKeysAnew(certs, keys, next));
    print(
      { json: { keys, encrypted: next !== undefined }, text: describe(keys, next) },
      options.json,
    );
  } finally {
    await parts.close();
  }
}

function describe(keys: readonly string[], next: Passphrase | undefined): string {
  const files = `${keys.join(', ')} in certs/`;
  return next
    ? `${files}: under the passphrase in ${next.origin}\nnext: let keys.passphraseFile name that file before anything else is started here\n`
    : `${files}: without a passphrase\nnext: take the passphrase out of the configuration; with one, the next start encrypts them again\n`;
}

export function addPassphraseCommand(key: Command): void {
  const command = key
    .command('passphrase')
    .description('change the passphrase of the keys in certs/, while no server runs')
    .option(`${OPTION} <file>`, 'a file whose first line is the new passphrase; mode 0600 or 0400')
    .option('--remove', 'keep the keys without a passphrase')
    .option('--data <dir>', 'the data directory (default: this folder)')
    .option(
      '--config <file>',
      'the configuration file (default: aptkeep.yaml in the data directory)',
    )
    .option('--json', 'print JSON')
    .action((options: PassphraseOptions) => changePassphrase(options));
  addExample(command, 'aptkeep key passphrase --new-file /etc/aptkeep/passphrase.new');
}
