/** Rows of one table written by few statements: most of the time of each is the way to it. Floor 2. */
import type { SqlExecutor, SqlValue } from './sql.ts';

/** Times the columns, far below what a statement may have of parameters (SQLite 32,766). */
const ROWS_AT_ONCE = 50;

/** `table` and `columns` are our own words, never a caller's. */
export async function insertRows<Column extends string>(
  sql: SqlExecutor,
  table: string,
  columns: readonly Column[],
  rows: readonly Readonly<Record<Column, SqlValue>>[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const some = rows.slice(from, from + ROWS_AT_ONCE);
    const values: SqlValue[] = [];
    const places = some.map((row) => {
      const own = columns.map((column) => `$${values.push(row[column])}`);
      return `(${own.join(', ')})`;
    });
    const text = `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${places.join(', ')}`;
    await sql.run(text, ...values);
  }
}
