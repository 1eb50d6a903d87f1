/**
 * The public keyring, and the signature over it by every key that signs now: a host takes another
 * keyring from nobody but who could sign its packages. Floor 3.
 */
import { signDetached } from '../signing/sign.ts';
import { exportPublicKeys, type SigningKey } from '../signing/signing-key.ts';

/** A signature is never ahead of a host's clock, if that is no more than this behind. */
const BACKDATE_MS = 300_000;

export interface KeyringParts {
  signingKeys: readonly SigningKey[];
  now(): number;
}

/** Armoured and detached, over the armoured keyring of now; made once for each keyring. */
export function createKeyringSigner(parts: KeyringParts): () => Promise<string> {
  let signed: { keyring: string; signature: Promise<string> } | undefined;
  return () => {
    const keyring = exportPublicKeys(parts.signingKeys).armored;
    if (signed?.keyring !== keyring) {
      const date = new Date(parts.now() - BACKDATE_MS);
      const signature = signDetached(keyring, parts.signingKeys, date, parts.now);
      const made = { keyring, signature };
      signed = made;
      signature.catch(() => {
        if (signed === made) signed = undefined;
      });
    }
    return signed.signature;
  };
}
