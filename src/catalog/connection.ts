/**
 * One connection to an SQLite file: parameters, prepared statements, and errors in our own words.
 * The only file that imports node:sqlite. Source of truth: https://sqlite.org/rescode.html and
 * lang_expr.html#varparam: SQLite would take $1 as a named parameter, but binding by name takes ten
 * times as long as by place, so that each becomes a `?`. Floor 2.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { RefusalError } from '../errors.ts';
import type { SqlValue } from './sql.ts';
import { changesRows, checkValues, readStatement } from './statement.ts';

const MAX_PREPARED_STATEMENTS = 256;

/** Primary result codes, and the extended one of a write that the system refused. */
export const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
/** SQLite knows ENOSPC as FULL, but EDQUOT and EFBIG only as a failed write or a failed growth. */
const NO_ROOM_CODES = new Set([778 /* IOERR_WRITE */, 4874 /* IOERR_SHMSIZE */]);

export interface Connection {
  all(sql: string, values: readonly SqlValue[]): unknown[];
  get(sql: string, values: readonly SqlValue[]): unknown;
  /** The number of rows changed. */
  run(sql: string, values: readonly SqlValue[]): number;
  /** A statement of our own: BEGIN, PRAGMA. */
  execute(sql: string): void;
  readonly inTransaction: boolean;
  close(): void;
}

interface Prepared {
  statement: StatementSync;
  /** The n-th to be bound is $parameters[n]. */
  parameters: readonly number[];
  count: number;
  changes: boolean;
}

/** node:sqlite, without the warning by which Node 24 calls it experimental. */
function loadDriver(): typeof import('node:sqlite') {
  const emitWarning = process.emitWarning;
  process.emitWarning = () => {};
  try {
    // Synchronous, unlike import(), so that nobody else's warning falls into the gap.
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

/**
 * Open the SQLite file at `path`, made where it is missing unless `readOnly`.
 * @param busyTimeoutMs how long a statement may wait, blocking, for another process.
 * @throws Error that names the file where it cannot be opened.
 */
export function openConnection(
  path: string,
  options: { readOnly: boolean; busyTimeoutMs: number },
): Connection {
  const driver = loadDriver();
  const database = guard(
    path,
    () =>
      new driver.DatabaseSync(path, {
        readOnly: options.readOnly,
        timeout: options.busyTimeoutMs,
        enableForeignKeyConstraints: true,
      }),
  );
  return wrapDatabase(path, database);
}

/** More pages than any catalog has: copied in one step, another process's write restarts nothing. */
const ALL_PAGES = 0x7fffffff;

/**
 * Copy the database at `path` as it is at one moment, while others read and write it; off the main
 * thread. The copy at `target` is one file, without a journal beside it.
 */
export async function copyDatabase(path: string, target: string): Promise<void> {
  const driver = loadDriver();
  const source = guard(path, () => new driver.DatabaseSync(path, { readOnly: true }));
  try {
    await driver.backup(source, target, { rate: ALL_PAGES });
  } catch (error) {
    throw translateError(target, error);
  } finally {
    source.close();
  }
  const copy = guard(target, () => new driver.DatabaseSync(target));
  try {
    guard(target, () => copy.exec('pragma journal_mode = delete'));
  } finally {
    copy.close();
  }
}

function wrapDatabase(path: string, database: DatabaseSync): Connection {
  const statements = new Map<string, Prepared>();

  const prepare = (sql: string, values: readonly SqlValue[]): Prepared => {
    let prepared = statements.get(sql);
    if (prepared === undefined) {
      const { text, numbers: parameters, count } = readStatement(sql);
      const statement = database.prepare(text);
      prepared = { statement, parameters, count, changes: changesRows(sql) };
      const [oldest] = statements.keys();
      if (statements.size >= MAX_PREPARED_STATEMENTS && oldest !== undefined) {
        statements.delete(oldest);
      }
    } else {
      statements.delete(sql);
    }
    statements.set(sql, prepared);
    checkValues(sql, prepared.count, values);
    return prepared;
  };

  return {
    all: (sql, values) =>
      guard(path, () => {
        const { statement, parameters } = prepare(sql, values);
        return statement.all(...orderValues(parameters, values));
      }),
    get: (sql, values) =>
      guard(path, () => {
        const { statement, parameters } = prepare(sql, values);
        return statement.get(...orderValues(parameters, values));
      }),
    run: (sql, values) =>
      guard(path, () => {
        const { statement, parameters, changes } = prepare(sql, values);
        const result = statement.run(...orderValues(parameters, values));
        return changes ? Number(result.changes) : 0;
      }),
    execute: (sql) => guard(path, () => database.exec(sql)),
    get inTransaction() {
      return database.isTransaction;
    },
    close: () => {
      statements.clear();
      database.close();
    },
  };
}

/** As int64, not as a double: 5 in a text column is "5", and 7 / 2 is 3, as in PostgreSQL. */
function orderValues(
  parameters: readonly number[],
  values: readonly SqlValue[],
): (SqlValue | bigint)[] {
  return parameters.map((number) => {
    const value = values[number - 1] ?? null;
    return typeof value === 'number' ? BigInt(value) : value;
  });
}

/** SQLite's primary result code of an error, or 0 where it is none of SQLite's. */
export function resultCode(error: unknown): number {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

function guard<Result>(path: string, step: () => Result): Result {
  try {
    return step();
  } catch (error) {
    throw translateError(path, error);
  }
}

function translateError(path: string, error: unknown): unknown {
  const reason = error instanceof Error ? error.message : String(error);
  const code = resultCode(error);
  if (code === SQLITE_FULL || NO_ROOM_CODES.has((error as { errcode?: number })?.errcode ?? 0)) {
    const refusal = new RefusalError(
      'SPACE_EXHAUSTED',
      `the catalog could not grow: no room left on its disk, in its quota or under its file-size limit (${reason})`,
    );
    refusal.cause = error;
    return refusal;
  }
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return new Error(`${path} is damaged or no SQLite database: ${reason}`, { cause: error });
  }
  if (code === SQLITE_CANTOPEN) {
    return new Error(`${path} cannot be opened: ${reason}`, { cause: error });
  }
  return error;
}
