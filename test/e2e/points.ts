/**
 * Loaded into the program before it (`--import`): at one chosen step of what it does to the disk or
 * the catalog, the process is killed as by kill -9, or the disk is filled to the last byte. A step
 * is counted before it is done, so that "before step n" is also "after step n - 1"; of a write of
 * bytes, half is done where the process dies in it. Nothing is counted before SIGUSR2 has come.
 *
 *     DISK_POINT=count            the second SIGUSR2 makes it say which steps there were
 *     DISK_POINT=kill:N           dies at step N
 *     DISK_POINT=fill:N:PATH      fills the disk with a file at PATH, at step N
 */
import { syncBuiltinESMExports } from 'node:module';

// The objects themselves, not the names that this file would import from them.
const files = process.getBuiltinModule('node:fs');
const { openSync, writeSync, closeSync } = files;
const [wanted = '', at = '0', filler = ''] = (process.env.DISK_POINT ?? '').split(':');
const steps: string[] = [];
let armed = false;

function say(text: string): void {
  writeSync(2, `points: ${text}\n`);
}

/** To the last byte: blocks first, then single bytes into what is left of the last page. */
function fillDisk(): void {
  const descriptor = openSync(filler, 'a');
  for (const size of [1_048_576, 4096, 1]) {
    const bytes = Buffer.alloc(size, 1);
    try {
      for (;;) writeSync(descriptor, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
  closeSync(descriptor);
}

/** @param half does the first half of a write of bytes, where the step is one. */
function reach(step: string, half?: () => void): void {
  if (!armed) return;
  steps.push(step);
  if (steps.length !== Number(at)) return;
  say(`reached ${at}, ${step}`);
  if (wanted === 'fill') fillDisk();
  if (wanted !== 'kill') return;
  half?.();
  process.kill(process.pid, 'SIGKILL');
  // The signal is there when the system call returns; nothing of this process may be done after it.
  for (;;);
}

process.on('SIGUSR2', () => {
  if (armed && wanted === 'count') say(`steps ${JSON.stringify(steps)}`);
  armed = true;
  say('armed');
});

type Steps = Record<string, (...args: never[]) => unknown>;

function watch(
  owner: object,
  names: readonly string[],
  describe: (name: string, first: unknown, self: unknown) => string | undefined,
): void {
  const methods = owner as Steps;
  for (const name of names) {
    const original = methods[name];
    if (original === undefined) throw new Error(`there is no ${name} to watch`);
    methods[name] = function (this: unknown, ...args: never[]) {
      const step = describe(name, args[0], this);
      if (step !== undefined) reach(step, halfOf(name, this, args[0]));
      return original.apply(this, args);
    };
  }
}

/** Half of what a FileHandle was to write. */
function halfOf(name: string, self: unknown, bytes: unknown): (() => void) | undefined {
  if (!name.startsWith('write') || !(bytes instanceof Uint8Array)) return undefined;
  const { fd } = self as { fd?: number };
  if (fd === undefined) return undefined;
  return () => writeSync(fd, bytes.subarray(0, bytes.length >> 1));
}

const describePath = (name: string, path: unknown): string => `${name} ${String(path)}`;

const CHANGES = ['rename', 'unlink', 'rm', 'mkdir', 'rmdir', 'link', 'copyFile', 'writeFile'];
watch(files.promises, CHANGES, describePath);
watch(files, [...CHANGES, 'fsync', 'fdatasync', 'write', 'writev'], describePath);
const SYNCHRONOUS = ['renameSync', 'unlinkSync', 'fsyncSync', 'mkdirSync', 'rmSync'];
watch(files, SYNCHRONOUS, describePath);
syncBuiltinESMExports();

const handle = await files.promises.open(import.meta.filename);
const HANDLE_CHANGES = ['write', 'writev', 'writeFile', 'appendFile', 'sync', 'datasync'];
watch(Object.getPrototypeOf(handle), [...HANDLE_CHANGES, 'truncate', 'chmod', 'utimes'], (name) =>
  describePath(name, 'a file'),
);
await handle.close();

/** Statements that read are no step. */
const describeStatement = (name: string, sql: unknown): string | undefined => {
  const [line = ''] = String(sql).trim().split('\n');
  return /^(select|pragma)/i.test(line) ? undefined : `${name} ${line.slice(0, 60)}`;
};
const emitWarning = process.emitWarning;
process.emitWarning = () => {};
const { DatabaseSync, StatementSync } = process.getBuiltinModule('node:sqlite');
process.emitWarning = emitWarning;
watch(DatabaseSync.prototype, ['exec'], describeStatement);
watch(StatementSync.prototype, ['run'], (name, _first, self) =>
  describeStatement(name, (self as { sourceSQL: string }).sourceSQL),
);
