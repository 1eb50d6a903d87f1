/**
 * One authority in the place of another, in certs/: the successor is written aside, then takes the
 * plain names, and the predecessor stays beside it until its time is over. Killed at any moment,
 * the next start finds the exchange done or not begun. Source of truth: rename(2). Floor 3.
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

/** Whether the authority before the current one still counts. */
export function isRotating(certs: CertsFolder, kind: AuthorityKind): Promise<boolean> {
  return certs.exists(filesOf(kind, 'previous').certificate);
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

/** Brings an exchange to its end where one was begun; each step may be done twice. */
export async function completeExchange(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const [current, previous, next] = (['current', 'previous', 'next'] as const).map((generation) =>
    filesOf(kind, generation),
  ) as [Pair, Pair, Pair];
  if (!(await certs.exists(next.certificate))) return;
  if (!(await certs.exists(previous.certificate))) {
    await certs.write(previous.key, await certs.readText(current.key));
    await certs.write(previous.certificate, await certs.readText(current.certificate));
  }
  if (await certs.exists(next.key)) await certs.rename(next.key, current.key);
  await certs.rename(next.certificate, current.certificate);
}

type Pair = ReturnType<typeof filesOf>;

/** Takes the predecessor away; its certificate first, because that says that it counts. */
export async function removePredecessor(certs: CertsFolder, kind: AuthorityKind): Promise<void> {
  const previous = filesOf(kind, 'previous');
  await certs.remove(previous.certificate);
  await certs.remove(previous.key);
}
