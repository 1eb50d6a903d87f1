/**
 * The two signatures apt reads over a Release file: InRelease, in the cleartext framework of
 * RFC 9580 section 7, and Release.gpg, detached and armoured, over the same bytes. Floor 1.
 */
import { config, createCleartextMessage, createMessage, enums, sign } from 'openpgp';
import type { SecretKey } from './key.ts';

// A random notation in every signature defends nondeterministic schemes; Ed25519 needs none, and
// the same Release signed at the same second should be the same file.
config.nonDeterministicSignaturesViaNotation = false;
config.showVersion = false;
config.showComment = false;
config.preferredHashAlgorithm = enums.hash.sha512;

/** `release` as it was signed: the text of all three files agrees byte for byte. */
export interface SignedRelease {
  release: string;
  inRelease: string;
  releaseGpg: string;
}

/**
 * Sign a Release file, once for each key, so that a host knowing either of two keys accepts it.
 * @param release ends in a newline; no line begins with '-' or ends in a blank, which the
 *   cleartext framework would alter.
 * @param date when the signature says it was made; never ahead of the hosts' clocks.
 * @throws Error where the three files would not agree.
 */
export async function signRelease(
  release: string,
  keys: readonly SecretKey[],
  date: Date,
): Promise<SignedRelease> {
  if (!release.endsWith('\n') || /(^|\n)-|[ \t\r](\n|$)/.test(release)) {
    throw new Error('a Release file ends in a newline; no line begins with - or ends in a blank');
  }
  const signingKeys = [...keys];
  // The framework's own line end before the signature stands for the text's last one.
  const cleartext = await createCleartextMessage({ text: release.replace(/\n$/, '') });
  const signed = await sign({ message: cleartext, signingKeys, date });
  const inRelease = signed.replaceAll('\r\n', '\n');
  const binary = await createMessage({ binary: Buffer.from(release, 'utf8'), date });
  const releaseGpg = await sign({ message: binary, signingKeys, date, detached: true });
  return { release, inRelease, releaseGpg: releaseGpg as string };
}
