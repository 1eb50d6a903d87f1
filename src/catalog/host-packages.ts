/** Questions about what hosts have installed of our packages. Floor 2. */
import type { SqlExecutor } from './sql.ts';

export interface InstalledPackage {
  name: string;
  version: string;
  architecture: string;
}

/** Names that one statement asks for. */
const NAMES_AT_ONCE = 300;

const spell = ({ name, version, architecture }: InstalledPackage): string =>
  `${name} ${version} ${architecture}`;

/** Of what is installed somewhere, the ids of those packages that the catalog has. */
export async function findInstalled(
  sql: SqlExecutor,
  installed: readonly InstalledPackage[],
): Promise<string[]> {
  const wanted = new Set(installed.map(spell));
  const names = [...new Set(installed.map(({ name }) => name))];
  const found: string[] = [];
  for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
    const some = names.slice(at, at + NAMES_AT_ONCE);
    const rows = await sql.all<InstalledPackage & { id: string }>(
      `SELECT id, name, version, architecture FROM package
       WHERE name IN (${some.map((_, i) => `$${i + 1}`).join(', ')})`,
      ...some,
    );
    found.push(...rows.filter((row) => wanted.has(spell(row))).map(({ id }) => id));
  }
  return found;
}

/** What a host has from now on. */
export async function replaceHostPackages(
  sql: SqlExecutor,
  host: string,
  ids: readonly string[],
): Promise<void> {
  await sql.run('DELETE FROM host_package WHERE host = $1', host);
  for (const id of ids) {
    await sql.run('INSERT INTO host_package (host, package_id) VALUES ($1, $2)', host, id);
  }
}

/** The packages that some host has. */
export async function listHeldPackages(sql: SqlExecutor): Promise<Set<string>> {
  const rows = await sql.all<{ package_id: string }>(
    'SELECT DISTINCT package_id FROM host_package',
  );
  return new Set(rows.map((row) => row.package_id));
}
