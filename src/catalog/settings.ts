/** Facts of the whole repository that have no row of their own, by name. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export type SettingName = 'initialised' | 'organisation' | 'host_names' | 'keyring_edition';

export async function readSetting(
  sql: SqlExecutor,
  name: SettingName,
): Promise<string | undefined> {
  return (await sql.get<{ value: string }>('SELECT value FROM setting WHERE name = $1', name))
    ?.value;
}

export async function writeSetting(
  sql: SqlExecutor,
  name: SettingName,
  value: string,
): Promise<void> {
  await sql.run(
    `INSERT INTO setting (name, value) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    name,
    value,
  );
}
