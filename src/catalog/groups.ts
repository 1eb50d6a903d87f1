/** Questions about groups of hosts. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `suites` is a JSON array of what its hosts may read, or null for all. */
export interface GroupRow {
  name: string;
  suites: string | null;
  description: string;
  created_at: string;
}

/** Resolves with false where the name is taken. */
export async function insertGroup(sql: SqlExecutor, row: GroupRow): Promise<boolean> {
  const changed = await sql.run(
    `INSERT INTO host_group (name, suites, description, created_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (name) DO NOTHING`,
    row.name,
    row.suites,
    row.description,
    row.created_at,
  );
  return changed > 0;
}

export function listGroups(sql: SqlExecutor): Promise<GroupRow[]> {
  return sql.all('SELECT * FROM host_group ORDER BY name');
}

export function findGroup(sql: SqlExecutor, name: string): Promise<GroupRow | undefined> {
  return sql.get('SELECT * FROM host_group WHERE name = $1', name);
}

export async function updateGroup(sql: SqlExecutor, row: GroupRow): Promise<void> {
  await sql.run(
    'UPDATE host_group SET suites = $2, description = $3 WHERE name = $1',
    row.name,
    row.suites,
    row.description,
  );
}

export async function deleteGroup(sql: SqlExecutor, name: string): Promise<void> {
  await sql.run('DELETE FROM host_group WHERE name = $1', name);
}

/** The names of the hosts in a group, in order. */
export async function listHostsOfGroup(sql: SqlExecutor, group: string): Promise<string[]> {
  const rows = await sql.all<{ name: string }>(
    'SELECT name FROM host WHERE group_name = $1 ORDER BY name',
    group,
  );
  return rows.map((row) => row.name);
}
