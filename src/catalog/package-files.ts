/**
 * Questions about the files of a source package beside its .dsc: two versions may share one.
 * Floor 2.
 */
import type { SqlExecutor } from './sql.ts';

/** `filename` is its key in the pool. */
export interface PackageFileRow {
  package_id: string;
  filename: string;
  size: number;
  sha256: string;
}

export async function insertPackageFile(sql: SqlExecutor, row: PackageFileRow): Promise<void> {
  await sql.run(
    'INSERT INTO package_file (package_id, filename, size, sha256) VALUES ($1, $2, $3, $4)',
    row.package_id,
    row.filename,
    row.size,
    row.sha256,
  );
}

export function listPackageFiles(sql: SqlExecutor, packageId: string): Promise<PackageFileRow[]> {
  return sql.all('SELECT * FROM package_file WHERE package_id = $1 ORDER BY filename', packageId);
}

/** What the pool holds under a key, as a package or as a file of one; undefined for nothing. */
export function findPoolFile(
  sql: SqlExecutor,
  filename: string,
): Promise<{ size: number; sha256: string } | undefined> {
  return sql.get(
    `SELECT size, sha256 FROM package WHERE filename = $1
     UNION ALL SELECT size, sha256 FROM package_file WHERE filename = $1 LIMIT 1`,
    filename,
  );
}
