/**
 * What can be known of certificates when the catalog is lost. What was revoked stays revoked: the
 * last list names it. What was issued is unknown and refused, until somebody who has the data
 * directory shows the certificate itself again. Source of truth: certs/crl.pem. Floor 3.
 */
import { type CertificateRow, insertCertificate } from '../catalog/certificates.ts';
import type { Catalog } from '../catalog/sql.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { type RevokedEntry, readCrl, splitCrls } from '../pki/crl.ts';
import { readPemBlocks } from '../pki/pem.ts';
import { CERTIFICATE_PEM } from '../pki/signer.ts';
import { findIssuer } from '../pki/verify.ts';
import type { CertsFolder } from './files.ts';
import { identityUri, type Role } from './profiles.ts';

/** Who issued it, nobody knows any more. */
const ISSUER = 'unknown';

/** Their record says nothing that could not be made up by who has the file, but for these. */
const REGAINED_ROLES: readonly Role[] = ['host', 'observer', 'admin'];

async function readAuthorities(certs: CertsFolder): Promise<CertificateFacts[]> {
  const found: CertificateFacts[] = [];
  for (const file of ['client-ca.crt', 'client-ca.previous.crt'] as const) {
    if (await certs.exists(file)) found.push(readCertificate(await certs.readText(file)));
  }
  return found;
}

interface Revoked {
  entry: RevokedEntry;
  authority: CertificateFacts;
}

/** Everything that our last lists name. */
async function readRevoked(
  certs: CertsFolder,
  authorities: readonly CertificateFacts[],
): Promise<Revoked[]> {
  if (!(await certs.exists('crl.pem'))) return [];
  const lists = splitCrls(Buffer.from(await certs.readText('crl.pem')));
  return lists.flatMap((der) =>
    authorities.flatMap((authority) => {
      try {
        return readCrl(der, authority).entries.map((entry) => ({ entry, authority }));
      } catch {
        return []; // of the other authority, while one is rotated
      }
    }),
  );
}

/** Without its certificate, it stays on the lists for as long as its authority lasts. */
const describeRevoked = ({ entry, authority }: Revoked): CertificateRow => ({
  serial: entry.serial,
  name: `lost-${entry.serial}`,
  role: 'host',
  suites: '[]',
  packages: null,
  not_before: authority.notBefore.toISOString(),
  not_after: authority.notAfter.toISOString(),
  fingerprint: `lost-${entry.serial}`,
  pem: '',
  issued_at: authority.notBefore.toISOString(),
  issued_by: ISSUER,
  revoked_at: entry.revokedAt.toISOString(),
  revocation_reason: entry.reason ?? 'unspecified',
  authority: authority.fingerprint,
  replaces: null,
  superseded_at: null,
});

function readIdentity(facts: CertificateFacts): { name: string; role: Role } | undefined {
  const { commonName: name = '', organizationalUnit: role = '' } = facts.subject;
  const isOurs = facts.uris.includes(identityUri(role as Role, name));
  return isOurs ? { name, role: role as Role } : undefined;
}

/** Why a certificate is not taken back, as a sentence; the row where it is. */
function judge(
  der: Uint8Array,
  authorities: readonly CertificateFacts[],
  revoked: ReadonlySet<string>,
  now: number,
): CertificateRow | string {
  const issuer = findIssuer(der, authorities);
  if (typeof issuer === 'string') return issuer;
  const facts = readCertificate(der);
  const identity = readIdentity(facts);
  if (!identity) return `serial ${facts.serial} bears no name and role of ours`;
  const { name, role } = identity;
  if (!REGAINED_ROLES.includes(role)) {
    return `${name} is ${role}: its limits are lost, so it needs a new certificate`;
  }
  if (revoked.has(facts.serial)) return `${name}, serial ${facts.serial}, is revoked`;
  if (facts.notAfter.getTime() <= now) return `${name}, serial ${facts.serial}, is expired`;
  return {
    ...{ serial: facts.serial, name, role, suites: null, packages: null },
    ...{ not_before: facts.notBefore.toISOString(), not_after: facts.notAfter.toISOString() },
    ...{ fingerprint: facts.fingerprint, pem: facts.pem, issued_by: ISSUER },
    ...{ issued_at: facts.notBefore.toISOString(), revoked_at: null, revocation_reason: null },
    ...{ authority: issuer.fingerprint, replaces: null, superseded_at: null },
  };
}

export interface RegainedCertificates {
  /** Revoked serials that stay revoked. */
  revoked: number;
  /** Shown again and recorded again. */
  recorded: { name: string; role: string; serial: string }[];
  /** Why the others that were shown are not. */
  refused: string[];
}

/**
 * Record in a new catalog what is known of certificates.
 * @param shown PEM texts of certificates that may enter again.
 * @param now milliseconds.
 */
export async function regainCertificates(
  catalog: Catalog,
  certs: CertsFolder,
  shown: readonly string[],
  now: number,
): Promise<RegainedCertificates> {
  const authorities = await readAuthorities(certs);
  const revoked = await readRevoked(certs, authorities);
  const serials = new Set(revoked.map(({ entry }) => entry.serial));
  const verdicts = shown
    .flatMap((text) => readPemBlocks(text, CERTIFICATE_PEM))
    .map((der) => judge(der, authorities, serials, now));
  const rows = new Map<string, CertificateRow>();
  for (const verdict of verdicts) {
    if (typeof verdict !== 'string') rows.set(verdict.serial, verdict);
  }
  await catalog.transaction(async (sql) => {
    for (const one of new Map(revoked.map((one) => [one.entry.serial, one])).values()) {
      await insertCertificate(sql, describeRevoked(one));
    }
    for (const row of rows.values()) await insertCertificate(sql, row);
  });
  return {
    revoked: serials.size,
    recorded: [...rows.values()].map(({ name, role, serial }) => ({ name, role, serial })),
    refused: verdicts.filter((verdict) => typeof verdict === 'string'),
  };
}
