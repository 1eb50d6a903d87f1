/** Questions about certificates, one function each. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** One issued certificate; times are ISO-8601 UTC, `suites`, `packages` JSON or null for all. */
export interface CertificateRow {
  serial: string;
  name: string;
  role: string;
  suites: string | null;
  packages: string | null;
  not_before: string;
  not_after: string;
  fingerprint: string;
  pem: string;
  issued_at: string;
  issued_by: string;
  revoked_at: string | null;
  revocation_reason: string | null;
  /** The SHA-256 fingerprint of the authority that issued it. */
  authority: string;
  /** The serial of the certificate with which this one was asked for; null for one issued anew. */
  replaces: string | null;
  /** From when on the next revocation list names it, because it was renewed; null for never. */
  superseded_at: string | null;
}

export async function insertCertificate(sql: SqlExecutor, row: CertificateRow): Promise<void> {
  await sql.run(
    `INSERT INTO certificate (serial, name, role, suites, not_before, not_after, fingerprint, pem,
       issued_at, issued_by, revoked_at, revocation_reason, authority, packages, replaces,
       superseded_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
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
    row.authority,
    row.packages,
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

/** Revokes every certificate of an authority; resolves with the serials that were not before. */
export async function revokeAllOf(
  sql: SqlExecutor,
  authority: string,
  revokedAt: string,
  reason: string,
): Promise<string[]> {
  const rows = await sql.all<{ serial: string }>(
    'SELECT serial FROM certificate WHERE authority = $1 AND revoked_at IS NULL',
    authority,
  );
  await sql.run(
    `UPDATE certificate SET revoked_at = $2, revocation_reason = $3
     WHERE authority = $1 AND revoked_at IS NULL`,
    authority,
    revokedAt,
    reason,
  );
  return rows.map((row) => row.serial);
}

/** Of the newest valid certificate of each name the one that ends first. */
export function findNextToExpire(
  sql: SqlExecutor,
  now: string,
): Promise<Pick<CertificateRow, 'name' | 'role' | 'not_before' | 'not_after'> | undefined> {
  return sql.get(
    `SELECT name, role, max(not_before) AS not_before, max(not_after) AS not_after
     FROM certificate WHERE revoked_at IS NULL AND not_after > $1 AND role <> 'enrolment'
     GROUP BY name, role ORDER BY 4, 1 LIMIT 1`,
    now,
  );
}

/** Who holds a valid certificate, and of which authority. */
export function listHolders(
  sql: SqlExecutor,
  now: string,
): Promise<Pick<CertificateRow, 'name' | 'role' | 'authority'>[]> {
  return sql.all(
    `SELECT DISTINCT name, role, authority FROM certificate
     WHERE revoked_at IS NULL AND not_after > $1 AND role <> 'enrolment' ORDER BY name`,
    now,
  );
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

/** Gives the certificates that name no authority to this one. */
export async function adoptCertificates(sql: SqlExecutor, authority: string): Promise<void> {
  await sql.run("UPDATE certificate SET authority = $1 WHERE authority = ''", authority);
}

/** What an authority's list must name: the revoked whose own life ended after `lapsedAfter`. */
export function listRevoked(
  sql: SqlExecutor,
  authority: string,
  lapsedAfter: string,
): Promise<{ serial: string; revoked_at: string; revocation_reason: string }[]> {
  return sql.all(
    `SELECT serial, revoked_at, revocation_reason FROM certificate
     WHERE revoked_at IS NOT NULL AND authority = $1 AND not_after > $2
     ORDER BY revoked_at, serial`,
    authority,
    lapsedAfter,
  );
}
