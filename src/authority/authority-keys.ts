/** What the two CAs sign with: a key in certs/, or one outside that a command reaches. Floor 3. */
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { runCommand } from '../command.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { readCertificate } from '../pki/certificate.ts';
import { generatePrivateKey } from '../pki/key.ts';
import {
  type AuthorityKey,
  createSignerWith,
  holdAuthorityKey,
  reachAuthorityKey,
  type Signer,
} from '../pki/signer.ts';
import { type AuthorityKind, filesOf, type Place } from './exchange.ts';
import type { CertsFolder } from './files.ts';
import { findCommand } from './key-access.ts';
import { readPrivateKey, writePrivateKey } from './keys.ts';

export const SIGNER_SETTINGS = { client: 'signer.clientCa', server: 'signer.serverCa' } as const;

/**
 * The signer of a CA in certs/. A key outside is that of the current one.
 * @throws RefusalError NOT_INITIALISED, KEY_LOCKED, KEY_UNACCEPTABLE
 */
export async function openSigner(
  certs: CertsFolder,
  kind: AuthorityKind,
  place: Place = 'current',
): Promise<Signer> {
  const files = filesOf(kind, place);
  const certificate = await certs.readText(files.certificate);
  const command =
    place === 'current' ? findCommand(certs.access, SIGNER_SETTINGS[kind]) : undefined;
  const key = command
    ? reachAuthorityKey(readCertificate(certificate).publicKey, (bytes) =>
        runCommand(command, bytes),
      )
    : holdAuthorityKey(await readPrivateKey(certs, files.key));
  return createSignerWith(certificate, key);
}

/**
 * The key of a CA that is about to be made: a new one, written to certs/, or the one outside.
 * @throws RefusalError CONFIG_INVALID where the public key of one outside is not known
 */
export async function prepareAuthorityKey(
  certs: CertsFolder,
  kind: AuthorityKind,
): Promise<AuthorityKey> {
  const command = findCommand(certs.access, SIGNER_SETTINGS[kind]);
  if (command === undefined) {
    const key = generatePrivateKey();
    await writePrivateKey(certs, filesOf(kind, 'current').key, key);
    return holdAuthorityKey(key);
  }
  const setting = `${SIGNER_SETTINGS[kind]}PublicKey` as const;
  const path = certs.access.values[setting];
  if (path === null) {
    throw new RefusalError(
      'CONFIG_INVALID',
      `${setting}: init needs the public key of ${command.name}`,
    );
  }
  const pem = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new RefusalError(
      'CONFIG_INVALID',
      `${setting}: ${path} cannot be read (${systemCode(error)})`,
    );
  });
  if (pem.includes('PRIVATE KEY')) {
    throw new RefusalError('CONFIG_INVALID', `${setting}: ${path} holds a private key`);
  }
  try {
    return reachAuthorityKey(createPublicKey(pem), (bytes) => runCommand(command, bytes));
  } catch {
    throw new RefusalError('CONFIG_INVALID', `${setting}: ${path} holds no public key in PEM`);
  }
}
