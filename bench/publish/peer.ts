/** What every program measured here can be asked for, and what all of them are given. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Corpus, Facts } from './corpus.ts';
import type { Cost } from './cost.ts';

/** A package on the disk, ready to be handed over. */
export interface Handed extends Facts {
  path: string;
}

/** The steps that are measured; one that a program does not know is left out. */
export interface Peer {
  name: string;
  /** Public keys as gpgv reads them. */
  keyring: string;
  /** What it lists: name, version and architecture, for the proof at the end. */
  listed: Set<string>;
  /** The folder that holds `pool`, where our stanzas are compared with apt-ftparchive's. */
  pool?: string;
  /** Tells apart those that add to the same repository; 0 where it has its own. */
  variant?: number;
  /** The whole corpus, in one publication if it can; left out where it begins with a copy. */
  import?(corpus: Corpus): Promise<Cost>;
  /** After the import, and before what follows: a server starts again. */
  begin?(): Promise<void>;
  /** One more package, until the new InRelease is there. */
  add(file: Handed): Promise<Cost>;
  /** A newer version in the place of an older one, wherever that stands in the index. */
  replace?(file: Handed, old: Facts): Promise<Cost>;
  remove?(old: Facts): Promise<Cost>;
  /** So many at once. */
  burst?(files: readonly Handed[]): Promise<Cost>;
  /** Many megabytes; `after` is what of it passes once the last byte is handed over. */
  addLarge?(file: Handed): Promise<Cost & { after: number }>;
  /** For gpgv. */
  readInRelease(): Promise<string>;
  /** The bytes of the gzip file that apt would fetch. */
  readPackages?(): Promise<Buffer>;
  stop(): Promise<void>;
}

export const SUITE = 'bench';
export const ARCHITECTURE = 'amd64';

export interface SigningKey {
  home: string;
  fingerprint: string;
  /** Public, binary, as gpgv reads it. */
  keyring: string;
}

/** An Ed25519 key without a passphrase, in a keyring of its own. */
export function createSigningKey(folder: string): SigningKey {
  const home = join(folder, 'gnupg');
  mkdirSync(home, { mode: 0o700 });
  const gpg = (...args: string[]): Buffer =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  gpg('--passphrase', '', '--quick-gen-key', 'Bench <bench@localhost>', 'ed25519', 'sign', 'never');
  const listed = gpg('--list-keys', '--with-colons').toString();
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
  const keyring = join(folder, 'keyring.gpg');
  writeFileSync(keyring, gpg('--export', fingerprint));
  return { home, fingerprint, keyring };
}

export function stopAgent({ home }: SigningKey): void {
  spawnSync('gpgconf', ['--homedir', home, '--kill', 'all']);
}

/** The programs that are measured and checked with, and the Debian packages that have them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  reprepro: 'reprepro',
  aptly: 'aptly',
  'apt-ftparchive': 'apt-utils',
  gpg: 'gpg',
  gpgv: 'gpgv',
  'gpg-agent': 'gpg-agent',
  curl: 'curl',
};

const isMissing = (program: string): boolean =>
  spawnSync(program, ['--version']).error !== undefined;

/** Installs what is missing when root. @throws Error that names it otherwise. */
export function requirePrograms(): void {
  const missing = Object.keys(PROGRAMS).filter(isMissing);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PROGRAMS[program] ?? program))];
  const command = `apt-get install --yes --no-install-recommends ${packages.join(' ')}`;
  if (process.getuid?.() !== 0) throw new Error(`as root: ${command}`);
  console.log(command);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const [word = '', ...words] = command.split(' ');
  if (spawnSync(word, words, { env }).status === 0) return;
  spawnSync(word, ['update'], { env });
  execFileSync(word, words, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** The versions of Debian's packages in use. */
export function describePrograms(): string {
  const packages = ['reprepro', 'aptly', 'apt-utils', 'gpg', 'curl'];
  const { stdout } = spawnSync('dpkg-query', ['--show', ...packages], { encoding: 'utf8' });
  return stdout.trim().replace(/\t/g, ' ').replace(/\n/g, ', ');
}
