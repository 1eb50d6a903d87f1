/**
 * One authority in the place of another, in certs/. The successor is written aside. Of the server
 * CA it waits there until hosts know it; of the client CA it takes the plain names at once, and the
 * predecessor stays beside it until its time is over. Killed at any moment, the next start finds
 * the exchange done or not begun. Source of truth: rename(2). Floor 3.
 */
import type { CertsFile, CertsFolder } from './files.ts';

export type AuthorityKind = 'client' | 'server';
export type Generation = 'current' | 'previous' | 'next';

const INFIX = { current: '', previous: '.previous', next: '.next' } as const;

/** The two files of an authority. */
export function filesOf(
  kind: AuthorityKind,
  generation: Generation,
): { certificate: CertsFile; key: CertsFile } {
  const stem = `${kind}-ca${INFIX[generation]}` as const;
  return { certificate: `${stem}.crt`, key: `${stem}.key` };
}

/** Which generation counts beside the current one while a rotation lasts. */
export const OVERLAP = { client: 'previous', server: 'next' } as const;

export function isRotating(certs: CertsFolder, kind: AuthorityKind): Promise<boolean> {
  return certs.exists(filesOf(kind, OVERLAP[kind]).certificate);
}

/** Writes the successor aside. Its certificate comes last: it says that the key is there. */
export async function writeSuccessor(
  certs: CertsFolder,
  kind: AuthorityKind,
  successor: { certificate: string; key: string },
): Promise<void> {
  const next = filesOf(kind, 'next');
  await certs.write(next.key, successor.key);
  await certs.write(next.certificate, successor.certificate);
}

/** Lets the successor take the plain names, where there is one; each step may be done twice. */
export async function completeExchange(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const next = filesOf(kind, 'next');
  if (!(await certs.exists(next.certificate))) return;
  if (OVERLAP[kind] === 'previous') await keepPredecessor(certs, kind);
  const current = filesOf(kind, 'current');
  if (await certs.exists(next.key)) await certs.rename(next.key, current.key);
  await certs.rename(next.certificate, current.certificate);
}

async function keepPredecessor(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const [current, previous] = [filesOf(kind, 'current'), filesOf(kind, 'previous')];
  if (await certs.exists(previous.certificate)) return;
  await certs.write(previous.key, await certs.readText(current.key));
  await certs.write(previous.certificate, await certs.readText(current.certificate));
}

/** Takes a successor away whose exchange was not begun. */
export async function discardSuccessor(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const next = filesOf(kind, 'next');
  await certs.remove(next.certificate);
  await certs.remove(next.key);
}

/** Takes the predecessor away; its certificate first, because that says that it counts. */
export async function removePredecessor(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const previous = filesOf(kind, 'previous');
  await certs.remove(previous.certificate);
  await certs.remove(previous.key);
}
