/** A child of sqlite.test.ts: writes two tables in step, prints what was acknowledged. */
import { writeSync } from 'node:fs';
import { openSqlite } from '../../src/catalog/sqlite.ts';

const catalog = await openSqlite(process.argv[2] ?? '');
await catalog.run('create table if not exists a (n bigint primary key not null)');
await catalog.run('create table if not exists b (n bigint primary key not null, bytes bytea)');
for (let count = 0; count < 100_000; count += 1) {
  const n = await catalog.transaction(async (sql) => {
    const last = await sql.get<{ n: number }>('select coalesce(max(n), 0) as n from a');
    const next = (last?.n ?? 0) + 1;
    await sql.run('insert into a (n) values ($1)', next);
    await sql.run('insert into b (n, bytes) values ($1, $2)', next, new Uint8Array(5_000));
    return next;
  });
  writeSync(1, `${n}\n`);
}
