/**
 * The archive's OpenPGP key: made, read, exported. Ed25519 in the version 4 form (RFC 9580
 * section 9.2, "EdDSALegacy"), the one form that gpgv of Debian 11 and sqv both read. Floor 1.
 */
import { generateKey, type PrivateKey, type PublicKey, readKeys, readPrivateKey } from 'openpgp';

export type { PrivateKey as SecretKey };

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

/** The public half as `Signed-By` wants it: binary for .gpg, armoured for .asc. */
export function exportKeyring(key: PrivateKey): { binary: Uint8Array; armored: string } {
  const publicKey = key.toPublic();
  return { binary: publicKey.write() as Uint8Array, armored: publicKey.armor() };
}

/** Every public key of an armoured keyring. */
export async function readKeyring(armored: string): Promise<PublicKey[]> {
  return (await readKeys({ armoredKeys: armored })) as PublicKey[];
}
