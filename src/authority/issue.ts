/** Issuing client certificates: the profile is ours, of a request only the key is used. Floor 3. */
import { randomBytes } from 'node:crypto';
import {
  type CertificateRow,
  findCertificates,
  insertCertificate,
} from '../catalog/certificates.ts';
import { RefusalError } from '../errors.ts';
import { issueCertificate, readCertificate } from '../pki/certificate.ts';
import { readRequest } from '../pki/csr.ts';
import { createSerial } from '../pki/serial.ts';
import { type Authority, issuingAuthority } from './authority.ts';
import {
  addDays,
  BACKDATE_MS,
  checkName,
  identityUri,
  MAX_CERTIFICATE_DAYS,
  ROLE_DAYS,
  type Role,
} from './profiles.ts';

/** `days` from now; `suites` and `packages` limit an uploader, null or absent for all. */
export interface IssueRequest {
  name: string;
  role: Role;
  csr: string;
  days?: number | undefined;
  suites?: readonly string[] | null | undefined;
  packages?: readonly string[] | null | undefined;
  issuedBy: string;
}

const whole = (time: number): Date => new Date(Math.floor(time / 1000) * 1000);

/**
 * Issue a certificate for the key of a CSR. Recorded before it is handed out, so that no
 * certificate exists that the catalog does not know.
 * @throws RefusalError INPUT_INVALID, CSR_MALFORMED, KEY_UNACCEPTABLE
 */
export async function issueClientCertificate(
  authority: Authority,
  request: IssueRequest,
): Promise<CertificateRow> {
  const name = checkName(request.name);
  const days = request.days ?? ROLE_DAYS[request.role];
  if (!Number.isInteger(days) || days < 1 || days > MAX_CERTIFICATE_DAYS) {
    throw new RefusalError(
      'INPUT_INVALID',
      `days ${days}: 1 to ${MAX_CERTIFICATE_DAYS} are allowed`,
    );
  }
  const { publicKey } = readRequest(request.csr);
  const now = authority.now();
  const { signer, facts: issuer } = issuingAuthority(authority);
  const pem = await issueCertificate(signer, {
    publicKey,
    subject: { commonName: name, organizationalUnit: request.role },
    serial: createSerial(randomBytes(16)),
    notBefore: whole(now - BACKDATE_MS),
    notAfter: whole(addDays(now, days)),
    profile: { kind: 'client', uri: identityUri(request.role, name) },
  });
  const facts = readCertificate(pem);
  const row: CertificateRow = {
    serial: facts.serial,
    name,
    role: request.role,
    suites: request.suites ? JSON.stringify(request.suites) : null,
    packages: request.packages ? JSON.stringify(request.packages) : null,
    not_before: facts.notBefore.toISOString(),
    not_after: facts.notAfter.toISOString(),
    fingerprint: facts.fingerprint,
    pem,
    issued_at: new Date(now).toISOString(),
    issued_by: request.issuedBy,
    revoked_at: null,
    revocation_reason: null,
    authority: issuer.fingerprint,
  };
  await authority.catalog.transaction(async (sql) => {
    const others = await findCertificates(sql, name);
    const taken = others.find((other) => other.name === name && other.role !== request.role);
    if (taken) {
      throw new RefusalError(
        'INPUT_INVALID',
        `name ${name}: it has a certificate of role ${taken.role}; one name keeps one role`,
      );
    }
    await insertCertificate(sql, row);
  });
  authority.trust.remember(row);
  return row;
}
