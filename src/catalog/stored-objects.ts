/** Every object of the storage that the catalog refers to: what a backup has to hold. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `sha256` in lower-case hexadecimal. */
export interface StoredObject {
  key: string;
  size: number;
  sha256: string;
}

/** Key, size, and where it is not the whole object, offset and size of that: index-files.ts. */
type SpelledPart = [string, number, number?, number?];

const PAGE_ROWS = 1000;

const POOL_OBJECTS = `SELECT key, size, sha256 FROM (
    SELECT filename AS key, size, sha256 FROM package
    UNION SELECT filename, size, sha256 FROM package_file) AS file
  WHERE key > $1 ORDER BY key LIMIT ${PAGE_ROWS}`;

/** An object of an index is named by its hash. */
const readHash = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

async function* listIndexObjects(sql: SqlExecutor): AsyncGenerator<StoredObject> {
  const known = new Set<string>();
  for (let after = ['', '', '']; ; ) {
    const rows = await sql.all<{ suite: string; path: string; sha256: string; parts: string }>(
      `SELECT suite, path, sha256, parts FROM index_file
       WHERE (suite, path, sha256) > ($1, $2, $3) AND parts IS NOT NULL
       ORDER BY suite, path, sha256 LIMIT ${PAGE_ROWS}`,
      ...after,
    );
    for (const { parts } of rows) {
      for (const [key, size, , whole = size] of JSON.parse(parts) as SpelledPart[]) {
        if (known.has(key)) continue;
        known.add(key);
        yield { key, size: whole, sha256: readHash(key) };
      }
    }
    const last = rows.at(-1);
    if (!last || rows.length < PAGE_ROWS) return;
    after = [last.suite, last.path, last.sha256];
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
