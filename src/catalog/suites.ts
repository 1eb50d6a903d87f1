/** Questions about suites. Floor 2. */
import type { SqlExecutor } from './sql.ts';

/** `components` and `architectures` are JSON arrays; `publication` is 0 before the first one. */
export interface SuiteRow {
  name: string;
  codename: string;
  origin: string;
  label: string;
  description: string;
  components: string;
  architectures: string;
  valid_for_ms: number;
  publication: number;
  created_at: string;
  /** JSON: what differs from the defaults. */
  options: string;
}

export function listSuites(sql: SqlExecutor): Promise<SuiteRow[]> {
  return sql.all('SELECT * FROM suite WHERE removed_at IS NULL ORDER BY name');
}

export function findSuite(sql: SqlExecutor, name: string): Promise<SuiteRow | undefined> {
  return sql.get('SELECT * FROM suite WHERE name = $1 AND removed_at IS NULL', name);
}

/**
 * Resolves with false where the name is taken. A suite of the name that was removed goes on with its
 * numbers.
 */
export async function insertSuite(sql: SqlExecutor, row: SuiteRow): Promise<boolean> {
  const changed = await sql.run(
    `INSERT INTO suite (name, codename, origin, label, description, components, architectures,
       valid_for_ms, publication, created_at, options)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (name) DO UPDATE SET codename = excluded.codename, origin = excluded.origin,
       label = excluded.label, description = excluded.description,
       components = excluded.components, architectures = excluded.architectures,
       valid_for_ms = excluded.valid_for_ms, created_at = excluded.created_at,
       options = excluded.options, removed_at = NULL
     WHERE suite.removed_at IS NOT NULL`,
    row.name,
    row.codename,
    row.origin,
    row.label,
    row.description,
    row.components,
    row.architectures,
    row.valid_for_ms,
    row.publication,
    row.created_at,
    row.options,
  );
  return changed > 0;
}

export async function pointSuite(
  sql: SqlExecutor,
  name: string,
  publication: number,
): Promise<void> {
  await sql.run('UPDATE suite SET publication = $2 WHERE name = $1', name, publication);
}

/** Everything but its name, its number and when it was made. */
export async function updateSuite(
  sql: SqlExecutor,
  row: Omit<SuiteRow, 'publication' | 'created_at'>,
): Promise<void> {
  await sql.run(
    `UPDATE suite SET codename = $2, origin = $3, label = $4, description = $5, components = $6,
       architectures = $7, valid_for_ms = $8, options = $9 WHERE name = $1`,
    row.name,
    row.codename,
    row.origin,
    row.label,
    row.description,
    row.components,
    row.architectures,
    row.valid_for_ms,
    row.options,
  );
}

/** What it lists ends with it; its publications stay, until they are swept as any suite's past is. */
export async function markSuiteRemoved(sql: SqlExecutor, name: string, at: string): Promise<void> {
  await sql.run(
    `UPDATE listing SET removed_in = (SELECT publication + 1 FROM suite WHERE name = $1)
     WHERE suite = $1 AND removed_in IS NULL`,
    name,
  );
  await sql.run('UPDATE suite SET removed_at = $2 WHERE name = $1', name, at);
}

/**
 * What the next publication of a suite lies beyond, besides the one before it: a number, and a Date
 * in ISO 8601, '' for none.
 */
export async function findFloors(
  sql: SqlExecutor,
  name: string,
): Promise<{ number: number; date: string }> {
  const row = await sql.get<{ number_floor: number; date_floor: string }>(
    'SELECT number_floor, date_floor FROM suite WHERE name = $1',
    name,
  );
  return { number: row?.number_floor ?? 0, date: row?.date_floor ?? '' };
}

/** Floors only rise. */
export async function raiseFloors(
  sql: SqlExecutor,
  name: string,
  floors: { number: number; date: string },
): Promise<void> {
  await sql.run(
    `UPDATE suite SET number_floor = CASE WHEN number_floor < $2 THEN $2 ELSE number_floor END,
       date_floor = CASE WHEN date_floor < $3 THEN $3 ELSE date_floor END
     WHERE name = $1`,
    name,
    floors.number,
    floors.date,
  );
}
