/** Revoking: one transaction, safe to repeat, in force when it resolves. Floor 3. */
import {
  type CertificateRow,
  findCertificates,
  listReplacements,
  markRevoked,
} from '../catalog/certificates.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import type { RevocationReason } from '../pki/crl.ts';
import { canonicalSerial } from '../pki/serial.ts';
import type { Authority } from './authority.ts';
import { issueNextCrl } from './crl.ts';

/** A serial in its canonical spelling, or the text itself where it is a name. */
function spellSerial(nameOrSerial: string): string {
  const looksLikeSerial = /^(0x)?[0-9a-f:]{16,}$/i.test(nameOrSerial);
  return looksLikeSerial ? canonicalSerial(nameOrSerial.replace(/^0x/i, '')) : nameOrSerial;
}

/**
 * The certificates of a name or a serial, newest first.
 * @throws RefusalError CERTIFICATE_UNKNOWN
 */
export async function selectCertificates(
  sql: SqlExecutor,
  nameOrSerial: string,
): Promise<CertificateRow[]> {
  const exact = await findCertificates(sql, nameOrSerial);
  const rows = exact.length ? exact : await findCertificates(sql, spellSerial(nameOrSerial));
  if (rows.length === 0) {
    throw new RefusalError(
      'CERTIFICATE_UNKNOWN',
      `no certificate has the name or serial ${JSON.stringify(nameOrSerial.slice(0, 80))}`,
    );
  }
  return rows;
}

/** These and what was issued by renewing them, down the line: a thief may have renewed. */
async function withReplacements(
  sql: SqlExecutor,
  rows: readonly CertificateRow[],
): Promise<CertificateRow[]> {
  const all = new Map(rows.map((row) => [row.serial, row]));
  // What is added while it is walked is walked as well.
  for (const { serial } of all.values()) {
    for (const next of await listReplacements(sql, serial)) {
      if (!all.has(next.serial)) all.set(next.serial, next);
    }
  }
  return [...all.values()];
}

/**
 * Revoke every certificate of a name, or the one of a serial with what was issued by renewing it,
 * and publish the list that says so.
 * Repeating it changes no date and no reason, and issues the list again.
 * @throws RefusalError CERTIFICATE_UNKNOWN, SIGNER_FAILED
 */
export async function revokeCertificates(
  authority: Authority,
  nameOrSerial: string,
  reason: RevocationReason,
): Promise<CertificateRow[]> {
  const { catalog } = authority;
  // What is no certificate is refused at once, not when the lists before this one are issued.
  await selectCertificates(catalog, nameOrSerial);
  const mark = async (sql: SqlExecutor): Promise<void> => {
    const at = new Date(authority.now()).toISOString();
    // Selected once more: a certificate issued for the name meanwhile is meant as well.
    const selected = await selectCertificates(sql, nameOrSerial);
    for (const row of await withReplacements(sql, selected)) {
      await markRevoked(sql, row.serial, at, reason);
    }
  };
  await issueNextCrl(authority, mark).catch((error: unknown) => {
    if (!(error instanceof RefusalError) || error.code !== 'SIGNER_FAILED') throw error;
    throw new RefusalError(
      'SIGNER_FAILED',
      `revoked, and refused by this server from now on, but no revocation list says so until its signer answers: ${error.message}`,
    );
  });
  return withReplacements(catalog, await selectCertificates(catalog, nameOrSerial));
}
