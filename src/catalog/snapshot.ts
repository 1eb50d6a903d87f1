/**
 * The catalog of one moment, in a file of its own: what a backup takes with it and goes by. Floor 2.
 */
import { rm } from 'node:fs/promises';
import { copyDatabase, openConnection } from './connection.ts';
import type { SqlExecutor, SqlRow, SqlValue } from './sql.ts';

/** A catalog in a file that nobody writes to; `run` is refused. */
export interface Snapshot extends SqlExecutor {
  close(): void;
}

/** Write the catalog at `path`, as it is at one moment, to `target`. */
export async function writeSnapshot(path: string, target: string): Promise<void> {
  try {
    await copyDatabase(path, target);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
}

/** @throws Error that names the file where it is no database. */
export function openSnapshot(path: string): Snapshot {
  const connection = openConnection(path, { readOnly: true, busyTimeoutMs: 0 });
  return {
    async all<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
      return connection.all(sql, values) as Row[];
    },
    async get<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
      return connection.get(sql, values) as Row | undefined;
    },
    run: () => Promise.reject(new Error('a snapshot is only read')),
    close: () => connection.close(),
  };
}
