/** What `aptkeep suite create` and `suite set` take: what a suite is, and what it asks for. Floor 9. */
import type { Command } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { collectWords, type LeafOptions, parseCount } from './command.ts';

type Options = OutputOf<'suite.show'>['options'];

/** What is on or off; each has a `--no-` too. */
const SWITCHES = {
  xz: ['xz', 'indexes as .xz beside .gz'],
  contents: ['contents', 'Contents-ARCH: which package has which file (on by default)'],
  translations: ['translations', 'descriptions in Translation-en, short ones in Packages'],
  pdiffs: ['pdiffs', 'Packages.diff: what changed since, instead of the whole'],
  notAutomatic: ['not-automatic', 'NotAutomatic: installed from only where asked for'],
  butAutomaticUpgrades: ['but-automatic-upgrades', 'with --not-automatic: upgraded all the same'],
  changelogs: ['changelogs', 'changelogs for apt-get changelog'],
  snapshots: ['snapshots', 'past publications by time, for apt --snapshot'],
} as const satisfies Partial<Record<keyof Options, readonly [string, string]>>;

/** Adds what both take; `none` empties a list. */
export function addSettingOptions(command: Command): Command {
  command
    .option('--description <text>', 'Description')
    .option('--components <names>', 'components (default: main)', collectWords)
    .option('--architectures <names>', 'architectures (default: amd64,arm64)', collectWords)
    .option('--valid-for <days>', 'days from Date to Valid-Until', parseCount)
    .option('--release-version <text>', "Version in Release, like 12.1 ('' for none)")
    .option('--hashes <names>', 'besides SHA256: SHA512, MD5sum, or none', collectWords)
    .option('--signers <fingerprints>', 'whose signature a .changes needs, or none', collectWords)
    .option('--keep-newest <n>', 'retention: versions of a package that stay', parseCount)
    .option('--keep-days <n>', 'retention: what came in the last days stays', parseCount)
    .option('--keep-all', 'no retention: everything stays');
  for (const [flag, text] of Object.values(SWITCHES)) {
    command.option(`--${flag}`, text).option(`--no-${flag}`, `not: ${text}`);
  }
  return command;
}

const listOrNone = (words: string[]): string[] =>
  words.length === 1 && words[0] === 'none' ? [] : words;

function readOptions(given: LeafOptions): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const name of Object.keys(SWITCHES)) {
    if (given[name] !== undefined) options[name] = given[name];
  }
  if (given.releaseVersion !== undefined) options.version = given.releaseVersion;
  if (given.hashes !== undefined) options.hashes = listOrNone(given.hashes as string[]);
  if (given.signers !== undefined) {
    const signers = listOrNone(given.signers as string[]);
    options.signers = signers.length ? signers : null;
  }
  if (given.keepAll) options.retention = null;
  else if (given.keepNewest !== undefined || given.keepDays !== undefined) {
    options.retention = { newest: given.keepNewest ?? null, days: given.keepDays ?? null };
  }
  return options;
}

/** What was given, as the operations take it; empty where nothing was. */
export function readSettings(given: LeafOptions): Record<string, unknown> {
  const names = ['origin', 'label', 'codename', 'description', 'components', 'architectures'];
  const settings = Object.fromEntries(
    names.filter((name) => given[name] !== undefined).map((name) => [name, given[name]]),
  );
  const options = readOptions(given);
  return {
    ...settings,
    ...(given.validFor === undefined ? {} : { validForDays: given.validFor }),
    ...(Object.keys(options).length > 0 ? { options } : {}),
  };
}

/** What a suite asks for beyond the plain, for people. */
export function describeOptions(options: Options): (readonly [string, string])[] {
  const asked = Object.entries(SWITCHES).flatMap(([name, [flag]]) =>
    options[name as keyof typeof SWITCHES] ? [flag] : [],
  );
  const { retention } = options;
  const kept = [
    ...(retention?.newest ? [`the newest ${retention.newest}`] : []),
    ...(retention?.days ? [`the last ${retention.days} days`] : []),
  ];
  return [
    ...(options.version ? [['version', options.version] as const] : []),
    ['options', asked.join(' ') || '-'],
    ...(options.hashes.length ? [['hashes', `SHA256 ${options.hashes.join(' ')}`] as const] : []),
    ...(options.signers ? [['signers', options.signers.join(' ')] as const] : []),
    ...(kept.length ? [['keeps', kept.join(' and ')] as const] : []),
  ];
}
