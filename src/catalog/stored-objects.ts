/** Every object of the storage that the catalog refers to: what a backup has to hold. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `sha256` in lower-case hexadecimal. */
export interface StoredObject {
  key: string;
  size: number;
  sha256: string;
}

const PAGE_ROWS = 1000;

const POOL_OBJECTS = `SELECT key, size, sha256 FROM (
    SELECT filename AS key, size, sha256 FROM package
    UNION SELECT filename, size, sha256 FROM package_file) AS file
  WHERE key > $1 ORDER BY key LIMIT ${PAGE_ROWS}`;

/** The hash by which an index is fetched is the last segment of its key. */
const readHash = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

async function* listIndexObjects(sql: SqlExecutor): AsyncGenerator<StoredObject> {
  const known = new Set<string>();
  const rows = await sql.all<{ suite: string; number: number }>(
    'SELECT suite, number FROM publication ORDER BY suite, number',
  );
  for (const { suite, number } of rows) {
    const row = await sql.get<{ files: string }>(
      'SELECT files FROM publication WHERE suite = $1 AND number = $2',
      suite,
      number,
    );
    const files = JSON.parse(row?.files ?? '[]') as { key: string | null; size: number }[];
    for (const { key, size } of files) {
      if (key === null || known.has(key)) continue;
      known.add(key);
      yield { key, size, sha256: readHash(key) };
    }
  }
}

/** Each once. */
export async function* listStoredObjects(sql: SqlExecutor): AsyncGenerator<StoredObject> {
  for (let after = ''; ; ) {
    const rows = await sql.all<StoredObject>(POOL_OBJECTS, after);
    for (const row of rows) yield { ...row };
    after = rows.at(-1)?.key ?? '';
    if (rows.length < PAGE_ROWS) break;
  }
  yield* listIndexObjects(sql);
}
