/** Questions about the hashes of packages besides SHA256. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** Binary packages of a suite without one of the hashes, by its name in a stanza. */
export function listUnhashedPackages(
  sql: SqlExecutor,
  suite: string,
  name: string,
  limit: number,
): Promise<{ id: string; filename: string; hashes: string }[]> {
  return sql.all(
    `SELECT DISTINCT p.id, p.filename, p.hashes
     FROM listing l JOIN package p ON p.id = l.package_id
     WHERE l.suite = $1 AND l.removed_in IS NULL AND p.kind <> 'dsc' AND p.hashes NOT LIKE $2
     ORDER BY p.id LIMIT $3`,
    suite,
    `%"${name}":%`,
    limit,
  );
}

/** `hashes` is JSON of all that are known of a package. */
export async function recordHashes(
  sql: SqlExecutor,
  rows: readonly { id: string; hashes: string }[],
): Promise<void> {
  for (const { id, hashes } of rows) {
    await sql.run('UPDATE package SET hashes = $2 WHERE id = $1', id, hashes);
  }
}
