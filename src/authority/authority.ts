/**
 * The CA with memory, opened: its parts, loaded once. The other files of this folder are its
 * verbs. Floor 3.
 */
import { adoptCertificates, listCertificates } from '../catalog/certificates.ts';
import { findLatestCrl } from '../catalog/crls.ts';
import type { Catalog } from '../catalog/sql.ts';
import type { Logger } from '../log.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { readCrl } from '../pki/crl.ts';
import type { Signer } from '../pki/signer.ts';
import { openSigner } from './authority-keys.ts';
import { filesOf, isRotating, type Place } from './exchange.ts';
import type { CertsFolder } from './files.ts';
import { Trust } from './trust.ts';

/** An authority of ours; the first of them issues, each signs the list of its own certificates. */
export interface Issuer {
  facts: CertificateFacts;
  signer: Signer;
}

/** Everything the authority's verbs use; lifetimes in milliseconds. */
export interface Authority {
  catalog: Catalog;
  certs: CertsFolder;
  trust: Trust;
  /** More than one only while the authority is rotated. Empty where the site has its own. */
  issuers: readonly Issuer[];
  crlLifetime: number;
  now: () => number;
  log: Logger;
}

/** @throws Error in a site whose certificates come from elsewhere: its operations refuse before. */
export function issuingAuthority(authority: Authority): Issuer {
  const [issuer] = authority.issuers;
  if (!issuer) throw new Error('this server has no authority of its own');
  return issuer;
}

/** Opens an initialised authority with the lists and the certificates that its catalog holds. */
export async function openAuthority(
  parts: Omit<Authority, 'trust' | 'issuers'>,
): Promise<Authority> {
  const { catalog, certs } = parts;
  const issuers = await openIssuers(certs);
  const [issuing] = issuers;
  // What was issued before authorities had generations came from the only one there was.
  await adoptCertificates(catalog, issuing?.facts.fingerprint ?? '');
  const trust = new Trust(issuers.map((issuer) => issuer.facts));
  for (const row of await listCertificates(catalog)) trust.remember(row);
  for (const { facts } of issuers) {
    const latest = await findLatestCrl(catalog, facts.fingerprint);
    if (latest) trust.load({ ...readCrl(latest.pem, facts), pem: latest.pem }, facts.fingerprint);
  }
  return { ...parts, trust, issuers };
}

/** The client CA, or the one beside it, with what signs for it. */
async function openIssuer(certs: CertsFolder, place: Place): Promise<Issuer> {
  const pem = await certs.readText(filesOf('client', place).certificate);
  return { facts: readCertificate(pem), signer: await openSigner(certs, 'client', place) };
}

/** The issuing authority and, while a rotation lasts, the one before it. */
async function openIssuers(certs: CertsFolder): Promise<Issuer[]> {
  const current = await openIssuer(certs, 'current');
  if (!(await isRotating(certs, 'client'))) return [current];
  return [current, await openIssuer(certs, 'overlap')];
}
