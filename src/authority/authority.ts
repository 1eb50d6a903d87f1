/**
 * The CA with memory, opened: its parts, loaded once. The other files of this folder are its
 * verbs. Floor 3.
 */
import { adoptCertificates, listCertificates } from '../catalog/certificates.ts';
import { findLatestCrl } from '../catalog/crls.ts';
import type { Catalog } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { readCrl } from '../pki/crl.ts';
import type { Signer } from '../pki/signer.ts';
import { openSigner } from './authority-keys.ts';
import { filesOf, isRotating, type Place } from './exchange.ts';
import type { CertsFolder } from './files.ts';
import { ForeignLists } from './foreign-lists.ts';
import { regainPublished } from './published-list.ts';
import type { Site } from './site.ts';
import type { SiteCertificate } from './site-certificate.ts';
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
  /** The lists of the site's own authorities, where client certificates come from those. */
  foreign: ForeignLists | undefined;
  /** The site's own server certificate; undefined where ours is shown. */
  server: SiteCertificate | undefined;
  crlLifetime: number;
  now: () => number;
  log: Logger;
}

/** What is done in the name of our own authority. @throws RefusalError AUTHORITY_FOREIGN */
export function requireOwnAuthority(authority: Authority): void {
  if (authority.issuers.length > 0) return;
  throw new RefusalError(
    'AUTHORITY_FOREIGN',
    "client certificates come from this site's own authority: issue and revoke them there, then run `aptkeep crl refresh`",
  );
}

/** @throws RefusalError AUTHORITY_FOREIGN */
export function issuingAuthority(authority: Authority): Issuer {
  requireOwnAuthority(authority);
  return authority.issuers[0] as Issuer;
}

type OpeningParts = Omit<Authority, 'trust' | 'issuers' | 'foreign' | 'server'>;

/** Opens an initialised authority, or what stands in its place by the site's configuration. */
export async function openAuthority(
  parts: OpeningParts,
  { clients, server }: Site = { clients: undefined, server: undefined },
): Promise<Authority> {
  if (!clients) return { ...(await openOwnAuthority(parts)), server };
  const trust = new Trust(clients.authorities, clients.recognise);
  const foreign = new ForeignLists({ ...parts, ...clients, trust });
  await foreign.restore();
  return { ...parts, trust, issuers: [], foreign, server };
}

/** With the lists and the certificates that its catalog holds. */
async function openOwnAuthority(parts: OpeningParts): Promise<Omit<Authority, 'server'>> {
  const { catalog, certs } = parts;
  const issuers = await openIssuers(certs);
  const [issuing] = issuers;
  // What was issued before authorities had generations came from the only one there was.
  await adoptCertificates(catalog, issuing?.facts.fingerprint ?? '');
  const authorities = issuers.map((issuer) => issuer.facts);
  await regainPublished(catalog, certs, authorities, parts.log);
  const trust = new Trust(authorities);
  for (const row of await listCertificates(catalog)) trust.remember(row);
  for (const { facts } of issuers) {
    const latest = await findLatestCrl(catalog, facts.fingerprint);
    if (latest) trust.load({ ...readCrl(latest.pem, facts), pem: latest.pem }, facts.fingerprint);
  }
  return { ...parts, trust, issuers, foreign: undefined };
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
