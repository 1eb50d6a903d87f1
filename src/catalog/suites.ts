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
  /** The next publication's number lies beyond it. */
  number_floor: number;
  /** The next publication's Date lies beyond it; '' for none. */
  date_floor: string;
}

export type NewSuiteRow = Omit<SuiteRow, 'number_floor' | 'date_floor'>;

export function listSuites(sql: SqlExecutor): Promise<SuiteRow[]> {
  return sql.all('SELECT * FROM suite ORDER BY name');
}

export function findSuite(sql: SqlExecutor, name: string): Promise<SuiteRow | undefined> {
  return sql.get('SELECT * FROM suite WHERE name = $1', name);
}

/** Resolves with false where the name is taken. */
export async function insertSuite(sql: SqlExecutor, row: NewSuiteRow): Promise<boolean> {
  const changed = await sql.run(
    `INSERT INTO suite (name, codename, origin, label, description, components, architectures,
       valid_for_ms, publication, created_at, options)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (name) DO NOTHING`,
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

/** Lets the next publication lie beyond a number and a Date (ISO 8601); floors only rise. */
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
