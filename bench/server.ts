/** The real program as a process of its own, and what it costs the machine. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '..');
export const PROGRAM = join(ROOT, 'bin/aptkeep');
/** Clock ticks of /proc are a hundredth of a second on every Debian kernel. */
const TICK_MS = 10;
/** A revocation list of a hundred thousand entries is printed in ten million. */
const MAX_OUTPUT_BYTES = 2 ** 28;

export interface BenchServer {
  url: string;
  data: string;
  pid: number;
  /** CPU time of the process so far, user and system, in milliseconds. */
  cpu(): number;
  /** Resident memory now, in MiB. */
  memory(): number;
  run(...words: string[]): string;
  /** Ends the process. */
  halt(): Promise<void>;
  /** Ends the process, and removes its data directory. */
  stop(): Promise<void>;
}

/** One process, as the peers are, where a bench asks for no more. */
const environment = {
  ...process.env,
  ...{ APTKEEP_LOG_LEVEL: 'error', APTKEEP_HEALTH_LISTEN: 'off', APTKEEP_WORKERS: '1' },
};

export function runProgram(...words: string[]): string {
  const options = { encoding: 'utf8', env: environment, maxBuffer: MAX_OUTPUT_BYTES } as const;
  return execFileSync(PROGRAM, words, options);
}

export const makeDataDirectory = (): string => mkdtempSync(join(tmpdir(), 'aptkeep-bench-'));

/** CPU time of a process so far, user and system, in milliseconds. */
export function readCpu(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** `settings` by their variables. */
export async function startServer(
  data = makeDataDirectory(),
  settings: Record<string, string> = {},
): Promise<BenchServer> {
  const child: ChildProcess = spawn(PROGRAM, ['serve', '--data', data, '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...environment, ...settings },
  });
  const url = await new Promise<string>((found, fail) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      const ready = /aptkeep: ready (\S+)/.exec(text)?.[1];
      if (ready) found(ready);
    });
    child.once('exit', () => fail(new Error('the server ended')));
  });
  const halt = async (): Promise<void> => {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
  };
  const proc = (file: string): string => readFileSync(`/proc/${child.pid}/${file}`, 'utf8');
  return {
    url,
    data,
    pid: child.pid ?? 0,
    cpu: () => readCpu(child.pid),
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(proc('status'))?.[1]) / 1024,
    run: (...words) => runProgram(...words, '--data', data),
    halt,
    async stop() {
      await halt();
      rmSync(data, { recursive: true });
    },
  };
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
