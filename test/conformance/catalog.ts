/**
 * The definition of the catalog port: every adapter runs this suite and passes it whole. The
 * statements are in the one dialect, the expected answers are SQL's own.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Catalog, SqlValue } from '../../src/catalog/sql.ts';

/** A catalog without tables. */
export interface OpenCatalog {
  catalog: Catalog;
  close(): Promise<void>;
}

const INSERT = 'insert into thing (name, value, bytes) values ($1, $2, $3)';

export function describeCatalog(name: string, open: () => Promise<OpenCatalog>): void {
  describe(`catalog port: ${name}`, () => {
    let opened: OpenCatalog;
    let catalog: Catalog;
    beforeEach(async () => {
      opened = await open();
      catalog = opened.catalog;
      await catalog.run(
        'create table thing (name text primary key not null, value bigint, bytes bytea)',
      );
    });
    afterEach(() => opened.close());

    const names = async (): Promise<string[]> =>
      (await catalog.all<{ name: string }>('select name from thing order by name')).map(
        (row) => row.name,
      );
    const value = async (key: string): Promise<number | undefined> =>
      (await catalog.get<{ value: number }>('select value from thing where name = $1', key))?.value;

    describe('statements', () => {
      it('answers with rows, one row, or none', async () => {
        expect(await catalog.all('select * from thing')).toEqual([]);
        expect(await catalog.get('select * from thing')).toBeUndefined();
        await catalog.run(INSERT, 'a', 1, null);
        await catalog.run(INSERT, 'b', null, null);
        expect(await catalog.all('select * from thing order by name')).toEqual([
          { name: 'a', value: 1, bytes: null },
          { name: 'b', value: null, bytes: null },
        ]);
        expect(await catalog.get('select name from thing order by name')).toEqual({ name: 'a' });
      });

      it('counts the rows it changed', async () => {
        expect(await catalog.run(INSERT, 'a', 1, null)).toBe(1);
        expect(await catalog.run(INSERT, 'b', 1, null)).toBe(1);
        expect(await catalog.run('update thing set value = 2')).toBe(2);
        expect(await catalog.run('create table other (a text)')).toBe(0);
        expect(await catalog.run("update thing set value = 2 where name = 'c'")).toBe(0);
        expect(await catalog.run('  -- gone\n delete from thing where value = $1', 2)).toBe(2);
        expect(await catalog.run('drop table other')).toBe(0);
      });

      it('binds a parameter used twice, and in any order', async () => {
        await catalog.run('insert into thing (name, value) values ($2, $1)', 7, 'a');
        const sql = 'select name from thing where value = $1 or value + $2 = $1 + $2';
        expect(await catalog.get(sql, 7, 100)).toEqual({ name: 'a' });
      });

      it('leaves literals, quoted names and comments alone', async () => {
        await catalog.run(
          `insert into thing (name, "value") values ('$1; it''s $3', $1) /* ; $9 */ -- ; $8`,
          1,
        );
        expect(await names()).toEqual(["$1; it's $3"]);
        expect(await catalog.all('select name from thing; -- one statement')).toHaveLength(1);
      });

      it.each([
        ['two statements', 'select 1; delete from thing', []],
        ['two statements, the second commented', 'select 1; /* x */ delete from thing', []],
        ['two statements, the second quoted', `select 1; 'x'`, []],
        ['a value too few', 'select * from thing where name = $1 and value = $2', ['a']],
        ['a value too many', 'select * from thing where name = $1', ['a', 'b']],
        ['a parameter left out', 'select * from thing where name = $2', ['a', 'b']],
        ['no table', 'select * from absent', []],
        ['no SQL', 'selekt', []],
      ])('refuses %s', async (_case, sql, values) => {
        await catalog.run(INSERT, 'a', 1, null);
        await expect(catalog.all(sql, ...values)).rejects.toThrow();
        await expect(catalog.get(sql, ...values)).rejects.toThrow();
        await expect(catalog.run(sql, ...values)).rejects.toThrow();
        expect(await names()).toEqual(['a']);
      });

      it('only reads outside a transaction, except by run', async () => {
        const sql = 'insert into thing (name) values ($1) returning name';
        await expect(catalog.all(sql, 'a')).rejects.toThrow();
        await expect(catalog.get(sql, 'a')).rejects.toThrow();
        expect(await names()).toEqual([]);
      });
    });

    describe('values', () => {
      it.each<[string, SqlValue]>([
        ['zero', 0],
        ['a negative', -5],
        ['more than 32 bits', 2 ** 40],
        ['the largest safe integer', Number.MAX_SAFE_INTEGER],
        ['the smallest safe integer', Number.MIN_SAFE_INTEGER],
      ])('keeps %s', async (_case, number) => {
        await catalog.run(INSERT, 'a', number, null);
        expect(await value('a')).toBe(number);
      });

      it('writes a number into text as its digits', async () => {
        await catalog.run(INSERT, 5, null, null);
        expect(await names()).toEqual(['5']);
      });

      it('counts and sums integers as numbers', async () => {
        await catalog.run(INSERT, 'a', 2, null);
        await catalog.run(INSERT, 'b', 5, null);
        const sql =
          'select count(*) as count, max(value) as max, max(value) / 2 as half from thing';
        expect(await catalog.get(sql)).toEqual({ count: 2, max: 5, half: 2 });
      });

      it.each([
        ['empty', ''],
        ['quotes', `'"\`\\`],
        ['many lines', 'a\r\n\tb\n'],
        ['beyond the first plane', 'naïve 日本 🦊 \u{10ffff}'],
        ['digits', '007'],
        ['a megabyte', 'é'.repeat(500_000)],
      ])('keeps text: %s', async (_case, text) => {
        await catalog.run(INSERT, text, null, null);
        expect(await names()).toEqual([text]);
      });

      it.each([
        ['empty', new Uint8Array()],
        ['NULs', Uint8Array.of(0, 1, 0, 0)],
        ['every byte', Uint8Array.from({ length: 256 }, (_, i) => i)],
        ['what looks like text', Uint8Array.from(Buffer.from('42'))],
        ['a view', Uint8Array.of(1, 2, 3, 4).subarray(1, 3)],
        ['a Buffer', Buffer.from('buffer')],
        ['a megabyte', new Uint8Array(1_000_000).fill(0xff)],
      ])('keeps bytes: %s', async (_case, bytes) => {
        await catalog.run(INSERT, 'a', null, bytes);
        const row = await catalog.get<{ bytes: Uint8Array }>('select bytes from thing');
        expect(row?.bytes).toBeInstanceOf(Uint8Array);
        expect(Buffer.compare(row?.bytes ?? Buffer.from('none'), bytes)).toBe(0);
      });

      it.each<[string, unknown, string]>([
        ['undefined', undefined, '$2 is undefined'],
        ['a boolean', true, '$2 is a boolean'],
        ['a fraction', 1.5, '$2 is 1.5'],
        ['an unsafe integer', 2 ** 53, 'not a safe integer'],
        ['NaN', Number.NaN, 'not a safe integer'],
        ['infinity', Number.POSITIVE_INFINITY, 'not a safe integer'],
        ['a bigint', 1n, 'of type bigint'],
        ['a date', new Date(0), 'of type object'],
        ['an array', [1], 'of type object'],
        ['a text with a NUL', 'a\0b', 'with a NUL'],
        ['a lone surrogate', '\ud800', 'not well-formed'],
      ])('refuses %s', async (_case, wrong, message) => {
        const run = catalog.run(INSERT, 'a', wrong as SqlValue, null);
        await expect(run).rejects.toThrow(TypeError);
        await expect(run).rejects.toThrow(message);
        expect(await names()).toEqual([]);
      });
    });

    describe('dialect', () => {
      it('sorts and compares text by code point', async () => {
        for (const text of ['b', 'B', 'a', 'ä', '~', '日', '🦊', '']) {
          await catalog.run(INSERT, text, null, null);
        }
        expect(await names()).toEqual(['', 'B', 'a', 'b', '~', 'ä', '日', '🦊']);
        expect(await catalog.get('select name from thing where name = $1', 'A')).toBeUndefined();
        const like = await catalog.all("select name from thing where name like 'A%'");
        expect(like).toEqual([]);
      });

      it('returns what it wrote', async () => {
        const upsert = `insert into thing (name, value) values ($1, 1)
          on conflict (name) do update set value = thing.value + 1 returning value`;
        const numbers = await catalog.transaction(async (sql) => [
          await sql.get(upsert, 'n'),
          await sql.get(upsert, 'n'),
          ...(await sql.all('update thing set value = value * 10 returning name, value')),
        ]);
        expect(numbers).toEqual([{ value: 1 }, { value: 2 }, { name: 'n', value: 20 }]);
      });

      it('does nothing on a conflict when told so', async () => {
        const sql = 'insert into thing (name, value) values ($1, $2) on conflict (name) do nothing';
        expect(await catalog.run(sql, 'a', 1)).toBe(1);
        expect(await catalog.run(sql, 'a', 2)).toBe(0);
        expect(await value('a')).toBe(1);
      });

      it('enforces keys, uniqueness and not null', async () => {
        await catalog.run('create table part (thing text not null references thing (name))');
        await expect(
          catalog.run('insert into part (thing) values ($1)', 'absent'),
        ).rejects.toThrow();
        await catalog.run(INSERT, 'a', 1, null);
        await catalog.run('insert into part (thing) values ($1)', 'a');
        await expect(catalog.run('delete from thing')).rejects.toThrow();
        await expect(catalog.run(INSERT, 'a', 2, null)).rejects.toThrow();
        await expect(catalog.run('insert into part (thing) values (null)')).rejects.toThrow();
        expect(await names()).toEqual(['a']);
      });
    });

    describe('transactions', () => {
      it('resolves with what the work resolves with', async () => {
        expect(await catalog.transaction(async () => 'result')).toBe('result');
      });

      it('keeps everything, or nothing when the work throws', async () => {
        await catalog.transaction(async (sql) => {
          await sql.run(INSERT, 'a', 1, null);
          await sql.run(INSERT, 'b', 1, null);
        });
        const failing = catalog.transaction(async (sql) => {
          await sql.run(INSERT, 'c', 1, null);
          await sql.run('delete from thing where name = $1', 'a');
          throw new Error('the reason');
        });
        await expect(failing).rejects.toThrow('the reason');
        expect(await names()).toEqual(['a', 'b']);
      });

      it('undoes a table that the failed work made', async () => {
        const failing = catalog.transaction(async (sql) => {
          await sql.run('create table other (a text)');
          throw new Error('the reason');
        });
        await expect(failing).rejects.toThrow('the reason');
        await expect(catalog.all('select * from other')).rejects.toThrow();
      });

      it('fails whole when a statement failed, also when the work caught it', async () => {
        await catalog.run(INSERT, 'a', 1, null);
        const failing = catalog.transaction(async (sql) => {
          await sql.run(INSERT, 'b', 1, null);
          await sql.run(INSERT, 'a', 2, null).catch(() => undefined);
          await expect(sql.run(INSERT, 'c', 1, null)).rejects.toThrow();
          await expect(sql.all('select * from thing')).rejects.toThrow();
        });
        await expect(failing).rejects.toThrow(/unique/i);
        expect(await names()).toEqual(['a']);
        await catalog.run(INSERT, 'd', 1, null);
        expect(await names()).toEqual(['a', 'd']);
      });

      it('sees its own rows, and nobody else does before the end', async () => {
        await catalog.transaction(async (sql) => {
          await sql.run(INSERT, 'a', 1, null);
          expect(await sql.get('select name from thing')).toEqual({ name: 'a' });
          expect(await names()).toEqual([]);
        });
        expect(await names()).toEqual(['a']);
      });

      it("never holds another caller's statement", async () => {
        const gate = Promise.withResolvers<void>();
        const begun = Promise.withResolvers<void>();
        const failing = catalog.transaction(async (sql) => {
          await sql.run(INSERT, 'undone', 1, null);
          begun.resolve();
          await gate.promise;
          throw new Error('the reason');
        });
        await begun.promise;
        const outside = catalog.run(INSERT, 'kept', 1, null);
        const second = catalog.transaction((sql) => sql.run(INSERT, 'kept too', 1, null));
        await nextTurn();
        gate.resolve();
        await expect(failing).rejects.toThrow('the reason');
        await Promise.all([outside, second]);
        expect(await names()).toEqual(['kept', 'kept too']);
      });

      it('loses none of 100 increments that read before they write', async () => {
        await catalog.run(INSERT, 'n', 0, null);
        const seen = await Promise.all(
          Array.from({ length: 100 }, () =>
            // The lock is what makes it hold on a database that runs transactions side by side.
            catalog.lock('n', () =>
              catalog.transaction(async (sql) => {
                const row = await sql.get<{ value: number }>('select value from thing');
                await nextTurn();
                const next = (row?.value ?? 0) + 1;
                await sql.run('update thing set value = $1', next);
                return next;
              }),
            ),
          ),
        );
        expect(await value('n')).toBe(100);
        expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
      });

      it('loses none of 100 increments by counter rows, interleaved', async () => {
        await catalog.run(INSERT, 'n', 0, null);
        const seen = await Promise.all(
          Array.from({ length: 100 }, () =>
            catalog.transaction(async (sql) => {
              await nextTurn();
              const row = await sql.get<{ value: number }>(
                'update thing set value = value + 1 returning value',
              );
              await nextTurn();
              return row?.value ?? 0;
            }),
          ),
        );
        expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
      });

      it('takes 10,000 rows', async () => {
        await catalog.transaction(async (sql) => {
          for (let i = 0; i < 10_000; i += 1) {
            await sql.run(INSERT, `name-${i}`, i, Uint8Array.of(0, i & 0xff));
          }
        });
        expect(await catalog.get('select count(*) as count from thing')).toEqual({ count: 10_000 });
        expect(await catalog.all('select * from thing')).toHaveLength(10_000);
      });

      it('refuses a wait for itself instead of hanging', async () => {
        const nested = catalog.transaction(() => catalog.transaction(async () => 1));
        await expect(nested).rejects.toThrow('inside a transaction');
        const run = catalog.transaction(() => catalog.run(INSERT, 'a', 1, null));
        await expect(run).rejects.toThrow('inside a transaction');
        await catalog.run(INSERT, 'b', 1, null);
        expect(await names()).toEqual(['b']);
      });

      it('is over for what it left running', async () => {
        const gate = Promise.withResolvers<void>();
        const left = await catalog.transaction(async (sql) => {
          const late = async (): Promise<string[]> => {
            await gate.promise;
            const stale = sql.run(INSERT, 'stale', 1, null);
            await expect(stale).rejects.toThrow('over');
            await catalog.transaction((fresh) => fresh.run(INSERT, 'fresh', 1, null));
            return names();
          };
          return { done: late() };
        });
        gate.resolve();
        expect(await left.done).toEqual(['fresh']);
      });
    });

    describe('locks', () => {
      it('lets one in at a time, in the order they came', async () => {
        const order: string[] = [];
        const enter = (who: number): Promise<number> =>
          catalog.lock('suite:a', async () => {
            order.push(`in ${who}`);
            await nextTurn();
            await nextTurn();
            order.push(`out ${who}`);
            return who;
          });
        expect(await Promise.all([1, 2, 3].map(enter))).toEqual([1, 2, 3]);
        expect(order).toEqual(['in 1', 'out 1', 'in 2', 'out 2', 'in 3', 'out 3']);
      });

      it('lets nobody in beside the second, once the first is out', async () => {
        const gate = Promise.withResolvers<void>();
        const order: string[] = [];
        const first = catalog.lock('suite:a', async () => order.push('first'));
        const begun = Promise.withResolvers<void>();
        const second = catalog.lock('suite:a', async () => {
          begun.resolve();
          await gate.promise;
          order.push('second');
        });
        await Promise.all([first, begun.promise]);
        const third = catalog.lock('suite:a', async () => order.push('third'));
        await nextTurn();
        gate.resolve();
        await Promise.all([second, third]);
        expect(order).toEqual(['first', 'second', 'third']);
      });

      it('keeps names apart', async () => {
        const gate = Promise.withResolvers<void>();
        const first = catalog.lock('suite:a', () => gate.promise);
        expect(await catalog.lock('suite:b', async () => 'passed')).toBe('passed');
        gate.resolve();
        await first;
      });

      it('is free again when the work throws', async () => {
        const failing = catalog.lock('suite:a', async () => {
          throw new Error('the reason');
        });
        const next = catalog.lock('suite:a', async () => 'passed');
        await expect(failing).rejects.toThrow('the reason');
        expect(await next).toBe('passed');
      });

      it('is free again when the work throws before it waits', async () => {
        const failing = catalog.lock('suite:a', () => {
          throw new Error('the reason');
        });
        await expect(failing).rejects.toThrow('the reason');
        expect(await catalog.lock('suite:a', async () => 'passed')).toBe('passed');
      });

      it('refuses a wait for itself, and lets other names and transactions in', async () => {
        const nested = catalog.lock('a', () => catalog.lock('a', async () => 1));
        await expect(nested).rejects.toThrow('inside a lock "a"');
        const around = catalog.lock('a', () =>
          catalog.lock('b', async () => {
            await catalog.transaction((sql) => sql.run(INSERT, 'a', 1, null));
            return catalog.lock('a', async () => 1);
          }),
        );
        await expect(around).rejects.toThrow('inside a lock "a"');
        expect(await names()).toEqual(['a']);
      });
    });

    describe('close', () => {
      it('refuses to wait for the work it is asked in', async () => {
        const closing = catalog.lock('a', () => catalog.close());
        await expect(closing).rejects.toThrow('from inside its own work');
        await catalog.run(INSERT, 'a', 1, null);
        expect(await names()).toEqual(['a']);
      });

      it('waits for what is under way, and refuses what comes after', async () => {
        const gate = Promise.withResolvers<void>();
        const done: string[] = [];
        const locked = catalog.lock('a', async () => {
          await gate.promise;
          await catalog.transaction((sql) => sql.run(INSERT, 'a', 1, null));
          done.push(...(await names()));
        });
        const queued = catalog.lock('a', async () => done.push('queued'));
        const closed = catalog.close().then(() => done.push('closed'));
        await expect(catalog.run(INSERT, 'late', 1, null)).rejects.toThrow('closed');
        gate.resolve();
        await Promise.all([locked, queued, closed, catalog.close()]);
        expect(done).toEqual(['a', 'queued', 'closed']);
        await expect(catalog.all('select * from thing')).rejects.toThrow('closed');
        await expect(catalog.transaction(async () => 1)).rejects.toThrow('closed');
        await expect(catalog.lock('a', async () => 1)).rejects.toThrow('closed');
      });
    });
  });
}
