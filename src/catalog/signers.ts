/** Questions about the public keys of those who may sign for a suite. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export interface SignerRow {
  /** Of the primary key, upper-case hex. */
  fingerprint: string;
  user_id: string;
  armored: string;
  recorded_at: string;
  recorded_by: string;
}

/** A key that is there is replaced: by then it may have been prolonged or revoked. */
export async function recordSigner(sql: SqlExecutor, row: SignerRow): Promise<void> {
  await sql.run(
    `INSERT INTO signer_key (fingerprint, user_id, armored, recorded_at, recorded_by)
     VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (fingerprint) DO UPDATE SET user_id = excluded.user_id,
       armored = excluded.armored, recorded_at = excluded.recorded_at,
       recorded_by = excluded.recorded_by`,
    row.fingerprint,
    row.user_id,
    row.armored,
    row.recorded_at,
    row.recorded_by,
  );
}

/** Those of the fingerprints that are recorded, in the order of the fingerprints. */
export async function findSigners(
  sql: SqlExecutor,
  fingerprints: readonly string[],
): Promise<SignerRow[]> {
  if (fingerprints.length === 0) return [];
  const places = fingerprints.map((_, i) => `$${i + 1}`).join(', ');
  return sql.all(
    `SELECT * FROM signer_key WHERE fingerprint IN (${places}) ORDER BY fingerprint`,
    ...fingerprints,
  );
}

export function listSigners(sql: SqlExecutor): Promise<SignerRow[]> {
  return sql.all('SELECT * FROM signer_key ORDER BY user_id, fingerprint');
}

export async function deleteSigner(sql: SqlExecutor, fingerprint: string): Promise<void> {
  await sql.run('DELETE FROM signer_key WHERE fingerprint = $1', fingerprint);
}
