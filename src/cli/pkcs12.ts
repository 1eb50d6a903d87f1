/**
 * A key and its certificates in one file that browsers import, made by openssl(1), since no library
 * here writes one for an elliptic-curve key. Secrets reach openssl through pipes, never through its
 * arguments, its environment or a file. Source of truth: RFC 7292, RFC 9579, openssl-pkcs12(1).
 * Floor 9.
 */
import { spawn } from 'node:child_process';
import { type KeyObject, randomInt } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { RefusalError, systemCode } from '../errors.ts';
import { createAuthority } from '../pki/certificate.ts';
import { encodePrivateKey } from '../pki/key.ts';

/** Without l, o, 0 and 1, which are mistaken for one another: 32 characters, 5 bits each. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUPS = 5;
const GROUP_CHARACTERS = 4;
/** Browsers and openssl disagree on how other characters become bytes. */
const PASSWORD = /^[\x20-\x7e]{8,256}$/;
const MAX_PASSWORD_FILE_BYTES = 4096;
/** Of PBKDF2 and of the MAC; NSS takes no more than 600,000. */
const ITERATIONS = 100_000;
/** Read by Firefox (NSS 3.12), Chromium, Windows Server 2019, macOS 15; older forms are RC2 and SHA-1. */
const FORM = ['-keypbe', 'AES-256-CBC', '-certpbe', 'AES-256-CBC', '-macalg', 'SHA256'];

/** 100 bits in five groups, to be typed once. */
export function generatePassword(): string {
  const character = (): string => ALPHABET.charAt(randomInt(ALPHABET.length));
  const group = (): string => Array.from({ length: GROUP_CHARACTERS }, character).join('');
  return Array.from({ length: GROUPS }, group).join('-');
}

/**
 * The first line of a file that nobody but its owner may read.
 * @throws RefusalError FILE_UNREADABLE, INPUT_INVALID
 */
export async function readPasswordFile(path: string): Promise<string> {
  const refuse = (why: string) =>
    new RefusalError('INPUT_INVALID', `--p12-password-file ${path}: ${why}`);
  const handle = await open(path).catch((error: unknown) => {
    const why = systemCode(error) || 'cannot be read';
    throw new RefusalError('FILE_UNREADABLE', `--p12-password-file ${path}: ${why}`);
  });
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw refuse('is a folder');
    if ((found.mode & 0o077) !== 0) throw refuse('others than its owner may read it; chmod 600');
    const [line = ''] = (await handle.readFile('latin1')).split(/\r?\n/, 1);
    if (found.size > MAX_PASSWORD_FILE_BYTES || !PASSWORD.test(line)) {
      throw refuse('its first line is not a password of 8 to 256 printable ASCII characters');
    }
    return line;
  } finally {
    await handle.close();
  }
}

/** What goes into a bundle. */
export interface BundleContents {
  /** What a browser shows. */
  friendlyName: string;
  /** The private key. */
  key: KeyObject;
  /** PEM: the certificate of the key, then those above it. */
  certificates: string;
  password: string;
}

/**
 * DER of a PKCS#12 file: PBES2 with AES-256, a MAC with SHA-256.
 * @throws RefusalError PROGRAM_MISSING without openssl, INPUT_INVALID where it refuses.
 */
export async function packBundle(contents: BundleContents): Promise<Uint8Array> {
  const words = ['pkcs12', '-export', ...FORM, '-iter', `${ITERATIONS}`];
  const named = ['-name', contents.friendlyName, '-passout', 'fd:3'];
  const child = spawn('openssl', [...words, ...named], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', (error) => reject(refuseToStart(error)));
  });
  const give = (to: Writable, what: string): void => {
    to.on('error', () => {}); // its exit status says more than a broken pipe
    to.end(what);
  };
  give(child.stdin, `${encodePrivateKey(contents.key)}${contents.certificates}`);
  give(child.stdio[3] as Writable, `${contents.password}\n`);
  const [status, bundle, said] = await Promise.all([
    ended,
    buffer(child.stdout),
    text(child.stderr),
  ]);
  if (status === 0 && bundle.length > 0) return bundle;
  const why = said.trim().split('\n').at(-1) || `it ended with status ${status}`;
  throw new RefusalError('INPUT_INVALID', `openssl pkcs12 made no bundle: ${why}`);
}

const refuseToStart = (error: Error): RefusalError =>
  new RefusalError(
    'PROGRAM_MISSING',
    systemCode(error) === 'ENOENT'
      ? '--p12 needs the openssl command; on Debian: apt-get install openssl'
      : `openssl cannot be started: ${systemCode(error) || error.message}`,
  );

/**
 * Packs the key with a certificate that nobody keeps: what openssl has against it is learnt before
 * a certificate is issued. @throws RefusalError as `packBundle`
 */
export async function rehearseBundle(
  contents: Omit<BundleContents, 'certificates'>,
): Promise<void> {
  const validity = { notBefore: new Date(0), notAfter: new Date(1000) };
  const subject = { commonName: contents.friendlyName };
  const certificates = createAuthority(contents.key, subject, '1', validity);
  await packBundle({ ...contents, certificates });
}
