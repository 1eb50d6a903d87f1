/** Commands of the site's own: what they are given, and what they cannot do to us. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Command, runCommand } from '../src/command.ts';
import { createLogger } from '../src/log.ts';
import { createQueue } from '../src/queue.ts';
import { createScratch, waitFor } from './e2e/command.ts';

const scratch = createScratch('command');
const logged: Record<string, unknown>[] = [];
const log = { ...createLogger('silent'), error: (entry: object) => logged.push({ ...entry }) };

const turns = createQueue();
const command = (line: string): Command => ({
  name: 'signer.test',
  line,
  log: log as never,
  turns,
});
const run = (line: string, input = '', options = {}): Promise<string> =>
  runCommand(command(line), Buffer.from(input), options).then((bytes) => bytes.toString());

vi.stubEnv('APTKEEP_KEYS_PASSPHRASE', 'a secret word');
vi.stubEnv('CREDENTIALS_DIRECTORY', '/run/credentials/x');
afterAll(() => vi.unstubAllEnvs());
beforeEach(() => {
  logged.length = 0;
});

describe('a command', () => {
  it('gets the bytes and answers bytes, with a pipe and a last word', async () => {
    expect(await run('tr a-z A-Z | rev', 'abc')).toBe('CBA');
    expect(await run('echo', '', { word: '--clearsign' })).toBe('--clearsign\n');
    const large = 'x'.repeat(3_000_000);
    expect(await run('cat', large)).toBe(large);
  });

  it('is told nothing else: four variables, no open file, no folder of ours', async () => {
    const names = (await run('env')).split('\n').map((line) => line.split('=')[0]);
    const known = ['HOME', 'LANG', 'PATH', 'PWD', 'TMPDIR', '_', 'SHLVL', 'OLDPWD', ''];
    expect(names.filter((name) => !known.includes(name ?? ''))).toEqual([]);
    expect(await run('pwd')).toBe('/\n');
    const secret = join(scratch, 'secret');
    const handle = await open(secret, 'w');
    expect(await run('ls -l /proc/$$/fd /proc/self/fd')).not.toContain(secret);
    await handle.close();
  });

  it('waits for the one before it, which may fail', async () => {
    const lock = join(scratch, 'token');
    const alone = `mkdir ${lock} && sleep 0.1 && rmdir ${lock}`;
    const ended = await Promise.allSettled([
      ...[`${alone} && echo 1`, `${alone}; exit 1`, `${alone} && echo 3`].map((line) => run(line)),
    ]);
    expect(ended.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code))).toEqual([
      '1\n',
      'SIGNER_FAILED',
      '3\n',
    ]);
    expect(logged).toHaveLength(1);
  });

  it('that need not read its input may leave it', async () => {
    expect(await run('echo done', 'x'.repeat(3_000_000))).toBe('done\n');
  });

  it.each([
    ['a status', 'exit 7', /ended with status 7/],
    ['a command that is not there', '/nowhere/sign', /ended with status 127/],
    ['a signal', 'kill -TERM $$', /ended with SIGTERM/],
  ])('is refused with %s, whatever it answered', async (_name, line, why) => {
    const failed = run(`printf signature; ${line}`);
    await expect(failed).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    await expect(failed).rejects.toThrow(why);
  });

  it('complains to the log, in few words; the refusal has none of them', async () => {
    const failed = run('yes "PIN locked" | head -c 100000 >&2; exit 1');
    await expect(failed).rejects.toThrow(/^signer\.test: it ended with status 1; the log has/);
    const [entry] = logged;
    expect(entry).toMatchObject({ event: 'signer failed', setting: 'signer.test' });
    expect(String(entry?.said)).toContain('PIN locked');
    expect(String(entry?.said).length).toBeLessThanOrEqual(2048);
  });

  it('that hangs is ended with all that it started', async () => {
    const pids = join(scratch, 'pids');
    const line = `echo $$ >${pids}; sleep 600 & echo $! >>${pids}; sleep 600 | sleep 600`;
    await expect(run(line, '', { timeoutMs: 300 })).rejects.toThrow(/no answer within/);
    const alive = async (): Promise<true | undefined> => {
      for (const pid of (await readFile(pids, 'utf8')).trim().split('\n')) {
        const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
        if (!/\) [ZX]/.test(state)) return undefined;
      }
      return true;
    };
    expect(await waitFor('the end of them', alive)).toBe(true);
  });

  it('that floods is ended', async () => {
    await expect(run('yes')).rejects.toThrow(/more than \d+ bytes answered/);
  });
});
