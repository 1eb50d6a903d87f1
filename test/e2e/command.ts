/**
 * Commands run as a person runs them: separate processes, an environment without leftovers, what
 * they said kept. Every process started here is gone when the test file is.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { verifyBelow } from './verified.ts';

/** The checkout: where package.json, bin/ and examples/ are. */
export const CHECKOUT = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

/** Far more than any step needs, so that only a hang meets it. */
const COMMAND_LIMIT_MS = 120_000;

export interface Outcome {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  input?: string;
  limitMs?: number;
  /** Of what it says; default utf8. */
  encoding?: BufferEncoding;
}

const children = new Set<ChildProcess>();

function reapChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}
process.once('exit', reapChildren);

/** The tests' own environment, without what would steer aptkeep, apt, curl or Node. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const leftover = /^(APTKEEP|NODE|VITEST|VITE|TEST|npm|APT|DPKG|CURL|OPENSSL|GNUPG)|proxy$/i;
  const kept = Object.entries(process.env).filter(([name]) => !leftover.test(name));
  return { ...Object.fromEntries(kept), LC_ALL: 'C.UTF-8', TZ: 'UTC', NO_COLOR: '1' };
}

/** A process that outlives the call; ended with the test file at the latest. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  const child = spawn(command, args, { env: cleanEnvironment(), ...options });
  children.add(child);
  child.once('close', () => children.delete(child));
  return child;
}

/** Runs to the end, whatever the end is. */
export function run(
  command: string,
  args: readonly string[],
  { env, cwd, input = '', limitMs = COMMAND_LIMIT_MS, encoding = 'utf8' }: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = startProcess(command, args, {
      env: env ?? cleanEnvironment(),
      ...(cwd === undefined ? {} : { cwd }),
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin?.on('error', () => undefined); // it need not read what it is given
    child.stdin?.end(input);
    child.once('error', reject);
    child.once('close', (status, signal) => {
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString(encoding);
      resolve({ status, signal, stdout: text(stdout), stderr: text(stderr) });
    });
  });
}

/** Runs a command that has to succeed; resolves with its standard output. */
export async function succeed(
  command: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const outcome = await run(command, args, options);
  if (outcome.status !== 0) {
    const said = `${outcome.stdout}\n${outcome.stderr}`.trim();
    const ended = outcome.signal ?? `exit ${outcome.status}`;
    throw new Error(`${[command, ...args].join(' ')}\nended with ${ended}:\n${said}`);
  }
  return outcome.stdout;
}

/**
 * A directory of this test file alone, readable by apt's sandbox user; removed at the end, when
 * openssl and GnuTLS have verified what was issued in the data directories below it.
 */
export function createScratch(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `aptkeep-${name}-`));
  chmodSync(directory, 0o755);
  afterAll(async () => {
    reapChildren();
    try {
      await verifyBelow(directory);
    } finally {
      if (!process.env.APTKEEP_TEST_KEEP) {
        await rm(directory, { recursive: true, force: true, maxRetries: 5 });
      }
    }
  });
  return directory;
}

/** Asks again and again until the answer is not undefined; what never comes is an error. */
export async function waitFor<Value>(
  what: string,
  ask: () => Promise<Value | undefined> | Value | undefined,
  limitMs = COMMAND_LIMIT_MS,
): Promise<Value> {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    const value = await ask();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${limitMs} ms in vain for ${what}`);
}
