/** A child of sqlite.test.ts, under a file-size limit: fills the catalog, then makes room again. */
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { RefusalError } from '../../src/errors.ts';

const catalog = await openSqlite(process.argv[2] ?? '');
await catalog.run('create table t (n bigint, bytes bytea)');
const count = async (): Promise<number | undefined> =>
  (await catalog.get<{ count: number }>('select count(*) as count from t'))?.count;

let acknowledged = 0;
let failure: unknown;
while (failure === undefined && acknowledged < 1_000) {
  await catalog
    .transaction(async (sql) => {
      for (let i = 0; i < 4; i += 1) {
        await sql.run('insert into t values ($1, $2)', i, new Uint8Array(20_000));
      }
    })
    .then(
      () => {
        acknowledged += 4;
      },
      (error: unknown) => {
        failure = error;
      },
    );
}
const seen = await count();
await catalog.run('delete from t');
const afterwards = await count();
await catalog.close();
const code = failure instanceof RefusalError ? failure.code : String(failure);
process.stdout.write(JSON.stringify({ code, acknowledged, seen, afterwards }));
