/** `aptkeep dput-proxy`: lets dput and dput-ng upload with a client certificate. Floor 9. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { constants } from 'node:os';
import { type Command, Option } from 'commander';
import { RefusalError } from '../../errors.ts';
import { type Address, address } from '../../notation.ts';
import { addExample, addServerOptions, collectWords, type TargetOptions } from '../command.ts';
import { readCredentials, readServerUrl } from '../remote.ts';
import { removeConfigurations, writeConfigurations } from './configuration.ts';
import { createForwarder } from './forward.ts';

interface ProxyOptions extends TargetOptions {
  suite: string[];
  component?: string;
  anyDistribution?: boolean;
  listen: string;
  out: string;
}

const TOKEN_BYTES = 24;
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

/** @throws RefusalError USAGE_INVALID for an address that others can reach. */
function readListen(text: string): Address {
  const found = address.parse(text);
  if (found && LOOPBACK.test(found.host)) return found;
  throw new RefusalError(
    'USAGE_INVALID',
    `--listen ${text}: 127.0.0.1:PORT or [::1]:PORT is allowed, nothing that another machine reaches`,
  );
}

async function listen(server: Server, { host, port }: Address): Promise<number> {
  server.listen(port, host);
  await Promise.race([
    once(server, 'listening'),
    once(server, 'error').then(([error]) => {
      throw new RefusalError('ADDRESS_UNAVAILABLE', `--listen ${host}:${port}: ${error.code}`);
    }),
  ]);
  return (server.address() as AddressInfo).port;
}

const waitForSignal = (): Promise<number> =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(0));
  });

/** Runs a command to its end, as a shell would; signals are for it. */
async function runCommand(words: readonly string[]): Promise<number> {
  const [program = '', ...rest] = words;
  const child: ChildProcess = spawn(program, rest, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', () =>
      reject(new RefusalError('USAGE_INVALID', `${program}: cannot be run`)),
    );
    child.once('close', (status, signal) =>
      resolve(status ?? 128 + (signal ? constants.signals[signal] : 0)),
    );
  });
}

async function runProxy(words: readonly string[], options: ProxyOptions): Promise<void> {
  const place = readListen(options.listen);
  const url = readServerUrl(String(options.server));
  const openAgent = async (): Promise<Agent> => new Agent(await readCredentials(options));
  // What is wrong with the files is said now.
  (await openAgent()).destroy();
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const { suite: suites, component, anyDistribution = false } = options;
  const report = (line: string): void => {
    process.stderr.write(`aptkeep: ${line}\n`);
  };
  const destination = { url, openAgent, component, anyDistribution };
  const server = createForwarder({ token, suites, destination, report });
  const port = await listen(server, place);
  let written: string[] = [];
  try {
    written = await writeConfigurations(options.out, { port, token, suites });
    if (words.length > 0) process.exitCode = await runCommand(words);
    else {
      const lines = written.map((path) => `written ${path}\n`).join('');
      process.stdout.write(`${lines}aptkeep: ready http://${place.host}:${port}\n`);
      process.exitCode = await waitForSignal();
    }
  } finally {
    await removeConfigurations(written);
    server.close();
    server.closeAllConnections();
  }
}

export function addDputProxyCommand(program: Command): void {
  const command = program
    .command('dput-proxy [command...]')
    .description(
      'let dput and dput-ng upload over mutual TLS: while a command runs, or until it is ended',
    )
    .requiredOption(
      '--suite <name>',
      'the suite, for the host "aptkeep"; more are "aptkeep-NAME"; repeatable',
      collectWords,
    )
    .option('--component <name>', "the component (default: the suite's first)")
    .option('--any-distribution', 'take a .changes whose Distribution is another suite')
    .requiredOption('--out <dir>', 'where dput.cf and profiles/ for dput-ng are written')
    .addOption(
      new Option('--listen <address>', 'where to listen on this machine').default('127.0.0.1:0'),
    )
    .action((words: string[], options: ProxyOptions) => runProxy(words, options));
  addServerOptions(command);
  addExample(
    command,
    'aptkeep dput-proxy --suite stable --out dput -- dput -c dput/dput.cf aptkeep hello_1.0-1_amd64.changes',
  );
}
