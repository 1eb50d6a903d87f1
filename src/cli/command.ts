/**
 * How every command is made: the same options for where it works, an example in its help, a table
 * for people or JSON for programs. Floor 9.
 */
import { access } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Config, type ConfigFlags, loadConfig } from '../config.ts';
import { RefusalError } from '../errors.ts';
import type { Performer } from './performer.ts';
import { connectServer, connectSocket } from './remote.ts';

/** The options that say where a command works. */
export interface TargetOptions {
  data?: string;
  config?: string;
  server?: string;
  cert?: string;
  key?: string;
  ca?: string;
  json?: boolean;
}

const TARGET_FLAGS: readonly [string, string, string | undefined][] = [
  ['--data <dir>', 'the data directory (default: this folder)', undefined],
  [
    '--config <file>',
    'the configuration file (default: aptkeep.yaml in the data directory)',
    undefined,
  ],
  [
    '--server <url>',
    'work on a server over mutual TLS, like https://repo.example.org:8443',
    'APTKEEP_SERVER',
  ],
  ['--cert <file>', 'with --server: your certificate', 'APTKEEP_CERT'],
  ['--key <file>', 'with --server: its private key', 'APTKEEP_KEY'],
  ['--ca <file>', "with --server: the CA of the server's certificate", 'APTKEEP_CA'],
];

export function readConfig(options: TargetOptions, settings: ConfigFlags['settings'] = {}): Config {
  return loadConfig({ data: options.data, config: options.config, settings }, process.env);
}

/**
 * A data directory that was named goes before a server that only the environment names.
 * @throws RefusalError USAGE_INVALID where --server lacks what belongs to it.
 */
export async function openTarget(options: TargetOptions): Promise<Performer> {
  const { server, cert, key, ca } = options;
  if (server !== undefined && options.data === undefined) {
    if (cert === undefined || key === undefined || ca === undefined) {
      const missing = Object.entries({ cert, key, ca }).filter(([, value]) => value === undefined);
      throw new RefusalError(
        'USAGE_INVALID',
        `--server needs ${missing.map(([name]) => `--${name}`).join(', ')} too`,
      );
    }
    return connectServer({ server, cert, key, ca });
  }
  const config = readConfig(options);
  await access(config.data).catch(() => {
    throw new RefusalError('NOT_INITIALISED', `there is no data directory ${config.data}`);
  });
  const running = await connectSocket(config.data);
  if (running) return running;
  // Loaded only here: most commands meet a running server and need none of it.
  const { openLocally } = await import('./local.ts');
  try {
    return await openLocally(config);
  } catch (error) {
    // A server may have started between the look and the lock.
    const isHeld = error instanceof RefusalError && error.code === 'DIRECTORY_IN_USE';
    const started = isHeld ? await connectSocket(config.data) : undefined;
    if (started) return started;
    throw error;
  }
}

/** What a command prints: the same facts for programs and for people, undefined and '' for none. */
export interface Shown {
  json: unknown;
  text: string;
  /** The status to leave with when it is not 0. */
  status?: number;
}

export interface LeafOptions {
  [name: string]: unknown;
}

/** One command: its usage, what it does, an example, and what it runs. */
export interface Leaf {
  usage: string;
  summary: string;
  example: string;
  options?: (command: Command) => void;
  /** What commander cannot say of the usage; asked before a repository is opened. */
  check?: (options: LeafOptions, words: unknown[]) => void;
  /** What is done before a repository is opened, where that may not be possible yet. */
  prepare?: (options: LeafOptions & TargetOptions) => Promise<void>;
  /** `words` are the arguments in order; a variadic one arrives as an array. */
  run: (performer: Performer, options: LeafOptions, words: unknown[]) => Promise<Shown>;
  /** What is shown in place of a failure, where that is an answer too. */
  explain?: (error: unknown, options: LeafOptions) => Shown | undefined;
}

/** Those that name a server, which has to be one anywhere. */
export function addServerOptions(command: Command): Command {
  for (const [flags, text, variable] of TARGET_FLAGS) {
    if (variable === undefined) continue;
    command.addOption(new Option(flags, text).env(variable).makeOptionMandatory());
  }
  return command;
}

export function addTargetOptions(command: Command): Command {
  for (const [flags, text, variable] of TARGET_FLAGS) {
    const option = new Option(flags, text);
    command.addOption(variable === undefined ? option : option.env(variable));
  }
  return command.option('--json', 'print JSON');
}

export function addExample(command: Command, example: string): Command {
  return command.addHelpText('after', `\nExample:\n  ${example}`);
}

export function print(shown: Shown, json: boolean | undefined): void {
  const document = shown.json === undefined ? '' : `${JSON.stringify(shown.json, null, 2)}\n`;
  process.stdout.write(json ? document : shown.text);
  if (shown.status !== undefined) process.exitCode = shown.status;
}

/** Adds a noun: its verbs are added to what this answers. */
export function addNoun(program: Command, name: string, summary: string, example: string): Command {
  return addExample(program.command(name).description(summary), example);
}

/** What is asked for by name is never nameless: in a URL, '' would ask for the list instead. */
function refuseEmptyWords(command: Command, words: readonly unknown[]): void {
  command.registeredArguments.forEach((argument, position) => {
    if (!argument.required || words[position] !== '') return;
    throw new RefusalError('USAGE_INVALID', `argument '${argument.name()}' is empty`);
  });
}

/** Adds a command that works on a repository, here or over HTTP. */
export function addLeaf(parent: Command, leaf: Leaf): Command {
  const command = parent.command(leaf.usage).description(leaf.summary);
  leaf.options?.(command);
  addExample(addTargetOptions(command), leaf.example);
  command.action(async (...given: unknown[]) => {
    const options = command.opts() as LeafOptions & TargetOptions;
    refuseEmptyWords(command, given);
    if (options.data !== undefined && command.getOptionValueSource('server') === 'cli') {
      throw new RefusalError('USAGE_INVALID', '--data and --server name two repositories');
    }
    const words = given.slice(0, -2);
    leaf.check?.(options, words);
    try {
      await leaf.prepare?.(options);
      const performer = await openTarget(options);
      try {
        print(await leaf.run(performer, options, words), options.json);
      } finally {
        await performer.close();
      }
    } catch (error) {
      const shown = leaf.explain?.(error, options);
      if (!shown) throw error;
      print(shown, options.json);
    }
  });
  return command;
}

/**
 * Lets a command that does something of its own have verbs too: an option of theirs may stand
 * before the verb as well, and what is none of theirs is refused there.
 */
export function allowVerbs(command: Command): void {
  command.enablePositionalOptions().hook('preSubcommand', (_command, verb) => {
    for (const option of command.options) {
      const name = option.attributeName();
      if (command.getOptionValueSource(name) !== 'cli') continue;
      if (!verb.options.some((one) => one.attributeName() === name)) {
        const why = `${verb.name()} does not take ${option.long}`;
        throw new RefusalError('USAGE_INVALID', why);
      }
      verb.setOptionValueWithSource(name, command.getOptionValue(name), 'cli');
    }
  });
}

/** A whole number from 1 on, as an option or an argument gives it. */
export function parseCount(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('A whole number from 1 on is allowed.');
}

/** A comma-separated list, or the option given more than once. */
export function collectWords(text: string, previous: string[] | undefined): string[] {
  return [
    ...(previous ?? []),
    ...text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean),
  ];
}
