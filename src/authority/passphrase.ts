/**
 * The passphrase of the keys at rest: from the environment, a file, or a credential of systemd, in
 * that order. Source of truth: systemd.exec(5), "Credentials". Floor 3.
 */
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { RefusalError, systemCode } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { parsePassphrase, SETTINGS } from '../settings.ts';
import { findExposure } from './exposure.ts';

const CREDENTIAL = 'aptkeep.passphrase';
const MAX_FILE_BYTES = 4096;

/** A passphrase, and where it came from as refusals say it. */
export interface Passphrase {
  secret: Secret;
  origin: string;
}

/** What is to be set where a key is encrypted and nobody said how it is opened. */
export const PASSPHRASE_SOURCES = `set keys.passphraseFile, APTKEEP_KEYS_PASSPHRASE or the systemd credential ${CREDENTIAL}`;

const refuse = (name: string, why: string): RefusalError =>
  new RefusalError('CONFIG_INVALID', `${name}: ${why}`);

/**
 * @param name what refusals call the file: a setting, an option.
 * @param isOurs false for files whose access somebody else sees to, as systemd does.
 * @throws RefusalError CONFIG_INVALID where it is missing, open to others, or its first line is no passphrase
 */
export async function readPassphraseFile(
  name: string,
  path: string,
  isOurs = true,
): Promise<Secret> {
  let text: string;
  let found: Stats;
  try {
    const handle = await open(path, 'r');
    try {
      found = await handle.stat();
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(MAX_FILE_BYTES), 0);
      text = buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw refuse(name, `${path} cannot be read (${systemCode(error)})`);
  }
  const owners = [...new Set([0, process.geteuid?.() ?? 0])];
  const fault = isOurs ? findExposure(found, owners, path) : undefined;
  if (fault !== undefined) throw refuse(name, fault);
  const secret = parsePassphrase(text);
  if (secret) return secret;
  throw refuse(
    name,
    `the first line of ${path} is no passphrase; allowed is ${SETTINGS['keys.passphrase'].allowed}`,
  );
}

const isBelow = (folder: string, path: string): boolean => !relative(folder, path).startsWith('..');

/** @throws RefusalError CONFIG_INVALID */
export async function loadPassphrase(config: Config): Promise<Passphrase | undefined> {
  const { values, origins, credentials } = config;
  const given = values['keys.passphrase'];
  if (given !== null) return { secret: given, origin: origins['keys.passphrase'] };
  const file = values['keys.passphraseFile'];
  if (file !== null) {
    // systemd lets a service read a credential by an access control list, which looks like a group's.
    const isOurs = credentials === undefined || !isBelow(credentials, dirname(resolve(file)));
    const secret = await readPassphraseFile('keys.passphraseFile', file, isOurs);
    return { secret, origin: 'keys.passphraseFile' };
  }
  if (credentials === undefined) return undefined;
  const path = join(credentials, CREDENTIAL);
  try {
    await (await open(path, 'r')).close();
  } catch (error) {
    // A unit may have credentials of other things only.
    if (systemCode(error) === 'ENOENT') return undefined;
  }
  const origin = `credential ${CREDENTIAL}`;
  return { secret: await readPassphraseFile(origin, path, false), origin };
}
