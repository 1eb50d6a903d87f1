/** Questions about the files that Release lists, and about the segments they are made of. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/**
 * An object in the index at `path` of its suite. `members` is JSON: the compressed pieces in it
 * (repository/segments.ts).
 */
export interface SegmentRow {
  key: string;
  path: string;
  raw_size: number;
  size: number;
  members: string;
}

/**
 * `parts` is JSON, [[key, size], ...], or [key, size, offset, size of the object] where the bytes are
 * not all of it; null where the file is uncompressed from `path`.gz, whose
 * SHA256 `inflated_from` is then. `hashes` is JSON of those besides SHA256.
 */
export interface IndexFileRow {
  suite: string;
  path: string;
  sha256: string;
  size: number;
  hashes: string;
  parts: string | null;
  inflated_from: string | null;
  made_at: string;
}

export async function insertSegment(sql: SqlExecutor, row: SegmentRow): Promise<void> {
  await sql.run(
    `INSERT INTO segment (key, path, raw_size, size, members) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (key, path) DO UPDATE SET members = excluded.members`,
    ...[row.key, row.path, row.raw_size, row.size, row.members],
  );
}

export function findSegment(
  sql: SqlExecutor,
  key: string,
  path: string,
): Promise<SegmentRow | undefined> {
  return sql.get('SELECT * FROM segment WHERE key = $1 AND path = $2', key, path);
}

/** The newest publication says where the bytes are: its objects are kept the longest. */
export async function insertIndexFile(sql: SqlExecutor, row: IndexFileRow): Promise<void> {
  await sql.run(
    `INSERT INTO index_file (suite, path, sha256, size, hashes, parts, inflated_from, made_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (suite, path, sha256) DO UPDATE
     SET hashes = excluded.hashes, parts = excluded.parts, inflated_from = excluded.inflated_from`,
    ...[row.suite, row.path, row.sha256, row.size, row.hashes, row.parts, row.inflated_from],
    row.made_at,
  );
  const hashes = Object.entries(JSON.parse(row.hashes) as Record<string, string>);
  for (const [algorithm, hex] of hashes) {
    await sql.run(
      `INSERT INTO index_file_hash (suite, algorithm, hex, path, sha256)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (suite, algorithm, hex, path) DO NOTHING`,
      ...[row.suite, algorithm, hex, row.path, row.sha256],
    );
  }
}

export function findIndexFile(
  sql: SqlExecutor,
  suite: string,
  path: string,
  sha256: string,
): Promise<IndexFileRow | undefined> {
  return sql.get(
    'SELECT * FROM index_file WHERE suite = $1 AND path = $2 AND sha256 = $3',
    ...[suite, path, sha256],
  );
}

/** Every file of a suite that is written down. */
export function listIndexFiles(
  sql: SqlExecutor,
  suite: string,
): Promise<{ path: string; sha256: string }[]> {
  return sql.all('SELECT path, sha256 FROM index_file WHERE suite = $1', suite);
}

/** Of every segment whose key begins with a prefix that ends in a slash. */
export async function listSegmentKeys(sql: SqlExecutor, prefix: string): Promise<string[]> {
  // What follows the slash in ASCII ends the range.
  const end = prefix.replace(/\/$/, '0');
  const rows = await sql.all<{ key: string }>(
    'SELECT key FROM segment WHERE key >= $1 AND key < $2',
    prefix,
    end,
  );
  return [...new Set(rows.map((row) => row.key))];
}

/** What nothing refers to any more; its bytes are the caller's to remove. */
export async function deleteIndexFile(
  sql: SqlExecutor,
  suite: string,
  { path, sha256 }: { path: string; sha256: string },
): Promise<void> {
  await sql.run(
    'DELETE FROM index_file_hash WHERE suite = $1 AND path = $2 AND sha256 = $3',
    ...[suite, path, sha256],
  );
  await sql.run(
    'DELETE FROM index_file WHERE suite = $1 AND path = $2 AND sha256 = $3',
    ...[suite, path, sha256],
  );
}

export async function deleteSegment(sql: SqlExecutor, key: string): Promise<void> {
  await sql.run('DELETE FROM segment WHERE key = $1', key);
}

/** Every file of a suite with this hash, of whatever publication; `algorithm` as in Release. */
export function findIndexFilesByHash(
  sql: SqlExecutor,
  suite: string,
  algorithm: string,
  hex: string,
): Promise<IndexFileRow[]> {
  if (algorithm === 'SHA256') {
    return sql.all('SELECT * FROM index_file WHERE suite = $1 AND sha256 = $2', suite, hex);
  }
  return sql.all(
    `SELECT f.* FROM index_file_hash h JOIN index_file f
       ON f.suite = h.suite AND f.path = h.path AND f.sha256 = h.sha256
     WHERE h.suite = $1 AND h.algorithm = $2 AND h.hex = $3`,
    ...[suite, algorithm, hex],
  );
}
