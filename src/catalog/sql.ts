/**
 * PORT: facts, at the level of a database driver. One dialect that SQLite and PostgreSQL both
 * speak: $1 parameters, RETURNING, ON CONFLICT, ISO-8601 UTC text times, 0/1 integers for
 * booleans, JSON as text. Defined by test/conformance/catalog.ts, which every adapter runs. Floor 2.
 */

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = Record<string, SqlValue>;

/** What a statement can be run on: the catalog itself, or a transaction of it. */
export interface SqlExecutor {
  /** Every row of the answer. Outside a transaction it only reads. */
  all<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]): Promise<Row[]>;
  /** The first row, or undefined. Outside a transaction it only reads. */
  get<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]): Promise<Row | undefined>;
  /** Runs a statement for its effect; resolves with the number of rows it changed. */
  run(sql: string, ...values: SqlValue[]): Promise<number>;
}

export interface Catalog extends SqlExecutor {
  /**
   * Runs `work` in one transaction, durable when it resolves; undone whole when `work` throws.
   * Holds only the statements given to the executor passed in: never another caller's. One that
   * fails undoes all of it, also when `work` catches the error.
   * @throws Error inside another transaction of this catalog, for which it would wait for ever.
   */
  transaction<Result>(work: (sql: SqlExecutor) => Promise<Result>): Promise<Result>;
  /**
   * Runs `work` while nobody else, on any node, holds the same name; first come, first served.
   * @throws Error inside a lock of the same name.
   */
  lock<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** Waits for what is under way; whatever is asked for from then on is refused. */
  close(): Promise<void>;
}
