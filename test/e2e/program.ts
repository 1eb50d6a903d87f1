/**
 * The program as its users have it: `bin/aptkeep` and `npm start` in processes of their own, on a
 * data directory and a port of their own.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  CHECKOUT,
  cleanEnvironment,
  type Outcome,
  run,
  startProcess,
  succeed,
  waitFor,
} from './command.ts';

export const APTKEEP = join(CHECKOUT, 'bin/aptkeep');

/** Below the range from which the kernel takes the ports of outgoing connections. */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** A port that is free now. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/**
 * What steers a program under test: only what the test says. One process serves, but for the tests
 * that are about several, or about what is the default.
 */
export function programEnvironment(settings: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const usual = { APTKEEP_HEALTH_LISTEN: 'off', APTKEEP_WORKERS: '1' };
  return { ...cleanEnvironment(), ...usual, ...settings };
}

/** `aptkeep …`, to its end, whatever the end is. */
export function runAptkeep(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Outcome> {
  return run(APTKEEP, args, { env: programEnvironment(env) });
}

/** `aptkeep …` that has to succeed; resolves with its standard output. */
export function aptkeep(...args: string[]): Promise<string> {
  return succeed(APTKEEP, args, { env: programEnvironment() });
}

export interface ServerOptions {
  data: string;
  port?: number;
  /** Flags of `serve` beyond --data and --listen. */
  flags?: string[];
  env?: NodeJS.ProcessEnv;
}

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Everything it has said so far, both streams. */
  output(): string;
  /** Asks it to end; resolves with its exit status. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Watches a process that serves until it says that it is ready. */
export async function watchServer(child: ChildProcess): Promise<Server> {
  const said: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => said.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk));
  const output = () => Buffer.concat(said).toString('utf8');
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status));
  });
  const url = await waitFor('the line "aptkeep: ready"', () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`aptkeep serve ended before it was ready:\n${output()}`);
    }
    return /^aptkeep: ready (https:\/\/\S+:\d+)$/m.exec(output())?.[1];
  });
  return {
    url,
    port: Number(new URL(url).port),
    process: child,
    output,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** `aptkeep serve` on an initialised or an empty data directory, ready when it resolves. */
export async function startServer({ data, port, flags, env }: ServerOptions): Promise<Server> {
  const listen = `127.0.0.1:${port ?? (await findFreePort())}`;
  const args = ['serve', '--data', data, '--listen', listen, ...(flags ?? [])];
  return watchServer(startProcess(APTKEEP, args, { env: programEnvironment(env) }));
}
