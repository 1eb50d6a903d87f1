/** What signs every Release: the OpenPGP key in certs/, or keys outside that a command reaches. Floor 3. */
import { readFile } from 'node:fs/promises';
import { runCommand } from '../command.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { generateSigningKey, readKeyring, readSigningKey, type SecretKey } from '../signing/key.ts';
import { signRelease } from '../signing/sign.ts';
import {
  exportPublicKeys,
  holdSecretKey,
  reachKeysOutside,
  type SigningKey,
} from '../signing/signing-key.ts';
import { openClearsigned } from '../signing/verify.ts';
import type { CertsFolder } from './files.ts';
import { demandHeldHere, findCommand } from './key-access.ts';
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

/** A key must be older than every signature it makes, on the slowest host's clock. */
export const KEY_BACKDATE_MS = 3_600_000;

/** The file of the key that hosts know, and of the one to come while a rotation lasts. */
const CURRENT = 'archive-key.asc';
const NEXT = 'archive-key.next.asc';

/**
 * The keys that sign from now on: two while a rotation lasts.
 * @throws RefusalError NOT_INITIALISED, KEY_LOCKED, KEY_UNACCEPTABLE, CONFIG_INVALID
 */
export async function openSigningKeys(certs: CertsFolder): Promise<SigningKey[]> {
  const outside = await reachOutside(certs);
  if (outside) return outside;
  const current = holdSecretKey(await readSecretKey(certs, CURRENT));
  if (!(await certs.exists(NEXT))) return [current];
  const next = holdSecretKey(await readSecretKey(certs, NEXT));
  // A rotation that was killed at its very end: the next one is the current one already.
  const isOver = next.publicKey.getFingerprint() === current.publicKey.getFingerprint();
  return isOver ? [current] : [current, next];
}

/** Whether two keys of ours sign. */
export const isRotatingKey = async (certs: CertsFolder): Promise<boolean> =>
  (await certs.exists(NEXT)) && (await openSigningKeys(certs)).length > 1;

/**
 * A key beside the one that hosts know. From the next publication on both sign; nobody needs the
 * new one before `finishKeyRotation`.
 * @param keys that sign; changed in place.
 * @throws RefusalError ROTATION_STATE, KEY_ELSEWHERE
 */
export async function beginKeyRotation(
  certs: CertsFolder,
  keys: SigningKey[],
  organisation: string,
  created: Date,
): Promise<void> {
  demandHeldHere(certs.access, 'signer.openpgp', 'rotation of the signing key');
  if (await isRotatingKey(certs)) {
    throw new RefusalError(
      'ROTATION_STATE',
      'the signing key is being rotated already; end that first: aptkeep key rotate --finish',
    );
  }
  const secret = await readSigningKey(await generateSigningKey(organisation, created));
  await writeSecretKey(certs, NEXT, secret);
  keys.push(holdSecretKey(secret));
  await writeKeyring(certs, keys);
}

/**
 * A key that hosts of another repository know, as text; what would make its signatures worthless to
 * them is refused here, not by them.
 * @param date of the next signature.
 * @throws RefusalError KEY_UNACCEPTABLE
 */
export async function readForeignKey(text: string, date: Date): Promise<SecretKey> {
  const refuse = (why: string): RefusalError => new RefusalError('KEY_UNACCEPTABLE', why);
  const key = await readSigningKey(text).catch(() => {
    throw refuse(
      'the signing key is no armoured OpenPGP secret key: gpg --export-secret-keys --armor',
    );
  });
  if (!key.isDecrypted()) {
    throw refuse(
      'the signing key is under a passphrase: take it off first (gpg --change-passphrase), it is encrypted again with keys.passphrase',
    );
  }
  const probe = 'Origin: probe\n';
  try {
    const signed = await signRelease(probe, [holdSecretKey(key)], date);
    await openClearsigned(signed.inRelease, [key.toPublic()], date);
  } catch (error) {
    throw refuse(`the signing key does not sign: ${(error as Error).message}`);
  }
  return key;
}

/**
 * The key that hosts of another repository know goes before the one that hosts here know: both
 * sign, as in a rotation whose next key is ours, and it may end like one.
 * @param keys that sign; changed in place.
 * @returns whether anything changed: it may sign already.
 * @throws RefusalError ROTATION_STATE, KEY_ELSEWHERE
 */
export async function adoptSigningKey(
  certs: CertsFolder,
  keys: SigningKey[],
  key: SecretKey,
): Promise<boolean> {
  demandHeldHere(certs.access, 'signer.openpgp', 'taking over a signing key');
  const fingerprint = key.getFingerprint();
  if (keys.some(({ publicKey }) => publicKey.getFingerprint() === fingerprint)) return false;
  if (await isRotatingKey(certs)) {
    throw new RefusalError(
      'ROTATION_STATE',
      'two keys sign already; end that rotation first: aptkeep key rotate --finish',
    );
  }
  // Killed in between, there are two files of one key, which counts as one.
  await certs.write(NEXT, await certs.readText(CURRENT));
  await writeSecretKey(certs, CURRENT, key);
  keys.splice(0, keys.length, ...(await openSigningKeys(certs)));
  await writeKeyring(certs, keys);
  return true;
}

/**
 * From the next publication on only the new key signs; the old one is gone.
 * @param keys that sign; changed in place.
 * @throws RefusalError ROTATION_STATE where no rotation is under way.
 */
export async function finishKeyRotation(certs: CertsFolder, keys: SigningKey[]): Promise<void> {
  if (!(await isRotatingKey(certs))) {
    throw new RefusalError('ROTATION_STATE', 'no rotation of the signing key is under way');
  }
  await certs.write(CURRENT, await certs.readText(NEXT));
  await certs.remove(NEXT);
  keys.splice(0, keys.length, ...(await openSigningKeys(certs)));
  await writeKeyring(certs, keys);
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
    await writeSecretKey(certs, CURRENT, secret);
    keys = [holdSecretKey(secret)];
  }
  await writeKeyring(certs, keys);
  return keys;
}

/** The public halves, in both forms that `Signed-By` takes. */
export async function writeKeyring(certs: CertsFolder, keys: readonly SigningKey[]): Promise<void> {
  const { binary, armored } = exportPublicKeys(keys);
  await certs.write('archive-keyring.gpg', binary);
  await certs.write('archive-keyring.asc', armored);
}
