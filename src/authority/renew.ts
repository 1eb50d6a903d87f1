/**
 * Renewal: another certificate of the same identity for another key, asked for with the one that
 * it replaces. The old one is good for a day yet, in case the answer was lost. Floor 3.
 */
import {
  type CertificateRow,
  countReplacements,
  listReplacements,
  markSuperseded,
} from '../catalog/certificates.ts';
import { RefusalError } from '../errors.ts';
import type { Authority } from './authority.ts';
import { getCertificate, refuseLapsed } from './enrol.ts';
import { recordCertificate, signClientCertificate } from './issue.ts';
import {
  addDays,
  type IssuableRole,
  MAX_RENEWALS_A_DAY,
  ROLE_DAYS,
  SUPERSEDED_AFTER_MS,
} from './profiles.ts';

/**
 * When the bearer of a certificate is to renew it, in milliseconds since the epoch: at two thirds
 * of its life; now, where it is renewed already and the bearer is left with the old one, or where
 * the authority that issued it is being rotated. The one place that decides this.
 */
export function chooseRenewal(
  row: CertificateRow,
  now: number,
  { issuers }: Pick<Authority, 'issuers'>,
): number {
  if (row.superseded_at !== null || row.authority !== issuers[0]?.facts.fingerprint) return now;
  const [from, until] = [Date.parse(row.not_before), Date.parse(row.not_after)];
  return Math.floor(from + ((until - from) * 2) / 3);
}

/**
 * Renew the certificate of a serial for the key of a CSR: name, role and limits are those of the
 * catalog's record, the life is the role's. Asked for twice with one certificate, the first answer
 * is taken for lost and its certificate superseded too.
 * @throws RefusalError CSR_MALFORMED, KEY_UNACCEPTABLE, CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED,
 *   RENEWED_TOO_OFTEN
 */
export async function renewCertificate(
  authority: Authority,
  serial: string,
  csr: string,
): Promise<CertificateRow> {
  const { catalog } = authority;
  const old = await getCertificate(catalog, serial);
  const { name } = old;
  const role = old.role as IssuableRole;
  const until = addDays(authority.now(), ROLE_DAYS[role]);
  const issuedBy = `renewal ${serial}`;
  const signed = await signClientCertificate(authority, { name, role, csr, until, issuedBy });
  const row = await catalog.transaction(async (sql) => {
    const now = authority.now();
    const current = await getCertificate(sql, serial);
    refuseLapsed(current, now);
    const since = new Date(now - SUPERSEDED_AFTER_MS).toISOString();
    if ((await countReplacements(sql, name, since)) >= MAX_RENEWALS_A_DAY) {
      throw new RefusalError(
        'RENEWED_TOO_OFTEN',
        `${name} was renewed ${MAX_RENEWALS_A_DAY} times within a day: try again tomorrow`,
      );
    }
    const from = new Date(now + SUPERSEDED_AFTER_MS).toISOString();
    for (const lost of await listReplacements(sql, serial)) {
      await markSuperseded(sql, lost.serial, from);
    }
    await markSuperseded(sql, serial, from);
    // Limits that the record has are kept, whatever they are.
    const { serial: next, pem, fingerprint, authority: issuer } = signed;
    const { not_before, not_after, issued_at } = signed;
    const dates = { not_before, not_after, issued_at, issued_by: issuedBy };
    const unmarked = { revoked_at: null, revocation_reason: null, superseded_at: null };
    const made = {
      ...current,
      serial: next,
      pem,
      fingerprint,
      authority: issuer,
      ...dates,
      ...unmarked,
    };
    const renewed: CertificateRow = { ...made, replaces: serial };
    await recordCertificate(sql, renewed);
    return renewed;
  });
  authority.trust.remember(row);
  return row;
}
