/** The lock of a data directory, between this process and another that is killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from '../../src/catalog/lock-file.ts';
import { runLimited } from '../children.ts';

const HOLDER = new URL('hold-lock.ts', import.meta.url).pathname;
const IN_USE = { name: 'RefusalError', code: 'DIRECTORY_IN_USE' };

describe('lockDirectory', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'aptkeep-lock-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('holds until released, in one process too', async () => {
    const lock = await lockDirectory(directory, 0);
    await expect(lockDirectory(directory, 0)).rejects.toMatchObject(IN_USE);
    await expect(lockDirectory(directory, 60)).rejects.toMatchObject(IN_USE);
    await lock.release();
    await lock.release();
    await (await lockDirectory(directory, 0)).release();
  });

  it('still holds against others after this process tried a second time', async () => {
    // POSIX drops a lock when any descriptor of the file is closed; SQLite has to prevent that.
    const lock = await lockDirectory(directory, 0);
    await expect(lockDirectory(directory, 0)).rejects.toMatchObject(IN_USE);
    const other = spawn(process.execPath, [HOLDER, directory], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [printed, complaint] = await Promise.all([text(other.stdout), text(other.stderr)]);
    expect(printed).toBe('');
    expect(complaint).toContain('DIRECTORY_IN_USE');
    await lock.release();
  });

  it('keeps directories apart', async () => {
    const other = mkdtempSync(join(tmpdir(), 'aptkeep-lock-'));
    const locks = [await lockDirectory(directory, 0), await lockDirectory(other, 0)];
    for (const lock of locks) await lock.release();
    rmSync(other, { recursive: true });
  });

  it('needs no room: what frees some has to begin on a full disk', async () => {
    const outcome = await runLimited('catalog/lock-without-room.ts', [directory], 0);
    expect(outcome).toEqual({ outcome: 'held' });
  });

  it('waits without stopping the event loop', async () => {
    const lock = await lockDirectory(directory, 0);
    let taken = false;
    const waiting = lockDirectory(directory, 60_000).then((second) => {
      taken = true;
      return second;
    });
    for (let turn = 0; turn < 1_000; turn += 1) await nextTurn();
    expect(taken).toBe(false);
    await lock.release();
    await (await waiting).release();
  });

  it('is freed at once when its holder is killed', async () => {
    for (let round = 0; round < 2; round += 1) {
      const holder = spawn(process.execPath, [HOLDER, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(holder, 'close');
      await once(holder.stdout, 'data');
      await expect(lockDirectory(directory, 0)).rejects.toMatchObject(IN_USE);
      holder.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      await (await lockDirectory(directory, 0)).release();
    }
  });

  it('names the directory or the file that cannot be used', async () => {
    await expect(lockDirectory(join(directory, 'absent'), 0)).rejects.toThrow('absent');
    writeFileSync(join(directory, 'aptkeep.lock'), 'somebody wrote here'.repeat(300));
    await expect(lockDirectory(directory, 0)).rejects.toThrow('aptkeep.lock');
  });
});
