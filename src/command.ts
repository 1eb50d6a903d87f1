/**
 * A shell command of the site's own that is given bytes and answers bytes: how a key that is kept
 * outside of this process signs. It is told nothing else: no variable of ours, no open file; it may
 * neither hang nor flood us. Floor 1.
 */
import { spawn } from 'node:child_process';
import { RefusalError } from './errors.ts';
import type { Logger } from './log.ts';
import type { Queue } from './queue.ts';

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** What of its standard error is kept for the log. */
const MAX_COMPLAINT_BYTES = 2048;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `name` is the setting it stands in, and all that a refusal says of it. */
export interface Command {
  name: string;
  line: string;
  log: Logger;
  /** Commands run in turn: they may share a token, and SoftHSM fails processes that ask at once. */
  turns: Queue;
}

interface Ended {
  output: Buffer;
  complaint: string;
  /** Why the output does not count. */
  fault: string | undefined;
}

function chooseEnvironment(): NodeJS.ProcessEnv {
  const { HOME, TMPDIR } = process.env;
  return {
    PATH: process.env.PATH ?? PATH,
    LANG: 'C.UTF-8',
    ...(HOME === undefined ? {} : { HOME }),
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
  };
}

function runShell(line: string, input: Uint8Array, timeoutMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    // A group of its own, so that what the shell started ends with it.
    const child = spawn('/bin/sh', ['-c', line], {
      env: chooseEnvironment(),
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let complaint = '';
    let fault: string | undefined;
    const end = (why: string): void => {
      fault ??= why;
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(() => end(`no answer within ${timeoutMs / 1000} s`), timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) end(`more than ${MAX_OUTPUT_BYTES} bytes answered`);
      else chunks.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      const room = MAX_COMPLAINT_BYTES - complaint.length;
      if (room > 0) complaint += chunk.toString('utf8').slice(0, room);
    });
    // It need not read to the end; then its status says so.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.once('error', (error) => end(`it cannot be started: ${error.message}`));
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (status !== 0) fault ??= `it ended with ${signal ?? `status ${status}`}`;
      resolve({ output: Buffer.concat(chunks), complaint, fault });
    });
  });
}

/**
 * Run a command to its end, in the root folder.
 * @param word the last argument of the command, where it has one; a plain word.
 * @throws RefusalError SIGNER_FAILED; the log has what the command said.
 */
export async function runCommand(
  command: Command,
  input: Uint8Array,
  { word = '', timeoutMs = TIMEOUT_MS }: { word?: string; timeoutMs?: number } = {},
): Promise<Buffer> {
  const line = word === '' ? command.line : `${command.line} ${word}`;
  const run = () => runShell(line, input, timeoutMs);
  const { output, complaint, fault } = await command.turns.add(run);
  if (fault === undefined) return output;
  command.log.error({ event: 'signer failed', setting: command.name, why: fault, said: complaint });
  throw new RefusalError('SIGNER_FAILED', `${command.name}: ${fault}; the log has what it said`);
}
