/** `aptkeep init` and `aptkeep serve`. Floor 9. */
import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config.ts';
import type { Daemon } from '../daemon.ts';
import { quoteShell } from '../fleet/apt-script.ts';
import { createLogger, type Logger } from '../log.ts';
import { addExample, collectWords, print, readConfig, type TargetOptions } from './command.ts';
import { renderPairs } from './table.ts';

export interface ServeOptions extends TargetOptions {
  name?: string;
  listen?: string;
  hostname?: string[];
  healthListen?: string;
  trustProxy?: boolean;
  logLevel?: string;
}

export function readServeConfig(options: ServeOptions): Config {
  return readConfig(options, {
    name: options.name,
    listen: options.listen,
    hostname: options.hostname?.join(','),
    'health.listen': options.healthListen,
    'proxy.trust': options.trustProxy ? 'true' : undefined,
    'log.level': options.logLevel,
  });
}

export function addServeOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'the data directory (default: this folder)')
    .option(
      '--config <file>',
      'the configuration file (default: aptkeep.yaml in the data directory)',
    )
    .option('--name <org>', 'the organisation: Origin and Label of suite "stable", O of the CAs')
    .option(
      '--hostname <name>',
      "a name or IP address for the server's certificate; repeatable",
      collectWords,
    )
    .option('--listen <host:port>', 'where to listen (default: 0.0.0.0:8443)');
}

export function warn(config: Config): void {
  for (const warning of config.warnings) process.stderr.write(`aptkeep: warning: ${warning}\n`);
}

const inPairs = (hex: string): string => (hex.toUpperCase().match(/../g) ?? []).join(':');

/** The program as a newcomer types it in this folder. */
function describeProgram(): string {
  const launcher = resolve(import.meta.dirname, '../../bin/aptkeep');
  const here = relative(process.cwd(), launcher);
  return here.startsWith('..') ? launcher : `./${here}`;
}

/** Commands that work when pasted as printed: build and upload, enrol, update. */
async function suggestCommands(config: Config): Promise<string[]> {
  const program = quoteShell(describeProgram());
  const data = resolve(config.data) === process.cwd() ? '' : ` --data ${quoteShell(config.data)}`;
  const moodle = resolve(import.meta.dirname, '../../examples/moodle');
  const hasExample = await access(`${moodle}/build`).then(
    () => true,
    () => false,
  );
  // A folder nobody else can have made before, and that apt's own user may enter.
  const trial = `/tmp/aptkeep-${randomBytes(4).toString('hex')}`;
  const built = `${trial}/packages`;
  const upload = hasExample
    ? `mkdir -p ${built} && (cd ${built} && ${quoteShell(`${moodle}/build`)} lu-moodle-lu_v2.5.0-0 ${quoteShell(`${moodle}/source`)}) && ${program} upload ${built}/lu-moodle-lu_2.5.0-0_all.deb --suite stable${data}`
    : `${program} package list${data}`;
  const root = `${trial}/moodle-web0`;
  return [
    ['upload a package', upload],
    [
      'enrol a host',
      `${program} cert issue moodle-web0 --role host --out ${root}${data} && ${program} host show moodle-web0 --apt --root ${root} --key-file ${root}/moodle-web0.key${data} | sh`,
    ],
    ['let its apt pull', `apt-get -c ${root}/apt.conf update`],
  ].map(([what, command]) => `    # ${what}\n    ${command}\n`);
}

/** The authorities of client certificates, and the commands that make sense with them. */
function describeAuthorities({ parts }: Daemon): [string, string][] {
  return parts.authority.trust.authorities.map((one) => [
    parts.authority.foreign ? `client CA ${one.subject.commonName}` : 'client CA',
    `SHA256 ${inPairs(one.fingerprint)}`,
  ]);
}

async function renderWelcome(daemon: Daemon): Promise<string> {
  const { parts } = daemon;
  const { readCertificate } = await import('../pki/certificate.ts');
  const { describeKey } = await import('../signing/key.ts');
  const { server, certs } = parts.authority;
  const ca = server?.current.anchor ?? readCertificate(await certs.readText('server-ca.crt'));
  const keys = await Promise.all(
    parts.repository.signingKeys.map((key) => describeKey(key.publicKey)),
  );
  const facts = renderPairs([
    ['url', parts.url],
    ...(parts.url === daemon.url ? [] : [['behind nginx', daemon.url] as const]),
    ['data', parts.config.data],
    ['server CA', `SHA256 ${inPairs(ca.fingerprint)}`],
    ...describeAuthorities(daemon),
    ...keys.map((key) => ['signing key', key.fingerprint] as const),
  ]);
  const next = parts.authority.foreign ? [] : await suggestCommands(parts.config);
  if (next.length === 0) return facts;
  return `${facts}\nNext, from another terminal in this folder:\n\n${next.join('\n')}\n`;
}

function reload(daemon: Daemon, log: Logger): void {
  daemon
    .reload()
    .catch((error: unknown) => log.error({ event: 'reload failed', error: String(error) }));
}

/** Serves until a signal ends it. */
async function serve(options: ServeOptions): Promise<void> {
  const config = readServeConfig(options);
  warn(config);
  const log = createLogger(config.values['log.level']);
  // Loaded when it is needed: the other commands start in half the time.
  const { startDaemon } = await import('../daemon.ts');
  const daemon = await startDaemon(config, log);
  const ended = new Promise<void>((resolveEnd, reject) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      daemon.stop().then(resolveEnd, reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    const { foreign, server } = daemon.parts.authority;
    // A terminal that hangs up ends the others, as ever.
    if (foreign || server) process.on('SIGHUP', () => reload(daemon, log));
  });
  process.stdout.write(await renderWelcome(daemon));
  process.stdout.write(`aptkeep: ready ${daemon.url}\n`);
  await ended;
}

async function initialise(options: ServeOptions): Promise<void> {
  const config = readServeConfig(options);
  warn(config);
  const { initialiseDirectory } = await import('../compose.ts');
  await initialiseDirectory(config, createLogger('warn'));
  const json = { data: config.data, name: config.values.name, suite: 'stable' };
  const data = resolve(config.data) === process.cwd() ? '' : ` --data ${quoteShell(config.data)}`;
  const text = `initialised ${config.data} for ${config.values.name}: two CAs, a revocation list, a server certificate, a signing key, suite stable\nnext: ${describeProgram()} serve${data}\n`;
  print({ json, text }, options.json);
}

export function addServeCommands(program: Command): void {
  const init = addServeOptions(program.command('init'))
    .description('make a repository in an empty data directory')
    .option('--json', 'print JSON')
    .action((options: ServeOptions) => initialise(options));
  addExample(init, 'aptkeep init --data /srv/aptkeep --name Uni --hostname repo.example.org');
  const serveCommand = addServeOptions(program.command('serve'))
    .description('serve a data directory, making the repository first where there is none')
    .option(
      '--health-listen <host:port>',
      'where health and metrics are served in the clear, or off (default: 127.0.0.1:9464)',
    )
    .option('--trust-proxy', 'take requests from nginx too, as `aptkeep config nginx` sets it up')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .action((options: ServeOptions) => serve(options));
  addExample(serveCommand, 'aptkeep serve --data /srv/aptkeep --listen 0.0.0.0:8443');
}
