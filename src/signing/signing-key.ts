/**
 * What signs a Release: the public half, and how the secret half is reached. It is held in this
 * process, or outside of it behind a command (gpg with a smart card, say). Floor 1.
 */
import { exportKeyring, type PublicKey, type SecretKey } from './key.ts';

/** How a Release is signed outside: by the two options of gpg that make the two files. */
export type SignMode = 'clearsign' | 'detach-sign';

/** Signs a Release outside of this process; resolves with armoured text that nobody has checked. */
export type ReleaseCommand = (mode: SignMode, release: string) => Promise<string>;

export type SigningKey =
  | { readonly kind: 'held'; readonly publicKey: PublicKey; readonly secretKey: SecretKey }
  | { readonly kind: 'outside'; readonly publicKey: PublicKey; readonly command: ReleaseCommand };

/** A key whose secret half is in memory, decrypted. */
export const holdSecretKey = (secretKey: SecretKey): SigningKey => ({
  kind: 'held',
  publicKey: secretKey.toPublic(),
  secretKey,
});

/** The keys of a keyring that one command signs with; which of them, it decides itself. */
export const reachKeysOutside = (
  keyring: readonly PublicKey[],
  command: ReleaseCommand,
): SigningKey[] => keyring.map((publicKey) => ({ kind: 'outside', publicKey, command }));

/** The public halves of the keys that sign, in their order. */
export const listPublicKeys = (keys: readonly SigningKey[]): PublicKey[] =>
  keys.map((key) => key.publicKey);

/** The keyring that is given out: every key that signs, in both forms that `Signed-By` takes. */
export const exportPublicKeys = (keys: readonly SigningKey[]): ReturnType<typeof exportKeyring> =>
  exportKeyring(listPublicKeys(keys));
