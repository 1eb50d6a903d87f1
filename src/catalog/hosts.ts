/** Questions about hosts. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export interface HostRow {
  name: string;
  group_name: string;
  added_at: string;
}

/** What a host said last of what it has installed: SHA-256 in hex, and the client's version. */
export interface HostReport {
  reported_at: string | null;
  reported_ca: string | null;
  reported_keyring: string | null;
  reported_client: string | null;
}

export type ReportedHostRow = HostRow & HostReport;

/** Resolves with false where the name is taken. */
export async function insertHost(sql: SqlExecutor, row: HostRow): Promise<boolean> {
  const changed = await sql.run(
    'INSERT INTO host (name, group_name, added_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING',
    row.name,
    row.group_name,
    row.added_at,
  );
  return changed > 0;
}

export function listHosts(sql: SqlExecutor): Promise<ReportedHostRow[]> {
  return sql.all('SELECT * FROM host ORDER BY name');
}

export function findHost(sql: SqlExecutor, name: string): Promise<ReportedHostRow | undefined> {
  return sql.get('SELECT * FROM host WHERE name = $1', name);
}

/** Resolves with whether there is such a host. */
export async function recordReport(
  sql: SqlExecutor,
  name: string,
  report: HostReport,
): Promise<boolean> {
  const changed = await sql.run(
    `UPDATE host SET reported_at = $2, reported_ca = $3, reported_keyring = $4,
       reported_client = $5 WHERE name = $1`,
    name,
    report.reported_at,
    report.reported_ca,
    report.reported_keyring,
    report.reported_client,
  );
  return changed > 0;
}

/** Resolves with whether there was one. */
export async function moveHost(sql: SqlExecutor, name: string, group: string): Promise<boolean> {
  return (await sql.run('UPDATE host SET group_name = $2 WHERE name = $1', name, group)) > 0;
}

/** Resolves with whether there was one. */
export async function deleteHost(sql: SqlExecutor, name: string): Promise<boolean> {
  await sql.run('DELETE FROM host_package WHERE host = $1', name);
  return (await sql.run('DELETE FROM host WHERE name = $1', name)) > 0;
}
