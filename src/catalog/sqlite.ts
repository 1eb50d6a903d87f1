/**
 * The catalog in an SQLite file. One connection writes, and what it does is queued, so that no
 * statement lands inside another caller's transaction; a second, read-only connection answers
 * `all` and `get` outside transactions from the last committed state.
 * Source of truth: the port (sql.ts); https://sqlite.org/wal.html, pragma.html#pragma_synchronous
 * (WAL loses the last transactions on a power cut unless synchronous is FULL). Floor 2.
 */
import { open } from 'node:fs/promises';
import { createQueue, type Queue } from '../queue.ts';
import { type Connection, openConnection } from './connection.ts';
import { isInside, refuseInside, runInside } from './scope.ts';
import type { Catalog, SqlExecutor, SqlRow, SqlValue } from './sql.ts';

/** For a foreign process with the file open (a backup by sqlite3, say); blocks the event loop. */
const BUSY_TIMEOUT_MS = 5_000;
const FILE_MODE = 0o600;
/** LIKE as PostgreSQL has it. */
const CASE_SENSITIVE_LIKE = 'pragma case_sensitive_like = on';
const TRANSACTION = 'transaction';

/**
 * Open the catalog in the SQLite file at `path`, made where it is missing.
 * @throws Error that names the file where it is no database, damaged, or cannot be opened.
 */
export async function openSqlite(path: string): Promise<Catalog> {
  // SQLite gives the -wal and -shm files the mode of the file itself.
  await (await open(path, 'a', FILE_MODE)).close();
  const writer = openConnection(path, { readOnly: false, busyTimeoutMs: BUSY_TIMEOUT_MS });
  try {
    writer.execute('pragma journal_mode = wal');
    writer.execute('pragma synchronous = full');
    writer.execute(CASE_SENSITIVE_LIKE);
    const reader = openConnection(path, { readOnly: true, busyTimeoutMs: BUSY_TIMEOUT_MS });
    reader.execute(CASE_SENSITIVE_LIKE);
    return createCatalog(writer, reader);
  } catch (error) {
    writer.close();
    throw error;
  }
}

function createCatalog(writer: Connection, reader: Connection): Catalog {
  const owner = {};
  const writes = createQueue();
  const locks = new Map<string, Queue>();
  let closing: Promise<void> | undefined;
  let closed = false;

  /** New work from outside is refused once closing; what is under way may finish. */
  const admit = (): void => {
    if (closed || (closing !== undefined && !isInside(owner))) throw new Error('catalog is closed');
  };
  const admitWrite = (wanted: string): void => {
    admit();
    refuseInside(owner, TRANSACTION, wanted);
  };

  const drain = async (): Promise<void> => {
    while (writes.length > 0 || locks.size > 0) {
      await Promise.all([writes.drain(), ...[...locks.values()].map((queue) => queue.drain())]);
    }
    closed = true;
    reader.close();
    writer.close();
  };

  return {
    async all<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
      admit();
      return reader.all(sql, values) as Row[];
    },
    async get<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
      admit();
      return reader.get(sql, values) as Row | undefined;
    },
    async run(sql, ...values) {
      admitWrite('a statement that writes');
      return writes.add(async () => writer.run(sql, values));
    },
    async transaction(work) {
      admitWrite('a transaction');
      return writes.add(() => runTransaction(owner, writer, work));
    },
    async lock(name, work) {
      admit();
      const what = `lock "${name}"`;
      refuseInside(owner, what, what);
      const queue = locks.get(name) ?? createQueue();
      locks.set(name, queue);
      return queue
        .add(() => runInside(owner, what, work))
        .finally(() => {
          if (queue.length === 0 && locks.get(name) === queue) locks.delete(name);
        });
    },
    async close() {
      if (isInside(owner)) throw new Error('the catalog cannot be closed from inside its own work');
      closing ??= drain();
      return closing;
    },
  };
}

async function runTransaction<Result>(
  owner: object,
  writer: Connection,
  work: (sql: SqlExecutor) => Promise<Result>,
): Promise<Result> {
  writer.execute('begin immediate');
  const turn = createTurn(writer);
  try {
    const result = await runInside(owner, TRANSACTION, () => work(turn.executor)).finally(turn.end);
    turn.throwFailure();
    writer.execute('commit');
    return result;
  } catch (error) {
    // Some errors (a full disk) have rolled back already.
    if (writer.inTransaction) writer.execute('rollback');
    throw error;
  }
}

/** The use of the writer for one transaction. */
interface Turn {
  executor: SqlExecutor;
  /** After it the executor runs nothing more. */
  end(): void;
  /** @throws the first error of its statements, also when `work` caught it. */
  throwFailure(): void;
}

/**
 * After a statement that failed every other fails and nothing can be committed, as in PostgreSQL:
 * SQLite would go on, after some errors outside of any transaction.
 */
function createTurn(writer: Connection): Turn {
  let failure: { error: unknown } | undefined;
  let ended = false;
  const attempt = <Result>(step: () => Result): Result => {
    if (ended) throw new Error('the transaction of this statement is over');
    if (failure !== undefined) {
      throw new Error('a statement of this transaction failed before', { cause: failure.error });
    }
    try {
      return step();
    } catch (error) {
      failure = { error };
      throw error;
    }
  };
  return {
    executor: {
      async all<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
        return attempt(() => writer.all(sql, values)) as Row[];
      },
      async get<Row extends object = SqlRow>(sql: string, ...values: SqlValue[]) {
        return attempt(() => writer.get(sql, values)) as Row | undefined;
      },
      async run(sql, ...values) {
        return attempt(() => writer.run(sql, values));
      },
    },
    end: () => {
      ended = true;
    },
    throwFailure: () => {
      if (failure !== undefined) throw failure.error;
    },
  };
}
