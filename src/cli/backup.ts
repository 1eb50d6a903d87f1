/** `aptkeep backup` and `aptkeep restore`: on the machine of the data directory. Floor 9. */
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { lockDirectory } from '../catalog/lock-file.ts';
import type { Config } from '../config.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { createLocalActor } from '../http/socket.ts';
import { addExample, openTarget, print, readConfig, type TargetOptions } from './command.ts';
import { type ProgressBar, startBar } from './progress.ts';
import { formatBytes, renderPairs } from './table.ts';
import { readVersion } from './version.ts';

/** A sweep that is under way may take a while. */
const LOCK_WAIT_MS = 60_000;

interface BackupOptions extends TargetOptions {
  keys: boolean;
}

interface RestoreOptions extends TargetOptions {
  crl?: string;
}

const show =
  (bar: ProgressBar) =>
  (done: number, total: number): void =>
    bar.show(done, total, `${formatBytes(done)} of ${formatBytes(total)}`);

/** A file that is there whole or not at all, for its owner alone. */
async function writeWhole(file: string, fill: (output: Writable) => Promise<void>): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}.tmp`);
  const refuse = (error: unknown): unknown => {
    const code = systemCode(error);
    if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) {
      return new RefusalError('SPACE_EXHAUSTED', `${file}: no room left for it`);
    }
    if (!['ENOENT', 'EACCES', 'ENOTDIR', 'EROFS', 'EISDIR'].includes(code)) return error;
    return new RefusalError('FILE_UNREADABLE', `${file}: cannot be written (${code})`);
  };
  try {
    await fill(createWriteStream(temporary, { flags: 'w', mode: 0o600, flush: true }));
    await rename(temporary, file);
    const folder = await open(dirname(file), 'r');
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    await rm(temporary, { force: true });
    throw refuse(error);
  }
}

/** Asks who has the repository open for the catalog of this moment; answers its path. */
async function takeSnapshot(config: Config, options: TargetOptions): Promise<string> {
  const performer = await openTarget({ ...options, data: config.data });
  try {
    const { snapshot } = await performer.perform('backup.snapshot', {});
    return join(config.data, snapshot);
  } finally {
    await performer.close();
  }
}

async function backUp(file: string, options: BackupOptions): Promise<void> {
  const config = readConfig(options);
  if (file === '-' && process.stdout.isTTY) {
    throw new RefusalError('USAGE_INVALID', 'backup: a backup is not for a terminal: name a file');
  }
  const { packBackup } = await import('../backup/pack.ts');
  const snapshots: string[] = [];
  const bar = startBar('backing up');
  // Nothing that the snapshot refers to is swept before all of it is in the backup.
  const lock = await lockDirectory(config.data, LOCK_WAIT_MS, 'aptkeep.keep.lock').catch(
    (error: unknown) => {
      if (error instanceof RefusalError) throw error;
      throw new RefusalError('NOT_INITIALISED', `there is no data directory ${config.data}`);
    },
  );
  try {
    const packTo = (output: Writable): ReturnType<typeof packBackup> =>
      packBackup({
        ...{ data: config.data, withKeys: options.keys, program: readVersion() },
        settingsFile: resolve(config.data, options.config ?? 'aptkeep.yaml'),
        created: new Date(),
        async takeSnapshot() {
          const snapshot = await takeSnapshot(config, options);
          snapshots.push(snapshot);
          return snapshot;
        },
        ...{ output, progress: show(bar) },
      });
    if (file === '-') {
      await packTo(process.stdout);
      return;
    }
    let made: Awaited<ReturnType<typeof packBackup>> | undefined;
    await writeWhole(resolve(file), async (output) => {
      made = await packTo(output);
    });
    bar.stop();
    const json = { file: resolve(file), ...made };
    const text = renderPairs([
      ['backup', resolve(file)],
      ['objects', String(made?.objects)],
      ['bytes', formatBytes(made?.bytes ?? 0)],
      ['keys', made?.keys ? 'as they are at rest: keep it like them' : 'left out'],
    ]);
    print({ json, text }, options.json);
  } finally {
    bar.stop();
    for (const snapshot of snapshots) await rm(snapshot, { force: true });
    await lock.release();
  }
}

async function openInput(file: string): Promise<Readable> {
  const input = createReadStream(file, { highWaterMark: 1024 * 1024 });
  await once(input, 'open').catch((error: unknown) => {
    throw new RefusalError('FILE_UNREADABLE', `${file}: ${systemCode(error)}`);
  });
  return input;
}

async function restore(file: string, options: RestoreOptions): Promise<void> {
  const data = resolve(options.data ?? process.env.APTKEEP_DATA ?? '.');
  const crl =
    options.crl === undefined
      ? undefined
      : await readFile(options.crl).catch((error: unknown) => {
          throw new RefusalError('FILE_UNREADABLE', `--crl ${options.crl}: ${systemCode(error)}`);
        });
  const input = file === '-' ? process.stdin : await openInput(file);
  const { restoreBackup } = await import('../backup/restore.ts');
  const bar = startBar('restoring');
  try {
    const made = await restoreBackup({
      ...{ input, data, crl, actor: createLocalActor().name, now: new Date() },
      progress: show(bar),
    });
    bar.stop();
    const { manifest, suites } = made;
    const keys = manifest.keys
      ? ''
      : 'next: the backup holds no keys: put them into certs/, mode 0600, before anything is started\n';
    const pairs = renderPairs([
      ['restored', data],
      ['as of', manifest.created],
      ['suites', suites.join(' ')],
      ['objects', String(manifest.objects)],
    ]);
    print({ json: { data, ...manifest, suites }, text: `${pairs}${keys}` }, options.json);
  } finally {
    bar.stop();
    input.destroy();
  }
}

export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .argument('<file>', 'the file to write, or - for standard output')
    .description(
      'write everything into one tar, while the server runs or not; it holds the keys: keep it like them',
    )
    .option('--without-keys', 'leave the private keys out')
    .option('--data <dir>', 'the data directory (default: this folder)')
    .option(
      '--config <file>',
      'the configuration file (default: aptkeep.yaml in the data directory)',
    )
    .option('--json', 'print JSON')
    .action((file: string, options: TargetOptions & { withoutKeys?: boolean }) =>
      backUp(file, { ...options, keys: options.withoutKeys !== true }),
    );
  addExample(backup, 'aptkeep backup /var/backups/aptkeep.tar --data /srv/aptkeep');
  const restoring = program
    .command('restore')
    .argument('<file>', 'a file that backup wrote, or - for standard input')
    .description('put a repository back from its backup, into an empty directory')
    .option('--data <dir>', 'the data directory, empty or not there yet (default: this folder)')
    .option('--crl <file>', 'the newest revocation list that was published, from anyone who has it')
    .option('--json', 'print JSON')
    .action((file: string, options: RestoreOptions) => restore(file, options));
  addExample(restoring, 'aptkeep restore /var/backups/aptkeep.tar --data /srv/aptkeep');
}
