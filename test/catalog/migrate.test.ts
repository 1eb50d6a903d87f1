/** Migrations: each applied once and whole, in order; and the schema that they come to. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyMigrations, migrate } from '../../src/catalog/migrate.ts';
import { FIRST_STATEMENTS } from '../../src/catalog/migrations/0001-first.ts';
import type { Catalog, SqlExecutor } from '../../src/catalog/sql.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';

const NOW = new Date('2026-11-23T09:00:00.000Z');
const LATER = new Date('2027-01-01T00:00:00.000Z');
/** How many steps lead to the schema of today. */
const STEPS = readdirSync(new URL('../../src/catalog/migrations', import.meta.url)).length;

describe('migrate', () => {
  let directory: string;
  let catalog: Catalog;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'aptkeep-migrate-'));
    catalog = await openSqlite(join(directory, 'catalog.sqlite'));
  });
  afterEach(async () => {
    await catalog.close();
    rmSync(directory, { recursive: true });
  });
  const applied = (): Promise<unknown> => catalog.all('select * from migration order by number');

  it('makes the schema once, and again changes nothing', async () => {
    await migrate(catalog, NOW);
    const schema = await catalog.all('select * from sqlite_schema order by name');
    await migrate(catalog, LATER);
    const once = Array.from({ length: STEPS }, (_, index) => ({
      number: index + 1,
      applied_at: NOW.toISOString(),
    }));
    expect(await applied()).toEqual(once);
    expect(await catalog.all('select * from sqlite_schema order by name')).toEqual(schema);
  });

  it('makes it once also when two begin together', async () => {
    await Promise.all([migrate(catalog, NOW), migrate(catalog, NOW)]);
    expect(await applied()).toHaveLength(STEPS);
  });

  it('makes every table that was asked for', async () => {
    await migrate(catalog, NOW);
    const tables = await catalog.all<{ name: string }>(
      "select name from sqlite_schema where type = 'table' order by name",
    );
    expect(tables.map(({ name }) => name)).toEqual(
      ['audit', 'certificate', 'counter', 'crl', 'host', 'host_group', 'host_package'].concat([
        'index_file',
        'index_file_hash',
        'listing',
        'migration',
        'package',
        'package_contents',
        'package_file',
        'publication',
        'segment',
        'setting',
        'signer_key',
        'suite',
      ]),
    );
  });

  it('puts the hosts of an older catalog into a group that may read everything', async () => {
    await applyMigrations(catalog, [FIRST_STATEMENTS], NOW);
    await catalog.run("insert into host values ('web', 'default', $1)", NOW.toISOString());
    await migrate(catalog, LATER);
    const created_at = NOW.toISOString();
    expect(
      await catalog.all(
        `select h.name, g.suites, g.created_at from host h
         join host_group g on g.name = h.group_name`,
      ),
    ).toEqual([{ name: 'web', suites: null, created_at }]);
  });

  it('finds the current contents of a suite by an index', async () => {
    await migrate(catalog, NOW);
    const plan = await catalog.all<{ detail: string }>(
      `explain query plan select package_id from listing
       where suite = $1 and component = $2 and removed_in is null
       order by added_in, ordinal`,
      'stable',
      'main',
    );
    expect(plan.map(({ detail }) => detail).join()).toContain('USING INDEX listing_current');
  });

  it('goes on from where it stood', async () => {
    const first = ['create table one (a text)', 'insert into one (a) values (1)'];
    const second = ['alter table one add column b text'];
    await applyMigrations(catalog, [first], NOW);
    await applyMigrations(catalog, [first, second], LATER);
    expect(await catalog.all('select * from one')).toEqual([{ a: '1', b: null }]);
    expect(await applied()).toEqual([
      { number: 1, applied_at: NOW.toISOString() },
      { number: 2, applied_at: LATER.toISOString() },
    ]);
  });

  it('runs what a statement cannot say in its place, in the same transaction', async () => {
    const copy = async (sql: SqlExecutor): Promise<void> => {
      for (const { a } of await sql.all<{ a: number }>('select a from one')) {
        await sql.run('insert into two (a) values ($1)', a + 1);
      }
    };
    const first = ['create table one (a bigint)', 'insert into one (a) values (1)'];
    const second = ['create table two (a bigint)', copy];
    const failing = async (): Promise<void> => {
      throw new Error('no more');
    };
    const broken = applyMigrations(catalog, [first, [...second, failing]], NOW);
    await expect(broken).rejects.toThrow('no more');
    await expect(catalog.all('select * from two')).rejects.toThrow('two');
    await applyMigrations(catalog, [first, second], LATER);
    expect(await catalog.all('select * from two')).toEqual([{ a: 2 }]);
  });

  it('undoes a migration that fails, whole, and keeps those before it', async () => {
    const failing = ['create table two (a text)', 'insert into absent values (1)'];
    const migrations = [['create table one (a text)'], failing];
    await expect(applyMigrations(catalog, migrations, NOW)).rejects.toThrow('absent');
    expect(await applied()).toHaveLength(1);
    await catalog.all('select * from one');
    await expect(catalog.all('select * from two')).rejects.toThrow('two');
  });

  it('refuses a catalog of a newer program, in one sentence', async () => {
    await applyMigrations(catalog, [['create table one (a text)'], []], NOW);
    const migrating = applyMigrations(catalog, [['create table one (a text)']], LATER);
    await expect(migrating).rejects.toThrow(
      /^the catalog was written by a newer aptkeep \(its schema is 2, this program knows 1\)/,
    );
    expect(await applied()).toHaveLength(2);
  });
});
