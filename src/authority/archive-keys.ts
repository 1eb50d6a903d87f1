/** What signs every Release: the OpenPGP key in certs/, or keys outside that a command reaches. Floor 3. */
import { readFile } from 'node:fs/promises';
import { runCommand } from '../command.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { exportKeyring, generateSigningKey, readKeyring, readSigningKey } from '../signing/key.ts';
import { holdSecretKey, reachKeysOutside, type SigningKey } from '../signing/signing-key.ts';
import type { CertsFolder } from './files.ts';
import { findCommand } from './key-access.ts';
import { readSecretKey, writeSecretKey } from './keys.ts';

async function reachOutside(certs: CertsFolder): Promise<SigningKey[] | undefined> {
  const command = findCommand(certs.access, 'signer.openpgp');
  const path = certs.access.values['signer.openpgpKeyring'];
  if (command === undefined || path === null) return undefined;
  const refuse = (why: string): RefusalError =>
    new RefusalError('CONFIG_INVALID', `signer.openpgpKeyring: ${path} ${why}`);
  const bytes = await readFile(path).catch((error: unknown) => {
    throw refuse(`cannot be read (${systemCode(error)})`);
  });
  const keyring = await readKeyring(bytes).catch(() => []);
  if (keyring.length === 0) throw refuse('holds no OpenPGP public key');
  return reachKeysOutside(keyring, async (mode, release) => {
    const output = await runCommand(command, Buffer.from(release), { word: `--${mode}` });
    return output.toString('utf8');
  });
}

/**
 * The keys that sign from now on.
 * @throws RefusalError NOT_INITIALISED, KEY_LOCKED, KEY_UNACCEPTABLE, CONFIG_INVALID
 */
export async function openSigningKeys(certs: CertsFolder): Promise<SigningKey[]> {
  const outside = await reachOutside(certs);
  return outside ?? [holdSecretKey(await readSecretKey(certs, 'archive-key.asc'))];
}

/**
 * The first keys: a new one, unless they are outside; and their public halves as files.
 * @param created must not lie ahead of any host's clock.
 */
export async function createSigningKeys(
  certs: CertsFolder,
  organisation: string,
  created: Date,
): Promise<SigningKey[]> {
  let keys = await reachOutside(certs);
  if (keys === undefined) {
    const secret = await readSigningKey(await generateSigningKey(organisation, created));
    await writeSecretKey(certs, 'archive-key.asc', secret);
    keys = [holdSecretKey(secret)];
  }
  await writeKeyring(certs, keys);
  return keys;
}

/** The public halves, in both forms that `Signed-By` takes. */
export async function writeKeyring(certs: CertsFolder, keys: readonly SigningKey[]): Promise<void> {
  const keyrings = keys.map((key) => exportKeyring(key.publicKey));
  await certs.write('archive-keyring.gpg', Buffer.concat(keyrings.map((one) => one.binary)));
  await certs.write('archive-keyring.asc', keyrings.map((one) => one.armored).join(''));
}
