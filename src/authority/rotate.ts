/**
 * Another authority in the place of the one there is, in two steps with an overlap between them in
 * which both count. Of the client CA the new one issues from the first step on, and both sign their
 * lists. Of the server CA hosts learn the new one first; the server's certificate comes from it
 * only after the second step. Floor 3.
 */
import { revokeAllOf } from '../catalog/certificates.ts';
import { RefusalError } from '../errors.ts';
import { readCertificate } from '../pki/certificate.ts';
import { generatePrivateKey } from '../pki/key.ts';
import { createSignerWith, holdAuthorityKey, type Signer } from '../pki/signer.ts';
import type { Authority } from './authority.ts';
import { SIGNER_SETTINGS } from './authority-keys.ts';
import { issueNextCrl } from './crl.ts';
import {
  type AuthorityKind,
  type AuthorityTexts,
  announceServerAuthority,
  endOverlap,
  exchangeClientAuthority,
  filesOf,
  isRotating,
} from './exchange.ts';
import { certifyAuthority } from './initialise.ts';
import { demandHeldHere } from './key-access.ts';
import { renderPrivateKey } from './keys.ts';
import { issueServerCertificate } from './server-certificate.ts';

/** `Uni client CA 3` -> 3; an authority that counts otherwise begins at 1. */
function readGeneration(commonName: string): number {
  return Number(/ CA (\d{1,9})$/.exec(commonName)?.[1] ?? 1);
}

interface Successor extends AuthorityTexts {
  signer: Signer;
}

/** @throws RefusalError ROTATION_STATE where the last rotation has not ended, KEY_ELSEWHERE */
async function makeSuccessor(authority: Authority, kind: AuthorityKind): Promise<Successor> {
  const { certs, now } = authority;
  demandHeldHere(certs.access, SIGNER_SETTINGS[kind], `rotation of the ${kind} CA`);
  if (await isRotating(certs, kind)) {
    throw new RefusalError(
      'ROTATION_STATE',
      `the ${kind} CA is being rotated already; end that first: aptkeep ca rotate ${kind} --finish`,
    );
  }
  const { subject } = readCertificate(await certs.readText(filesOf(kind, 'current').certificate));
  const organisation = subject.organization ?? subject.commonName;
  const generation = readGeneration(subject.commonName) + 1;
  const secret = generatePrivateKey();
  const key = holdAuthorityKey(secret);
  const certificate = await certifyAuthority(key, kind, generation, organisation, now());
  return {
    certificate,
    key: await renderPrivateKey(secret, certs.access.passphrase),
    signer: createSignerWith(certificate, key),
  };
}

/**
 * Begin a rotation. What was issued before goes on being accepted; nothing that hosts hold stops
 * working. Killed in the middle, it was begun or it was not.
 * @throws RefusalError ROTATION_STATE, KEY_ELSEWHERE
 */
export async function beginRotation(authority: Authority, kind: AuthorityKind): Promise<void> {
  const { certs } = authority;
  const { signer, ...texts } = await makeSuccessor(authority, kind);
  if (kind === 'server') {
    await announceServerAuthority(certs, texts);
    return;
  }
  // In force with its first list before the files say so: it has issued nothing yet.
  const issuers = [{ facts: readCertificate(texts.certificate), signer }, ...authority.issuers];
  await issueNextCrl({ ...authority, issuers });
  await exchangeClientAuthority(certs, texts);
  authority.issuers = issuers;
}

/**
 * End a rotation: what only the predecessor vouches for is refused from now on.
 * @param names of the server's certificate.
 * @throws RefusalError ROTATION_STATE where none is under way.
 */
export async function finishRotation(
  authority: Authority,
  kind: AuthorityKind,
  names: readonly string[],
): Promise<void> {
  const { certs } = authority;
  if (!(await isRotating(certs, kind))) {
    throw new RefusalError('ROTATION_STATE', `no rotation of the ${kind} CA is under way`);
  }
  if (kind === 'server') {
    await issueServerCertificate(certs, names, authority.now(), 'overlap');
    await endOverlap(certs, kind);
    await authority.trust.announceServerCertificate();
    return;
  }
  const [current, ...previous] = authority.issuers;
  if (!current) throw new Error('an authority is missing');
  const gone: string[] = [];
  await issueNextCrl({ ...authority, issuers: [current] }, async (sql) => {
    const at = new Date(authority.now()).toISOString();
    for (const { facts } of previous) {
      gone.push(...(await revokeAllOf(sql, facts.fingerprint, at, 'superseded')));
    }
  });
  for (const serial of gone) authority.trust.forget(serial);
  authority.issuers = [current];
  await authority.trust.settled();
  await endOverlap(certs, kind);
}
