/**
 * Whether what was signed outside is what apt has to be given: of a Release the same bytes in all
 * three files, every signature by a key of the keyring. Source of truth: RFC 9580 section 7,
 * apt-secure(8). Floor 1.
 */
import { createMessage, readCleartextMessage, readSignature, verify } from 'openpgp';
import type { PublicKey } from './key.ts';

/** Nothing before the frame, nothing after it, and no header that apt does not know. */
const CLEARTEXT =
  /^-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Z0-9, ]{1,64}\n){1,8}\n([\s\S]*?\n)-----BEGIN PGP SIGNATURE-----\n[\s\S]*?\n-----END PGP SIGNATURE-----\n$/;
const DETACHED = /^-----BEGIN PGP SIGNATURE-----\n[\s\S]*?\n-----END PGP SIGNATURE-----\n$/;

/** `release` as it was signed: the text of all three files agrees byte for byte. */
export interface SignedRelease {
  release: string;
  inRelease: string;
  releaseGpg: string;
}

type Verified = Awaited<ReturnType<typeof verify>>['signatures'];

async function findFault(signatures: Verified): Promise<string | undefined> {
  if (signatures.length === 0) return 'it holds no signature';
  for (const { verified, keyID } of signatures) {
    try {
      await verified;
    } catch (error) {
      const id = keyID.toHex().toUpperCase();
      return `the signature by ${id} does not count: ${(error as Error).message}`;
    }
  }
  return undefined;
}

/**
 * Why a detached signature made outside does not count; undefined when it does.
 * @param date no signature may be later, and each key has to be valid then.
 */
export async function findDetachedFault(
  text: string,
  armoredSignature: string,
  verificationKeys: readonly PublicKey[],
  date: Date,
): Promise<string | undefined> {
  if (!DETACHED.test(armoredSignature)) return 'the detached signature is none';
  try {
    const message = await createMessage({ binary: Buffer.from(text, 'utf8') });
    const signature = await readSignature({ armoredSignature });
    const keys = { verificationKeys: [...verificationKeys], date };
    return findFault((await verify({ message, signature, ...keys })).signatures);
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}

async function demandOne(signatures: Verified): Promise<void> {
  const faults: string[] = [];
  for (const { verified, keyID } of signatures) {
    try {
      await verified;
      return;
    } catch (error) {
      faults.push(`${keyID.toHex().toUpperCase()}: ${(error as Error).message}`);
    }
  }
  throw new Error(faults.join('; ') || 'it holds no signature');
}

/**
 * The text of somebody else's InRelease; one good signature by a key of the keyring is enough, as
 * for apt.
 * @throws Error saying why no signature counts, or that it is no clear-signed text.
 */
export async function openClearsigned(
  inRelease: string,
  keyring: readonly PublicKey[],
  date: Date,
): Promise<string> {
  const body = CLEARTEXT.exec(inRelease)?.[1];
  if (body === undefined || /^-/m.test(body)) throw new Error('the clear-signed text is none');
  const message = await readCleartextMessage({ cleartextMessage: inRelease });
  const { signatures } = await verify({ message, verificationKeys: [...keyring], date });
  await demandOne(signatures);
  return body;
}

/** As `openClearsigned`, for Release and its armoured or binary Release.gpg. */
export async function demandDetached(
  text: Uint8Array,
  signature: Uint8Array,
  keyring: readonly PublicKey[],
  date: Date,
): Promise<void> {
  const armored = Buffer.from(signature).toString('latin1');
  const read = armored.startsWith('-----BEGIN')
    ? await readSignature({ armoredSignature: armored })
    : await readSignature({ binarySignature: signature });
  const message = await createMessage({ binary: text });
  const keys = { verificationKeys: [...keyring], date };
  await demandOne((await verify({ message, signature: read, ...keys })).signatures);
}

/**
 * Why a Release signed outside must not be published; undefined when it may.
 * @param date no signature may be later, and each key has to be valid then.
 */
export async function findReleaseFault(
  { release, inRelease, releaseGpg }: SignedRelease,
  verificationKeys: readonly PublicKey[],
  date: Date,
): Promise<string | undefined> {
  const body = CLEARTEXT.exec(inRelease)?.[1];
  if (body === undefined) return 'the clear-signed text is none';
  if (body !== release) return 'the clear-signed text is another than what was to be signed';
  const keys = { verificationKeys: [...verificationKeys], date };
  try {
    const cleartext = await readCleartextMessage({ cleartextMessage: inRelease });
    const inline = await verify({ message: cleartext, ...keys });
    const fault = await findFault(inline.signatures);
    if (fault !== undefined) return fault;
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
  return findDetachedFault(release, releaseGpg, verificationKeys, date);
}

/** Of the signatures by keys that are given each has to count, and there has to be one. */
async function findKnownFault(
  signatures: Verified,
  keys: readonly PublicKey[],
): Promise<string | undefined> {
  const known = signatures.filter(({ keyID }) => keys.some((key) => key.getKeys(keyID).length > 0));
  if (known.length === 0) return UNKNOWN_SIGNER;
  return findFault(known);
}

/** The fault of a Release that is signed by other keys alone: those of before a rotation, say. */
export const UNKNOWN_SIGNER = 'none of its signatures is by a key of the keyring';

/**
 * Why a Release that was published does not count; undefined where it does. As apt does, it skips
 * signatures by keys that it does not have.
 * @param date no signature may be later, and each key has to be valid then.
 */
export async function findPublishedFault(
  { release, inRelease, releaseGpg }: SignedRelease,
  verificationKeys: readonly PublicKey[],
  date: Date,
): Promise<string | undefined> {
  const body = CLEARTEXT.exec(inRelease)?.[1];
  if (body === undefined) return 'InRelease is no clear-signed text';
  if (body !== release) return 'InRelease says something else than Release';
  if (!DETACHED.test(releaseGpg)) return 'Release.gpg is no detached signature';
  const keys = { verificationKeys: [...verificationKeys], date };
  try {
    const cleartext = await readCleartextMessage({ cleartextMessage: inRelease });
    const inline = (await verify({ message: cleartext, ...keys })).signatures;
    const message = await createMessage({ binary: Buffer.from(release, 'utf8') });
    const signature = await readSignature({ armoredSignature: releaseGpg });
    const detached = (await verify({ message, signature, ...keys })).signatures;
    return (
      (await findKnownFault(inline, verificationKeys)) ??
      (await findKnownFault(detached, verificationKeys))
    );
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}
