/** How the keys of a repository are opened: with which passphrase, or by which command. Floor 3. */
import type { KeyObject } from 'node:crypto';
import type { Command } from '../command.ts';
import type { Config } from '../config.ts';
import { RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createQueue, type Queue } from '../queue.ts';
import { loadPassphrase, type Passphrase } from './passphrase.ts';

/** The keys that may be kept outside, by the setting that names their command. */
export type OutsideKey = 'signer.clientCa' | 'signer.serverCa' | 'signer.openpgp';

export interface KeyAccess {
  passphrase: Passphrase | undefined;
  values: Config['values'];
  log: Logger;
  /** Keys that were opened, by what was read: opening one takes a tenth of a second. */
  opened: Map<string, KeyObject>;
  /** Of the commands outside, whichever key they reach. */
  turns: Queue;
}

/** @throws RefusalError CONFIG_INVALID where the passphrase that is configured cannot be read */
export async function readKeyAccess(config: Config, log: Logger): Promise<KeyAccess> {
  const passphrase = await loadPassphrase(config);
  return { passphrase, values: config.values, log, opened: new Map(), turns: createQueue() };
}

/** The command that signs with a key; undefined where the key is in certs/. */
export function findCommand(access: KeyAccess, name: OutsideKey): Command | undefined {
  const line = access.values[name];
  return line === null ? undefined : { name, line, log: access.log, turns: access.turns };
}

/**
 * For what can only be done to a key in certs/, a rotation say.
 * @throws RefusalError KEY_ELSEWHERE
 */
export function demandHeldHere(access: KeyAccess, name: OutsideKey, deed: string): void {
  if (access.values[name] === null) return;
  throw new RefusalError(
    'KEY_ELSEWHERE',
    `${deed}: the key is held outside, behind ${name}, and has to be changed there`,
  );
}

/** Files of certs/, of every generation -> the setting with which they are not there. */
const OUTSIDE_FILES: readonly [RegExp, OutsideKey][] = [
  [/^client-ca\b/, 'signer.clientCa'],
  [/^server-ca\b/, 'signer.serverCa'],
  [/^archive-key\b/, 'signer.openpgp'],
];

/** @throws RefusalError KEY_ELSEWHERE where a key would be written that nobody signs with */
export function demandUse(access: KeyAccess, file: string): void {
  const name = OUTSIDE_FILES.find(([pattern]) => pattern.test(file))?.[1];
  if (name !== undefined) demandHeldHere(access, name, `certs/${file} is not written`);
}
