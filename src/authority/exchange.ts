/**
 * Where an authority's files stand in certs/, and those of the one that counts beside it while a
 * rotation lasts: of the client CA the one before, of the server CA the one to come. Floor 3.
 */
import type { CertsFile, CertsFolder, PrivateKeyFile } from './files.ts';

export type AuthorityKind = 'client' | 'server';

/** The one that issues, or the one beside it. */
export type Place = 'current' | 'overlap';

interface AuthorityFiles {
  certificate: CertsFile;
  key: PrivateKeyFile;
}

const FILES: Readonly<Record<AuthorityKind, Readonly<Record<Place, AuthorityFiles>>>> = {
  client: {
    current: { certificate: 'client-ca.crt', key: 'client-ca.key' },
    overlap: { certificate: 'client-ca.previous.crt', key: 'client-ca.previous.key' },
  },
  server: {
    current: { certificate: 'server-ca.crt', key: 'server-ca.key' },
    overlap: { certificate: 'server-ca.next.crt', key: 'server-ca.next.key' },
  },
};

export const filesOf = (kind: AuthorityKind, place: Place): AuthorityFiles => FILES[kind][place];

export const isRotating = (certs: CertsFolder, kind: AuthorityKind): Promise<boolean> =>
  certs.exists(filesOf(kind, 'overlap').certificate);

/** An authority as it is written: PEM, the key encrypted where a passphrase is configured. */
export interface AuthorityTexts {
  certificate: string;
  key: string;
}

async function readTexts(
  certs: CertsFolder,
  kind: AuthorityKind,
  place: Place,
): Promise<AuthorityTexts> {
  const files = filesOf(kind, place);
  return {
    certificate: await certs.readText(files.certificate),
    key: await certs.readText(files.key),
  };
}

async function writeTexts(
  certs: CertsFolder,
  kind: AuthorityKind,
  texts: Partial<Record<Place, AuthorityTexts>>,
): Promise<void> {
  const contents = new Map<CertsFile, string>();
  for (const [place, { certificate, key }] of Object.entries(texts) as [Place, AuthorityTexts][]) {
    contents.set(filesOf(kind, place).key, key);
    contents.set(filesOf(kind, place).certificate, certificate);
  }
  await certs.writeTogether(contents);
}

/** The successor of the client CA takes its place, and the one before stays beside it. */
export async function exchangeClientAuthority(
  certs: CertsFolder,
  successor: AuthorityTexts,
): Promise<void> {
  const overlap = await readTexts(certs, 'client', 'current');
  await writeTexts(certs, 'client', { current: successor, overlap });
}

/** The successor of the server CA waits beside it until hosts know it. */
export const announceServerAuthority = (
  certs: CertsFolder,
  successor: AuthorityTexts,
): Promise<void> => writeTexts(certs, 'server', { overlap: successor });

/** Ends an overlap; of the server CA the one that waited takes the place. */
export async function endOverlap(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  if (kind === 'server') {
    await writeTexts(certs, kind, { current: await readTexts(certs, kind, 'overlap') });
  }
  const { certificate, key } = filesOf(kind, 'overlap');
  // The certificate first: it is what says that there is an overlap.
  await certs.remove(certificate);
  await certs.remove(key);
}
