/**
 * The keys in certs/, read and written: the one place where a passphrase meets a key. At rest they
 * are encrypted where a passphrase is configured; what is returned is open, and stays in memory.
 * Source of truth: PKCS#8 (RFC 5958) for X.509, RFC 9580 section 5.5.3 for OpenPGP. Floor 3.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import type { Config } from '../config.ts';
import { RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import {
  decryptPrivateKey,
  encryptPrivateKey,
  isEncryptedKey,
  RANDOM_BYTES,
} from '../pki/encrypted-key.ts';
import { encodePrivateKey } from '../pki/key.ts';
import {
  decryptSigningKey,
  encryptSigningKey,
  readSigningKey,
  type SecretKey,
} from '../signing/key.ts';
import {
  type CertsFolder,
  KEY_FILES,
  type KeyFile,
  openCertsFolder,
  type PrivateKeyFile,
  type SecretKeyFile,
} from './files.ts';
import { demandUse, readKeyAccess } from './key-access.ts';
import { PASSPHRASE_SOURCES, type Passphrase } from './passphrase.ts';

const isOpenPgp = (file: KeyFile): file is SecretKeyFile => file.endsWith('.asc');

/** The passphrase that opens an encrypted file. @throws RefusalError KEY_LOCKED */
function demandPassphrase(certs: CertsFolder, file: KeyFile): Passphrase {
  const { passphrase } = certs.access;
  if (passphrase) return passphrase;
  throw new RefusalError(
    'KEY_LOCKED',
    `certs/${file} is encrypted and no passphrase is configured: ${PASSPHRASE_SOURCES}`,
  );
}

const refuseLocked = (file: KeyFile, { origin }: Passphrase): RefusalError =>
  new RefusalError('KEY_LOCKED', `certs/${file}: the passphrase of ${origin} does not open it`);

const refuseUnread = (file: KeyFile): RefusalError =>
  new RefusalError('KEY_UNACCEPTABLE', `certs/${file} holds no private key that can be read`);

/**
 * A private key of X.509, open.
 * @throws RefusalError NOT_INITIALISED, KEY_LOCKED, KEY_UNACCEPTABLE
 */
export async function readPrivateKey(certs: CertsFolder, file: PrivateKeyFile): Promise<KeyObject> {
  const { opened } = certs.access;
  const pem = await certs.readText(file);
  const known = opened.get(pem);
  if (known) return known;
  const passphrase = isEncryptedKey(pem) ? demandPassphrase(certs, file) : undefined;
  try {
    const key = decryptPrivateKey(pem, passphrase?.secret.reveal());
    opened.set(pem, key);
    return key;
  } catch {
    // The library's own words stay out: they are about bytes that nobody may see.
    throw passphrase ? refuseLocked(file, passphrase) : refuseUnread(file);
  }
}

/** PKCS#8 as it is kept at rest. */
export async function renderPrivateKey(key: KeyObject, passphrase?: Passphrase): Promise<string> {
  return passphrase
    ? encryptPrivateKey(key, passphrase.secret.reveal(), randomBytes(RANDOM_BYTES))
    : encodePrivateKey(key);
}

/**
 * Encrypted where a passphrase is configured.
 * @throws RefusalError KEY_ELSEWHERE where the key in force is not in certs/
 */
export async function writePrivateKey(
  certs: CertsFolder,
  file: PrivateKeyFile,
  key: KeyObject,
): Promise<void> {
  demandUse(certs.access, file);
  const pem = await renderPrivateKey(key, certs.access.passphrase);
  certs.access.opened.set(pem, key);
  await certs.write(file, pem);
}

/**
 * The OpenPGP key, open.
 * @throws RefusalError NOT_INITIALISED, KEY_LOCKED, KEY_UNACCEPTABLE
 */
export async function readSecretKey(certs: CertsFolder, file: SecretKeyFile): Promise<SecretKey> {
  const key = await readSigningKey(await certs.readText(file)).catch(() => {
    throw refuseUnread(file);
  });
  if (key.isDecrypted()) return key;
  const passphrase = demandPassphrase(certs, file);
  return decryptSigningKey(key, passphrase.secret.reveal()).catch(() => {
    throw refuseLocked(file, passphrase);
  });
}

const renderSecretKey = async (key: SecretKey, passphrase?: Passphrase): Promise<string> =>
  passphrase ? encryptSigningKey(key, passphrase.secret.reveal()) : key.armor();

/**
 * Encrypted where a passphrase is configured.
 * @throws RefusalError KEY_ELSEWHERE where the key in force is not in certs/
 */
export async function writeSecretKey(
  certs: CertsFolder,
  file: SecretKeyFile,
  key: SecretKey,
): Promise<void> {
  demandUse(certs.access, file);
  await certs.write(file, await renderSecretKey(key, certs.access.passphrase));
}

/** Whether a key is encrypted at rest; undefined where there is none. */
export async function isEncryptedAtRest(
  certs: CertsFolder,
  file: KeyFile,
): Promise<boolean | undefined> {
  if (!(await certs.exists(file))) return undefined;
  const text = await certs.readText(file);
  if (!isOpenPgp(file)) return isEncryptedKey(text);
  const key = await readSigningKey(text).catch(() => {
    throw refuseUnread(file);
  });
  return !key.isDecrypted();
}

/** The text of a key under a passphrase, which is known to open it again. */
async function renderAnew(
  certs: CertsFolder,
  file: KeyFile,
  passphrase: Passphrase | undefined,
): Promise<string> {
  const word = passphrase?.secret.reveal();
  if (isOpenPgp(file)) {
    const text = await renderSecretKey(await readSecretKey(certs, file), passphrase);
    const read = await readSigningKey(text);
    if (word !== undefined) await decryptSigningKey(read, word);
    return text;
  }
  const key = await readPrivateKey(certs, file);
  const text = await renderPrivateKey(key, passphrase);
  if (!decryptPrivateKey(text, word).equals(key)) throw refuseUnread(file);
  return text;
}

/**
 * Put keys under another passphrase, or under none: all of these files or none of them.
 * @throws RefusalError KEY_LOCKED, KEY_UNACCEPTABLE, and then nothing was changed
 */
export async function encryptKeysAnew(
  certs: CertsFolder,
  files: readonly KeyFile[],
  passphrase: Passphrase | undefined,
): Promise<void> {
  const contents = new Map<KeyFile, string>();
  for (const file of files) {
    contents.set(file, await renderAnew(certs, file, passphrase));
  }
  await certs.writeTogether(contents);
}

/** The keys that are there, by whether they are encrypted. */
export async function listKeysAtRest(
  certs: CertsFolder,
): Promise<{ encrypted: KeyFile[]; plain: KeyFile[] }> {
  const encrypted: KeyFile[] = [];
  const plain: KeyFile[] = [];
  for (const file of KEY_FILES) {
    const state = await isEncryptedAtRest(certs, file);
    if (state !== undefined) (state ? encrypted : plain).push(file);
  }
  return { encrypted, plain };
}

/**
 * What starts with a passphrase leaves no key plain, and nothing starts without one that is needed.
 * @throws RefusalError KEY_LOCKED, KEY_UNACCEPTABLE
 */
export async function settleKeysAtRest(certs: CertsFolder): Promise<void> {
  const { passphrase, log } = certs.access;
  const { encrypted, plain } = await listKeysAtRest(certs);
  if (passphrase === undefined) {
    for (const file of encrypted) demandPassphrase(certs, file);
    return;
  }
  if (plain.length === 0) return;
  // A passphrase that does not open the others would be a second one.
  for (const file of encrypted) await openKey(certs, file);
  await encryptKeysAnew(certs, plain, passphrase);
  log.warn({ event: 'keys.encrypted', files: plain, passphraseOf: passphrase.origin });
}

const openKey = (certs: CertsFolder, file: KeyFile): Promise<unknown> =>
  isOpenPgp(file) ? readSecretKey(certs, file) : readPrivateKey(certs, file);

/** Opens certs/ of a data directory that is locked, for keys that are yet to be made. */
export const openCertsToFill = async (config: Config, log: Logger): Promise<CertsFolder> =>
  openCertsFolder(config.data, await readKeyAccess(config, log));

/**
 * Opens certs/ of a data directory that is locked, with its keys in the state that is configured.
 * @throws RefusalError KEY_EXPOSED, KEY_LOCKED, CONFIG_INVALID
 */
export async function openCerts(config: Config, log: Logger): Promise<CertsFolder> {
  const certs = await openCertsToFill(config, log);
  await settleKeysAtRest(certs);
  return certs;
}
