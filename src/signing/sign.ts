/**
 * The two signatures apt reads over a Release file: InRelease, in the cleartext framework of
 * RFC 9580 section 7, and Release.gpg, detached and armoured, over the same bytes; and the one over
 * the keyring, by which a host that has an older one knows it. Floor 1.
 */
import { config, createCleartextMessage, createMessage, enums, sign } from 'openpgp';
import { RefusalError } from '../errors.ts';
import type { SecretKey } from './key.ts';
import { listPublicKeys, type ReleaseCommand, type SigningKey } from './signing-key.ts';
import { findDetachedFault, findReleaseFault, type SignedRelease } from './verify.ts';

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
  const command = findCommand(keys);
  return command
    ? signOutside(release, keys, command, now)
    : signHere(release, listHeld(keys), date);
}

/**
 * A detached and armoured signature over a text, once for each key.
 * @param date as for a Release.
 * @throws RefusalError SIGNER_FAILED
 */
export async function signDetached(
  text: string,
  keys: readonly SigningKey[],
  date: Date,
  now: () => number = () => date.getTime(),
): Promise<string> {
  const command = findCommand(keys);
  if (!command) return signDetachedHere(text, listHeld(keys), date);
  const signature = await command('detach-sign', text);
  const latest = new Date(now() + OUTSIDE_CLOCK_MS);
  const fault = await findDetachedFault(text, signature, listPublicKeys(keys), latest);
  if (fault === undefined) return signature;
  throw new RefusalError('SIGNER_FAILED', `signer.openpgp: nothing is signed: ${fault}`);
}

const listHeld = (keys: readonly SigningKey[]): SecretKey[] =>
  keys.flatMap((key) => (key.kind === 'held' ? [key.secretKey] : []));

/** The command that signs with keys outside; undefined where they are held here. */
function findCommand(keys: readonly SigningKey[]): ReleaseCommand | undefined {
  const commands = new Set(keys.map((key) => (key.kind === 'outside' ? key.command : undefined)));
  const [command, ...others] = commands;
  if (others.length > 0) {
    throw new Error('one command signs, and no key that is held here beside it');
  }
  return command;
}

async function signDetachedHere(
  text: string,
  signingKeys: SecretKey[],
  date: Date,
): Promise<string> {
  const binary = await createMessage({ binary: Buffer.from(text, 'utf8'), date });
  return (await sign({ message: binary, signingKeys, date, detached: true })) as string;
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
  return { release, inRelease, releaseGpg: await signDetachedHere(release, signingKeys, date) };
}

async function signOutside(
  release: string,
  keys: readonly SigningKey[],
  command: ReleaseCommand,
  now: () => number,
): Promise<SignedRelease> {
  const inRelease = await command('clearsign', release);
  const releaseGpg = await command('detach-sign', release);
  const signed = { release, inRelease, releaseGpg };
  const latest = new Date(now() + OUTSIDE_CLOCK_MS);
  const fault = await findReleaseFault(signed, listPublicKeys(keys), latest);
  if (fault !== undefined) {
    throw new RefusalError('SIGNER_FAILED', `signer.openpgp: nothing is published: ${fault}`);
  }
  return signed;
}
