/** Questions about certificates, one function each. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** One issued certificate; times are ISO-8601 UTC, `suites` a JSON array or null for all. */
export interface CertificateRow {
  serial: string;
  name: string;
  role: string;
  suites: string | null;
  not_before: string;
  not_after: string;
  fingerprint: string;
  pem: string;
  issued_at: string;
  issued_by: string;
  revoked_at: string | null;
  revocation_reason: string | null;
  /** The serial of the certificate with which this one was asked for; null for one issued anew. */
  replaces: string | null;
  /** From when on the next revocation list names it, because it was renewed; null for never. */
  superseded_at: string | null;
}

export async function insertCertificate(sql: SqlExecutor, row: CertificateRow): Promise<void> {
  await sql.run(
    `INSERT INTO certificate (serial, name, role, suites, not_before, not_after, fingerprint, pem,
       issued_at, issued_by, revoked_at, revocation_reason, replaces, superseded_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
    row.serial,
    row.name,
    row.role,
    row.suites,
    row.not_before,
    row.not_after,
    row.fingerprint,
    row.pem,
    row.issued_at,
    row.issued_by,
    row.revoked_at,
    row.revocation_reason,
    row.replaces,
    row.superseded_at,
  );
}

/** Newest first. */
export function listCertificates(sql: SqlExecutor): Promise<CertificateRow[]> {
  return sql.all('SELECT * FROM certificate ORDER BY issued_at DESC, serial');
}

/** Every certificate of that serial or of that name, newest first. */
export function findCertificates(
  sql: SqlExecutor,
  nameOrSerial: string,
): Promise<CertificateRow[]> {
  return sql.all(
    'SELECT * FROM certificate WHERE name = $1 OR serial = $1 ORDER BY issued_at DESC, serial',
    nameOrSerial,
  );
}

/** Marks it once: a second revocation changes nothing. Resolves with whether it did. */
export async function markRevoked(
  sql: SqlExecutor,
  serial: string,
  revokedAt: string,
  reason: string,
): Promise<boolean> {
  const changed = await sql.run(
    'UPDATE certificate SET revoked_at = $2, revocation_reason = $3 WHERE serial = $1 AND revoked_at IS NULL',
    serial,
    revokedAt,
    reason,
  );
  return changed > 0;
}

/** Those that were asked for with the certificate of that serial, oldest first. */
export function listReplacements(sql: SqlExecutor, serial: string): Promise<CertificateRow[]> {
  return sql.all(
    'SELECT * FROM certificate WHERE replaces = $1 ORDER BY issued_at, serial',
    serial,
  );
}

/** How many certificates of a name were asked for with another one since then. */
export async function countReplacements(
  sql: SqlExecutor,
  name: string,
  since: string,
): Promise<number> {
  const row = await sql.get<{ count: number }>(
    'SELECT count(*) AS count FROM certificate WHERE name = $1 AND replaces IS NOT NULL AND issued_at > $2',
    name,
    since,
  );
  return row?.count ?? 0;
}

/** Says from when on a certificate is revoked; a time that was said before stands. */
export async function markSuperseded(
  sql: SqlExecutor,
  serial: string,
  from: string,
): Promise<void> {
  await sql.run(
    'UPDATE certificate SET superseded_at = $2 WHERE serial = $1 AND superseded_at IS NULL',
    serial,
    from,
  );
}

/** Revokes those whose time has come: the list that is made next names them. */
export async function revokeSuperseded(sql: SqlExecutor, now: string): Promise<void> {
  await sql.run(
    `UPDATE certificate SET revoked_at = $1, revocation_reason = 'superseded'
     WHERE superseded_at <= $1 AND revoked_at IS NULL`,
    now,
  );
}

/** The revoked that a list must still name: those whose own life ended after `lapsedAfter`. */
export function listRevoked(
  sql: SqlExecutor,
  lapsedAfter: string,
): Promise<{ serial: string; revoked_at: string; revocation_reason: string }[]> {
  return sql.all(
    `SELECT serial, revoked_at, revocation_reason FROM certificate
     WHERE revoked_at IS NOT NULL AND not_after > $1 ORDER BY revoked_at, serial`,
    lapsedAfter,
  );
}
