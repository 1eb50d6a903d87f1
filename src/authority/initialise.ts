/** The first day: two self-signed CAs that share nothing, in an empty certs/ folder. Floor 3. */
import { randomBytes } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import { createAuthority } from '../pki/certificate.ts';
import { encodePrivateKey, generatePrivateKey } from '../pki/key.ts';
import { createSerial } from '../pki/serial.ts';
import { type AuthorityKind, filesOf } from './exchange.ts';
import type { CertsFile, CertsFolder } from './files.ts';
import { AUTHORITY_DAYS, addDays, BACKDATE_MS } from './profiles.ts';

/** What must not be there before: losing one of these keys locks everyone out. */
const KEYS: readonly CertsFile[] = ['client-ca.key', 'server-ca.key', 'archive-key.asc'];

/** @throws RefusalError ALREADY_INITIALISED where certs/ holds a key already. */
export async function checkCertsEmpty(certs: CertsFolder): Promise<void> {
  for (const file of KEYS) {
    if (await certs.exists(file)) {
      throw new RefusalError(
        'ALREADY_INITIALISED',
        `certs/${file} exists; a key is never overwritten`,
      );
    }
  }
}

/** A new authority of an organisation; the generation in its name tells it from the one before. */
export function makeAuthority(
  kind: AuthorityKind,
  generation: number,
  organisation: string,
  now: number,
): { certificate: string; key: string } {
  const key = generatePrivateKey();
  const certificate = createAuthority(
    key,
    // Cut before the kind: the two CAs must never share a name.
    {
      commonName: `${organisation.slice(0, 44)} ${kind} CA ${generation}`,
      organization: organisation,
    },
    createSerial(randomBytes(16)),
    { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(addDays(now, AUTHORITY_DAYS)) },
  );
  return { certificate, key: encodePrivateKey(key) };
}

/** Make the client CA and the server CA. */
export async function createAuthorities(
  certs: CertsFolder,
  organisation: string,
  now: number,
): Promise<void> {
  for (const kind of ['client', 'server'] as const) {
    const { certificate, key } = makeAuthority(kind, 1, organisation, now);
    const files = filesOf(kind, 'current');
    await certs.write(files.key, key);
    await certs.write(files.certificate, certificate);
  }
}
