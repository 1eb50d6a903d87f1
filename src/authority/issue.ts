/** Issuing client certificates: the profile is ours, of a request only the key is used. Floor 3. */
import { randomBytes } from 'node:crypto';
import {
  type CertificateRow,
  findCertificates,
  insertCertificate,
} from '../catalog/certificates.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import { issueCertificate, readCertificate } from '../pki/certificate.ts';
import { readRequest } from '../pki/csr.ts';
import { createSerial } from '../pki/serial.ts';
import { type Authority, issuingAuthority } from './authority.ts';
import {
  addDays,
  BACKDATE_MS,
  checkName,
  type IssuableRole,
  identityUri,
  MAX_CERTIFICATE_DAYS,
  ROLE_DAYS,
  type Role,
} from './profiles.ts';

/** `days` from now; `suites` and `packages` limit an uploader, null or absent for all. */
export interface IssueRequest {
  name: string;
  role: IssuableRole;
  csr: string;
  days?: number | undefined;
  suites?: readonly string[] | null | undefined;
  packages?: readonly string[] | null | undefined;
  issuedBy: string;
}

/** What a certificate is to say; `until` in milliseconds since the epoch. */
export interface Wanted {
  name: string;
  role: Role;
  csr: string;
  until: number;
  issuedBy: string;
}

const whole = (time: number): Date => new Date(Math.floor(time / 1000) * 1000);

/**
 * Sign a certificate for the key of a CSR. It counts for nothing before `recordCertificate`.
 * @throws RefusalError INPUT_INVALID, CSR_MALFORMED, KEY_UNACCEPTABLE
 */
export async function signClientCertificate(
  authority: Authority,
  { name, role, csr, until, issuedBy }: Wanted,
): Promise<CertificateRow> {
  const { publicKey } = readRequest(csr);
  const now = authority.now();
  const { signer, facts: issuer } = issuingAuthority(authority);
  const pem = await issueCertificate(signer, {
    publicKey,
    subject: { commonName: checkName(name), organizationalUnit: role },
    serial: createSerial(randomBytes(16)),
    notBefore: whole(now - BACKDATE_MS),
    notAfter: whole(until),
    profile: { kind: 'client', uri: identityUri(role, name) },
  });
  const facts = readCertificate(pem);
  return {
    serial: facts.serial,
    name,
    role,
    suites: null,
    packages: null,
    not_before: facts.notBefore.toISOString(),
    not_after: facts.notAfter.toISOString(),
    fingerprint: facts.fingerprint,
    pem,
    issued_at: new Date(now).toISOString(),
    issued_by: issuedBy,
    revoked_at: null,
    revocation_reason: null,
    replaces: null,
    superseded_at: null,
    authority: issuer.fingerprint,
  };
}

/** The role that a name has for good: a kit is made for a host. */
const lastingRole = (role: string): string => (role === 'enrolment' ? 'host' : role);

/**
 * Record a signed certificate, inside the caller's transaction.
 * @throws RefusalError INPUT_INVALID where the name has another role.
 */
export async function recordCertificate(sql: SqlExecutor, row: CertificateRow): Promise<void> {
  const others = await findCertificates(sql, row.name);
  const taken = others.find(
    (other) => other.name === row.name && lastingRole(other.role) !== lastingRole(row.role),
  );
  if (taken) {
    throw new RefusalError(
      'INPUT_INVALID',
      `name ${row.name}: it has a certificate of role ${taken.role}; one name keeps one role`,
    );
  }
  await insertCertificate(sql, row);
}

/**
 * Issue a certificate for the key of a CSR. Recorded before it is handed out, so that no
 * certificate exists that the catalog does not know.
 * @throws RefusalError INPUT_INVALID, CSR_MALFORMED, KEY_UNACCEPTABLE
 */
export async function issueClientCertificate(
  authority: Authority,
  request: IssueRequest,
): Promise<CertificateRow> {
  const { role, csr, issuedBy, suites, packages } = request;
  const name = checkName(request.name);
  const days = request.days ?? ROLE_DAYS[role];
  if (!Number.isInteger(days) || days < 1 || days > MAX_CERTIFICATE_DAYS) {
    throw new RefusalError(
      'INPUT_INVALID',
      `days ${days}: 1 to ${MAX_CERTIFICATE_DAYS} are allowed`,
    );
  }
  const until = addDays(authority.now(), days);
  const signed = await signClientCertificate(authority, { name, role, csr, until, issuedBy });
  const limits = {
    suites: suites ? JSON.stringify(suites) : null,
    packages: packages ? JSON.stringify(packages) : null,
  };
  const row = { ...signed, ...limits };
  await authority.catalog.transaction((sql) => recordCertificate(sql, row));
  authority.trust.remember(row);
  return row;
}
