/**
 * Enrolment: a certificate that is good for one request within the hour, and the certificate of a
 * host that is given for it. The one is used up and the other recorded in one transaction, so that
 * however often and by however many it is tried there is one certificate, or none. Floor 3.
 */
import {
  type CertificateRow,
  findCertificates,
  listReplacements,
  markRevoked,
} from '../catalog/certificates.ts';
import { findHost, insertHost } from '../catalog/hosts.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import { createRequest } from '../pki/csr.ts';
import { encodePrivateKey, generatePrivateKey } from '../pki/key.ts';
import type { Authority } from './authority.ts';
import { issueNextCrl } from './crl.ts';
import { recordCertificate, signClientCertificate } from './issue.ts';
import { addDays, ENROLMENT_LIFETIME_MS, ROLE_DAYS } from './profiles.ts';

/** What a kit needs to speak to the server once; the key is kept nowhere else. */
export interface Enrolment {
  certificate: CertificateRow;
  /** PKCS#8 PEM. */
  key: string;
}

/** The certificates of kits of a name that can still be used. */
async function listUnused(sql: SqlExecutor, name: string, now: number): Promise<CertificateRow[]> {
  const rows = await findCertificates(sql, name);
  return rows.filter(
    (row) =>
      row.name === name &&
      row.role === 'enrolment' &&
      row.revoked_at === null &&
      Date.parse(row.not_after) > now,
  );
}

/** Makes the earlier kits of a name void, in the caller's transaction. */
async function voidUnused(authority: Authority, sql: SqlExecutor, name: string): Promise<void> {
  const now = authority.now();
  for (const row of await listUnused(sql, name, now)) {
    await markRevoked(sql, row.serial, new Date(now).toISOString(), 'superseded');
  }
}

/**
 * Whether a kit may be made for this name; `again` for a host that is there.
 * @throws RefusalError HOST_EXISTS, HOST_UNKNOWN
 */
export async function checkKit(sql: SqlExecutor, name: string, again: boolean): Promise<void> {
  const known = await findHost(sql, name);
  if (known && !again) {
    const detail = `host ${name} exists already; --again makes a new kit for it`;
    throw new RefusalError('HOST_EXISTS', detail);
  }
  if (!known && again) {
    throw new RefusalError('HOST_UNKNOWN', `there is no host ${name}; leave out --again`);
  }
}

/**
 * Record a host with the enrolment certificate of its first kit; `again` for one that is there,
 * whose earlier kits are void from then on.
 * @throws RefusalError HOST_EXISTS, HOST_UNKNOWN, INPUT_INVALID
 */
export async function issueEnrolment(
  authority: Authority,
  host: { name: string; group: string; again: boolean; issuedBy: string },
): Promise<Enrolment> {
  const { name, group, again, issuedBy } = host;
  const key = generatePrivateKey();
  const csr = createRequest(key, { commonName: 'enrolment' });
  const until = authority.now() + ENROLMENT_LIFETIME_MS;
  const wanted = { name, role: 'enrolment', csr, until, issuedBy } as const;
  const certificate = await signClientCertificate(authority, wanted);
  const record = async (sql: SqlExecutor): Promise<void> => {
    await checkKit(sql, name, again);
    await insertHost(sql, { name, group_name: group, added_at: certificate.issued_at });
    await voidUnused(authority, sql, name);
    await recordCertificate(sql, certificate);
  };
  // A list is issued only where a kit became void by it.
  if (again) await issueNextCrl(authority, record);
  else await authority.catalog.transaction(record);
  authority.trust.remember(certificate);
  return { certificate, key: encodePrivateKey(key) };
}

/** Makes every kit of a host void that was not used; in force when it resolves. */
export async function voidKits(authority: Authority, name: string): Promise<void> {
  if ((await listUnused(authority.catalog, name, authority.now())).length === 0) return;
  await issueNextCrl(authority, (sql) => voidUnused(authority, sql, name));
}

/** The certificate of a serial, as it stands in this transaction. */
export async function getCertificate(sql: SqlExecutor, serial: string): Promise<CertificateRow> {
  const row = (await findCertificates(sql, serial)).find((one) => one.serial === serial);
  if (row) return row;
  throw new RefusalError('CERTIFICATE_UNKNOWN', `no certificate has the serial ${serial}`);
}

/** @throws RefusalError CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED */
export function refuseLapsed(row: CertificateRow, now: number): void {
  const what = `the certificate of ${row.name}, serial ${row.serial}, is`;
  if (row.revoked_at !== null) throw new RefusalError('CERTIFICATE_REVOKED', `${what} revoked`);
  if (Date.parse(row.not_after) > now) return;
  throw new RefusalError('CERTIFICATE_EXPIRED', `${what} expired`);
}

/**
 * Give a host its certificate for an enrolment certificate, which is used up by it. The name is
 * the one that the kit was made for; a request that is refused uses up nothing.
 * @throws RefusalError CSR_MALFORMED, KEY_UNACCEPTABLE, CERTIFICATE_REVOKED where it was used
 *   before, CERTIFICATE_EXPIRED, HOST_UNKNOWN
 */
export async function enrolHost(
  authority: Authority,
  serial: string,
  csr: string,
): Promise<CertificateRow> {
  const enrolment = await getCertificate(authority.catalog, serial);
  const { name } = enrolment;
  const until = addDays(authority.now(), ROLE_DAYS.host);
  const wanted = { name, role: 'host', csr, until, issuedBy: `enrolment ${serial}` } as const;
  const signed = await signClientCertificate(authority, wanted);
  const row = { ...signed, replaces: serial };
  await issueNextCrl(authority, async (sql) => {
    const now = authority.now();
    if ((await listReplacements(sql, serial)).length > 0) {
      throw new RefusalError('CERTIFICATE_REVOKED', `the kit of ${name} was used already`);
    }
    refuseLapsed(await getCertificate(sql, serial), now);
    if (!(await findHost(sql, name))) {
      throw new RefusalError('HOST_UNKNOWN', `host ${name} was removed`);
    }
    await markRevoked(sql, serial, new Date(now).toISOString(), 'cessationOfOperation');
    await recordCertificate(sql, row);
  });
  authority.trust.remember(row);
  return row;
}
