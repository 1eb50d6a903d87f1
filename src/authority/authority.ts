/**
 * The CA with memory, opened: its parts, loaded once. The other files of this folder are its
 * verbs. Floor 3.
 */
import { listCertificates } from '../catalog/certificates.ts';
import { findLatestCrl } from '../catalog/crls.ts';
import type { Catalog } from '../catalog/sql.ts';
import type { Logger } from '../log.ts';
import { readCertificate } from '../pki/certificate.ts';
import { readCrl } from '../pki/crl.ts';
import type { Signer } from '../pki/signer.ts';
import { openSigner } from './authority-keys.ts';
import type { CertsFolder } from './files.ts';
import { Trust } from './trust.ts';

/** Everything the authority's verbs use; lifetimes in milliseconds. */
export interface Authority {
  catalog: Catalog;
  certs: CertsFolder;
  trust: Trust;
  signer: Signer;
  crlLifetime: number;
  now: () => number;
  log: Logger;
}

/** Opens an initialised authority with the list and the certificates that its catalog holds. */
export async function openAuthority(
  parts: Omit<Authority, 'trust' | 'signer'>,
): Promise<Authority> {
  const certificatePem = await parts.certs.readText('client-ca.crt');
  const certificate = readCertificate(certificatePem);
  const trust = new Trust([certificate]);
  for (const row of await listCertificates(parts.catalog)) trust.remember(row);
  const latest = await findLatestCrl(parts.catalog);
  if (latest) trust.load({ ...readCrl(latest.pem, certificate), pem: latest.pem });
  return { ...parts, trust, signer: await openSigner(parts.certs, 'client') };
}
