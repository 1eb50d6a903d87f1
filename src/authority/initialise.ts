/** The first day: two self-signed CAs that share nothing, in an empty certs/ folder. Floor 3. */
import { randomBytes } from 'node:crypto';
import { RefusalError } from '../errors.ts';
import { createAuthorityWith } from '../pki/certificate.ts';
import { createSerial } from '../pki/serial.ts';
import type { AuthorityKey } from '../pki/signer.ts';
import { prepareAuthorityKey } from './authority-keys.ts';
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
        `certs/${file} exists; a key is never overwritten. A catalog that was lost is made again by \`aptkeep check --repair\``,
      );
    }
  }
}

/** The certificate of a new authority; the generation in its name tells it from the one before. */
export function certifyAuthority(
  key: AuthorityKey,
  kind: AuthorityKind,
  generation: number,
  organisation: string,
  now: number,
): Promise<string> {
  return createAuthorityWith(
    key,
    // Cut before the kind: the two CAs must never share a name.
    {
      commonName: `${organisation.slice(0, 44)} ${kind} CA ${generation}`,
      organization: organisation,
    },
    createSerial(randomBytes(16)),
    { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(addDays(now, AUTHORITY_DAYS)) },
  );
}

/** Make the client CA and the server CA. */
export async function createAuthorities(
  certs: CertsFolder,
  organisation: string,
  now: number,
): Promise<void> {
  for (const kind of ['client', 'server'] as const) {
    const key = await prepareAuthorityKey(certs, kind);
    const pem = await certifyAuthority(key, kind, 1, organisation, now);
    await certs.write(filesOf(kind, 'current').certificate, pem);
  }
}
