/**
 * Migration 7: indexes as lists of immutable segments, which publications share; the place of a
 * package within the publication that added it, so that the order in an index follows from the
 * catalog alone.
 * Source of truth: the port's dialect (sql.ts). Never changed once released. Floor 2.
 */
import type { SqlExecutor } from '../sql.ts';

/** What `publication.files` held until this migration; key null where .gz is uncompressed. */
interface OldFile {
  path: string;
  size: number;
  sha256: string;
  key: string | null;
}

/** The index files of a publication as rows, and `files` without their keys. */
async function convertPublication(
  sql: SqlExecutor,
  row: { suite: string; number: number; date: string; files: string },
): Promise<void> {
  const { suite, number, date } = row;
  const files = JSON.parse(row.files) as OldFile[];
  for (const { path, size, sha256, key } of files) {
    const source = files.find((file) => file.path === `${path}.gz`)?.sha256 ?? null;
    await sql.run(
      `INSERT INTO index_file (suite, path, sha256, size, hashes, parts, inflated_from, made_at)
       VALUES ($1, $2, $3, $4, '{}', $5, $6, $7) ON CONFLICT (suite, path, sha256) DO NOTHING`,
      ...[suite, path, sha256, size],
      ...[key === null ? null : JSON.stringify([[key, size]]), key === null ? source : null, date],
    );
  }
  const modified = Date.parse(date);
  const kept = files.map(({ path, size, sha256 }) => ({ path, size, sha256, modified }));
  await sql.run(
    'UPDATE publication SET files = $3 WHERE suite = $1 AND number = $2',
    ...[suite, number, JSON.stringify(kept)],
  );
}

async function convertPublications(sql: SqlExecutor): Promise<void> {
  const all = await sql.all<{ suite: string; number: number }>(
    'SELECT suite, number FROM publication ORDER BY suite, number',
  );
  for (const { suite, number } of all) {
    const row = await sql.get<{ suite: string; number: number; date: string; files: string }>(
      'SELECT suite, number, date, files FROM publication WHERE suite = $1 AND number = $2',
      ...[suite, number],
    );
    if (row) await convertPublication(sql, row);
  }
}

/** Those that came in together get places of their own; most came alone and have the first. */
async function numberListings(sql: SqlExecutor): Promise<void> {
  const all = await sql.all<{
    suite: string;
    component: string;
    package_id: string;
    added_in: number;
  }>(
    `SELECT suite, component, package_id, added_in FROM listing
     ORDER BY suite, added_in, component, package_id`,
  );
  let place = '';
  let ordinal = 0;
  for (const { suite, component, package_id, added_in } of all) {
    ordinal = place === `${suite} ${added_in}` ? ordinal + 1 : 0;
    place = `${suite} ${added_in}`;
    if (ordinal === 0) continue;
    await sql.run(
      `UPDATE listing SET ordinal = $5
       WHERE suite = $1 AND component = $2 AND package_id = $3 AND added_in = $4`,
      ...[suite, component, package_id, added_in, ordinal],
    );
  }
}

export const SEGMENT_STEPS: readonly (string | ((sql: SqlExecutor) => Promise<void>))[] = [
  // The place among all that one publication added: with added_in the order in an index.
  'alter table listing add column ordinal bigint not null default 0',
  numberListings,
  'drop index listing_current',
  `create index listing_current on listing (suite, component, added_in, ordinal)
     where removed_in is null`,

  // key: of the storage; path: of the plain index that has it, because two that have equal bytes
  // may have them in other places. members: JSON (repository/segments.ts), the pieces in it.
  `create table segment (
    key text not null,
    path text not null,
    raw_size bigint not null,
    size bigint not null,
    members text not null,
    primary key (key, path)
  )`,

  // A file that Release lists, shared by every publication that has it unchanged.
  // parts: JSON [[key, size], ...], whose bytes one after another are the file; null where it is
  // not stored but uncompressed from path.gz, whose sha256 inflated_from is then.
  // hashes: JSON {"SHA512": hex, ...}, those besides SHA256. made_at: Date of its first publication.
  `create table index_file (
    suite text not null references suite (name),
    path text not null,
    sha256 text not null,
    size bigint not null,
    hashes text not null,
    parts text,
    inflated_from text,
    made_at text not null,
    primary key (suite, path, sha256)
  )`,
  'create index index_file_sha256 on index_file (suite, sha256)',

  // By the other hashes that a suite asks for.
  `create table index_file_hash (
    suite text not null,
    algorithm text not null,
    hex text not null,
    path text not null,
    sha256 text not null,
    primary key (suite, algorithm, hex, path),
    foreign key (suite, path, sha256) references index_file (suite, path, sha256)
  )`,
  convertPublications,
];
