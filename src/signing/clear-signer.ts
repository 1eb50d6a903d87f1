/**
 * Who signed a text in the cleartext framework, out of a keyring: a .dsc or a .changes. The text
 * that was taken out of the frame has to be the one that is signed, and the key one that counts
 * today as well as on the day of the signature. Source of truth: RFC 9580 section 7. Floor 1.
 */
import { readCleartextMessage, verify } from 'openpgp';
import type { PublicKey } from './key.ts';

/** `fingerprint` of the primary key, in upper-case hex; or why nobody counts as the signer. */
export type ClearSigner = { fingerprint: string } | { fault: string };

type Signature = Awaited<ReturnType<typeof verify>>['signatures'][number];

async function judgeSignature(
  { keyID, verified }: Signature,
  keyring: readonly PublicKey[],
  date: Date,
): Promise<ClearSigner> {
  const id = keyID.toHex().toUpperCase();
  const key = keyring.find((one) => one.getKeys(keyID).length > 0);
  if (key === undefined) return { fault: `the key ${id} is none of theirs` };
  try {
    await verified;
    // Of a key that ran out or was revoked since, nobody knows when it really signed.
    await key.verifyPrimaryKey(date);
    await key.getSigningKey(keyID, date);
    return { fingerprint: key.getFingerprint().toUpperCase() };
  } catch (error) {
    return { fault: `the signature by ${id} does not count: ${(error as Error).message}` };
  }
}

/**
 * One signature that counts is enough, whatever stands beside it.
 * @param content the text inside, as it was taken out of the frame.
 * @param date no signature may be later, and the key has to be valid then.
 */
export async function findClearSigner(
  cleartextMessage: string,
  content: string,
  keyring: readonly PublicKey[],
  date: Date,
): Promise<ClearSigner> {
  try {
    const message = await readCleartextMessage({ cleartextMessage });
    if (`${message.getText()}\n` !== content) return { fault: 'the signed text is another one' };
    const { signatures } = await verify({ message, verificationKeys: [...keyring], date });
    let first: ClearSigner = { fault: 'it holds no signature' };
    for (const [position, signature] of signatures.entries()) {
      const judged = await judgeSignature(signature, keyring, date);
      if ('fingerprint' in judged) return judged;
      if (position === 0) first = judged;
    }
    return first;
  } catch (error) {
    return { fault: `its signature cannot be read: ${(error as Error).message}` };
  }
}
