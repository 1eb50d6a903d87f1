/** The catalog in SQLite: the port's suite, and what only a file can get wrong. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { killAfterLines, runLimited } from '../children.ts';
import { describeCatalog } from '../conformance/catalog.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aptkeep-catalog-'));
  path = join(directory, 'catalog.sqlite');
});
afterEach(() => rmSync(directory, { recursive: true }));

describeCatalog('sqlite', async () => {
  const catalog = await openSqlite(path);
  return { catalog, close: () => catalog.close() };
});

describe('file', () => {
  it('is for its owner alone, with the files beside it', async () => {
    const catalog = await openSqlite(path);
    await catalog.run('create table t (a text)');
    const names = readdirSync(directory).sort();
    expect(names).toEqual(['catalog.sqlite', 'catalog.sqlite-shm', 'catalog.sqlite-wal']);
    for (const name of names) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    await catalog.close();
    expect(readdirSync(directory)).toEqual(['catalog.sqlite']);
  });

  it('writes ahead and syncs at every commit', async () => {
    const catalog = await openSqlite(path);
    const pragma = async (name: string): Promise<unknown> =>
      catalog.transaction((sql) => sql.get(`pragma ${name}`));
    expect(await pragma('journal_mode')).toEqual({ journal_mode: 'wal' });
    // https://sqlite.org/pragma.html#pragma_synchronous: FULL is 2.
    expect(await pragma('synchronous')).toEqual({ synchronous: 2 });
    expect(await pragma('foreign_keys')).toEqual({ foreign_keys: 1 });
    expect(await pragma('busy_timeout')).toEqual({ timeout: 5000 });
    await catalog.close();
  });

  it('keeps what was written when it is opened again', async () => {
    const first = await openSqlite(path);
    await first.run('create table t (a bigint, b text)');
    await first.run('insert into t (a, b) values ($1, $2)', 5, '5');
    await first.close();
    const second = await openSqlite(path);
    const sql = 'select a, b, typeof(a) as of_a, typeof(b) as of_b from t';
    expect(await second.get(sql)).toEqual({ a: 5, b: '5', of_a: 'integer', of_b: 'text' });
    await second.close();
  });

  it.each([
    ['no database', 'not a database at all, but long enough to be looked at'.repeat(100)],
    ['a damaged header', `SQLite format 3\0${'\xff'.repeat(4096)}`],
  ])('names the file that is %s', async (_case, content) => {
    writeFileSync(path, content, 'latin1');
    const opening = openSqlite(path);
    await expect(opening).rejects.toThrow(path);
    await expect(opening).rejects.toThrow('damaged or no SQLite database');
    expect(readFileSync(path, 'latin1')).toBe(content);
  });

  it('names the file whose pages are damaged', async () => {
    const first = await openSqlite(path);
    await first.run('create table t (a text)');
    await first.transaction(async (sql) => {
      for (let i = 0; i < 500; i += 1) await sql.run('insert into t values ($1)', 'x'.repeat(100));
    });
    await first.close();
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xff, 4096, bytes.length));
    const second = await openSqlite(path);
    await expect(second.all('select * from t')).rejects.toThrow(`${path} is damaged`);
    await second.close();
  });

  it('names the file that cannot be opened', async () => {
    await expect(openSqlite(join(directory, 'absent/catalog.sqlite'))).rejects.toThrow('absent');
    await expect(openSqlite(directory)).rejects.toThrow(directory);
  });

  it('never hands out an integer that it would have to round', async () => {
    const catalog = await openSqlite(path);
    await expect(catalog.get('select 9007199254740993 as big')).rejects.toThrow('9007199254740993');
    await catalog.close();
  });

  it('forgets prepared statements beyond a number', async () => {
    const catalog = await openSqlite(path);
    for (let i = 0; i < 1_000; i += 1) {
      expect(await catalog.get(`select ${i} as n`)).toEqual({ n: i });
    }
    await catalog.close();
  });

  it('loads without a warning', () => {
    const script = `await import(${JSON.stringify(new URL('../../src/catalog/sqlite.ts', import.meta.url))})
      .then(({ openSqlite }) => openSqlite(process.argv[1])).then((catalog) => catalog.close());
      process.emitWarning('still heard')`;
    const options = ['--input-type=module', '-e', `${script}`, path];
    const output = execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', process.execPath, ...options]);
    expect(output.toString()).not.toMatch(/experimental/i);
    expect(output.toString()).toContain('still heard');
  });
});

describe('crash', () => {
  it('keeps every acknowledged transaction, and each whole, when killed in the next', async () => {
    for (const lines of [1, 40, 150]) {
      const acknowledged = await killAfterLines('catalog/commit-for-ever.ts', [path], lines);
      const catalog = await openSqlite(path);
      expect(await catalog.all('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
      const left = await catalog.get<{ last: number; count: number }>(
        'select max(n) as last, count(*) as count from a',
      );
      expect(await catalog.get('select max(n) as last, count(*) as count from b')).toEqual(left);
      expect(left?.last).toBe(left?.count);
      expect(left?.last).toBeGreaterThanOrEqual(Number(acknowledged.at(-1)));
      await catalog.close();
    }
  });

  it('refuses what has no room, and keeps what was acknowledged', async () => {
    const outcome = await runLimited('catalog/insert-too-much.ts', [path], 1024);
    expect(outcome).toMatchObject({ code: 'SPACE_EXHAUSTED' });
    const { acknowledged, seen, afterwards } = outcome as Record<string, number>;
    expect(acknowledged).toBeGreaterThan(1);
    expect(seen).toBe(acknowledged);
    expect(afterwards).toBe(0);
    const catalog = await openSqlite(path);
    expect(await catalog.all('pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    expect(await catalog.get('select count(*) as count from t')).toEqual({ count: 0 });
    await catalog.close();
  });
});
