/**
 * The two signatures apt reads over a Release file: InRelease, in the cleartext framework of
 * RFC 9580 section 7, and Release.gpg, detached and armoured, over the same bytes. Floor 1.
 */
import { config, createCleartextMessage, createMessage, enums, sign } from 'openpgp';
import { RefusalError } from '../errors.ts';
import type { SecretKey } from './key.ts';
import type { SigningKey } from './signing-key.ts';
import { findReleaseFault, type SignedRelease } from './verify.ts';

// A random notation in every signature defends nondeterministic schemes; Ed25519 needs none, and
// the same Release signed at the same second should be the same file.
config.nonDeterministicSignaturesViaNotation = false;
config.showVersion = false;
config.showComment = false;
config.preferredHashAlgorithm = enums.hash.sha512;

/** The clock of a signer outside may run ahead of ours by this much. */
const OUTSIDE_CLOCK_MS = 60_000;

/**
 * Sign a Release file, once for each key, so that a host knowing either of two keys accepts it.
 * Keys outside sign by their own clock, and what they answer is verified before it is returned.
 * @param release ends in a newline; no line begins with '-' or ends in a blank, which the
 *   cleartext framework would alter.
 * @param date when a signature made here says it was made; never ahead of the hosts' clocks.
 * @param now for keys outside: milliseconds since the epoch.
 * @throws RefusalError SIGNER_FAILED
 * @throws Error where the three files would not agree.
 */
export async function signRelease(
  release: string,
  keys: readonly SigningKey[],
  date: Date,
  now: () => number = () => date.getTime(),
): Promise<SignedRelease> {
  if (!release.endsWith('\n') || /(^|\n)-|[ \t\r](\n|$)/.test(release)) {
    throw new Error('a Release file ends in a newline; no line begins with - or ends in a blank');
  }
  if (keys.some((key) => key.kind === 'outside')) return signOutside(release, keys, now);
  const held = keys.flatMap((key) => (key.kind === 'held' ? [key.secretKey] : []));
  return signHere(release, held, date);
}

async function signHere(
  release: string,
  signingKeys: SecretKey[],
  date: Date,
): Promise<SignedRelease> {
  // The framework's own line end before the signature stands for the text's last one.
  const cleartext = await createCleartextMessage({ text: release.replace(/\n$/, '') });
  const signed = await sign({ message: cleartext, signingKeys, date });
  const inRelease = signed.replaceAll('\r\n', '\n');
  const binary = await createMessage({ binary: Buffer.from(release, 'utf8'), date });
  const releaseGpg = await sign({ message: binary, signingKeys, date, detached: true });
  return { release, inRelease, releaseGpg: releaseGpg as string };
}

async function signOutside(
  release: string,
  keys: readonly SigningKey[],
  now: () => number,
): Promise<SignedRelease> {
  const commands = new Set(keys.map((key) => (key.kind === 'outside' ? key.command : undefined)));
  const [command, ...others] = commands;
  if (command === undefined || others.length > 0) {
    throw new Error('one command signs a Release, and no key that is held here beside it');
  }
  const inRelease = await command('clearsign', release);
  const releaseGpg = await command('detach-sign', release);
  const signed = { release, inRelease, releaseGpg };
  const keyring = keys.map((key) => key.publicKey);
  const fault = await findReleaseFault(signed, keyring, new Date(now() + OUTSIDE_CLOCK_MS));
  if (fault !== undefined) {
    throw new RefusalError('SIGNER_FAILED', `signer.openpgp: nothing is published: ${fault}`);
  }
  return signed;
}
