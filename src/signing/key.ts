/**
 * The archive's OpenPGP key: made, read, exported. Ed25519 in the version 4 form (RFC 9580
 * section 9.2, "EdDSALegacy"), the one form that gpgv of Debian 11 and sqv both read. Floor 1.
 */
import {
  armor,
  decryptKey,
  encryptKey,
  enums,
  generateKey,
  type PrivateKey,
  type PublicKey,
  readKeys,
  readPrivateKey,
} from 'openpgp';

export type { PrivateKey as SecretKey, PublicKey };

/** `fingerprint` in upper-case hex as gpg prints it; `expires` undefined where it never does. */
export interface KeyFacts {
  fingerprint: string;
  userId: string;
  created: Date;
  expires: Date | undefined;
}

/**
 * A new signing key without passphrase, as armoured text (RFC 9580 section 6.2).
 * @param created must not lie ahead of any host's clock: a signature older than its key is refused.
 */
export async function generateSigningKey(name: string, created: Date): Promise<string> {
  const { privateKey } = await generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{ name: `${name} archive signing key` }],
    subkeys: [],
    date: created,
    format: 'armored',
  });
  return privateKey;
}

/** @throws Error where the text holds no OpenPGP secret key. */
export async function readSigningKey(armored: string): Promise<PrivateKey> {
  return readPrivateKey({ armoredKey: armored });
}

/** 65,011,712 bytes are hashed for each guess: RFC 9580 section 3.7.1.3, and gpg's own most. */
const S2K_COUNT = 255;

/** Armoured text of a secret key under a passphrase; gpg 2.2 and newer import it. */
export async function encryptSigningKey(key: PrivateKey, passphrase: string): Promise<string> {
  const locked = await encryptKey({
    privateKey: key,
    passphrase,
    config: { s2kIterationCountByte: S2K_COUNT },
  });
  return locked.armor();
}

/** @throws Error where the passphrase is another. */
export const decryptSigningKey = (key: PrivateKey, passphrase: string): Promise<PrivateKey> =>
  decryptKey({ privateKey: key, passphrase });

/** The facts of a key that a person compares. */
export async function describeKey(key: PrivateKey | PublicKey): Promise<KeyFacts> {
  const expires = await key.getExpirationTime();
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    userId: key.getUserIDs()[0] ?? '',
    created: key.getCreationTime(),
    expires: expires instanceof Date ? expires : undefined,
  };
}

/** From when on a key may sign: what vouches for it, its owner's own signatures, may be renewed. */
export function findValidFrom(key: PrivateKey): Date {
  const own = [
    ...key.users.flatMap((user) => user.selfCertifications),
    ...key.subkeys.flatMap((subkey) => subkey.bindingSignatures),
  ];
  const times = [key.getCreationTime(), ...own.map((one) => one.created ?? key.getCreationTime())];
  return new Date(Math.max(...times.map((time) => time.getTime())));
}

/**
 * The public halves as `Signed-By` wants them: binary for .gpg, armoured for .asc. All in one block
 * of armour, because apt reads no further than the end of the first.
 */
export function exportKeyring(keys: readonly (PrivateKey | PublicKey)[]): {
  binary: Buffer;
  armored: string;
} {
  const binary = Buffer.concat(keys.map((key) => key.toPublic().write() as Uint8Array));
  // With its checksum: gpg 2.2 stumbles over armour that has none.
  const armored = armor(enums.armor.publicKey, binary, undefined, undefined, undefined, true);
  return { binary, armored };
}

/** Every public key of a keyring, armoured or binary. @throws Error where it is none. */
export async function readKeyring(keyring: string | Uint8Array): Promise<PublicKey[]> {
  const text = Buffer.from(keyring).toString('latin1');
  const keys = text.includes('-----BEGIN PGP')
    ? await readKeys({ armoredKeys: text })
    : await readKeys({ binaryKeys: Buffer.from(keyring) });
  return keys.map((key) => key.toPublic());
}
