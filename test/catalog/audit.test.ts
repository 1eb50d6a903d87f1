/**
 * The audit log as a chain: whatever is changed, taken out or put in behind the program's back is
 * found, and nothing that the program does breaks it. Hashes are those of sha256sum.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  appendAudit,
  findAuditHead,
  listAudit,
  pageAudit,
  transactWithNotes,
} from '../../src/catalog/audit.ts';
import type { AuditRow } from '../../src/catalog/audit-chain.ts';
import { verifyAudit } from '../../src/catalog/audit-verify.ts';
import { applyMigrations, migrate } from '../../src/catalog/migrate.ts';
import { FIRST_STATEMENTS } from '../../src/catalog/migrations/0001-first.ts';
import type { Catalog } from '../../src/catalog/sql.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { killAfterLines } from '../children.ts';
import { createEntry } from './audit-entry.ts';

const NOW = new Date('2021-05-14T10:00:00Z');
const ZEROS = '0'.repeat(64);

const sha256sum = (text: string): string =>
  execFileSync('sha256sum', { input: text, encoding: 'utf8' }).slice(0, 64);

let directory: string;
let catalog: Catalog;

async function openCatalog(name: string): Promise<Catalog> {
  const opened = await openSqlite(join(directory, name));
  await migrate(opened, NOW);
  return opened;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'aptkeep-audit-'));
  catalog = await openCatalog('catalog.sqlite');
});
afterEach(async () => {
  await catalog.close();
  rmSync(directory, { recursive: true });
});

const readAll = (): Promise<AuditRow[]> => pageAudit(catalog, Number.MIN_SAFE_INTEGER, 100_000);

/** Ten entries, each in a transaction of its own. */
async function appendTen(): Promise<void> {
  for (let count = 1; count <= 10; count += 1) {
    await appendAudit(catalog, [createEntry({ subject: `suite-${count}` })]);
  }
}

describe('a row', () => {
  it('is hashed over the hash before it, a newline and its fields as JSON', async () => {
    await appendAudit(catalog, [
      createEntry({ detail: 'says "no" \\ Müller 🔑', serial: null, address: null }),
      createEntry(),
    ]);
    const first = sha256sum(
      `${ZEROS}\n[1,"2021-05-14T10:00:00.250Z","root","admin",null,null,"suite.publish","stable","done","says \\"no\\" \\\\ Müller 🔑"]`,
    );
    const second = sha256sum(
      `${first}\n[2,"2021-05-14T10:00:00.250Z","root","admin","abc123","192.0.2.7","suite.publish","stable","done",""]`,
    );
    expect((await readAll()).map(({ hash }) => hash)).toEqual([first, second]);
    expect(await findAuditHead(catalog)).toEqual({ number: 2, hash: second });
  });

  it.each([
    ['a NUL', 'a\0b', 'a\\u{0}b'],
    ['an escape sequence', 'a\u001b[31mb', 'a\\u{1b}[31mb'],
    ['lines of its own', 'a\r\nb\u2028c', 'a\\u{d}\\u{a}b\\u{2028}c'],
    ['a mark that turns the line around', 'a\u202eb', 'a\\u{202e}b'],
    ['half a character', 'a\ud83d', 'a\\u{d83d}'],
    ['a character cut in two', `${'x'.repeat(999)}🔑`, `${'x'.repeat(999)}\\`],
    ['more than is kept', 'x'.repeat(5000), 'x'.repeat(1000)],
    ['letters of any alphabet', 'Žluťoučký 東京', 'Žluťoučký 東京'],
  ])('with %s is kept as text that can be printed', async (_name, text, kept) => {
    const texts = { actor: text, operation: text, subject: text, outcome: text, detail: text };
    await appendAudit(catalog, [
      createEntry({ ...texts, role: text, serial: text, address: text }),
    ]);
    const [row] = await readAll();
    for (const field of Object.keys(texts) as 'actor'[]) expect(row?.[field]).toBe(kept);
    expect([row?.role, row?.serial, row?.address]).toEqual([kept, kept, kept]);
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 1, fault: null });
  });
});

describe('appending', () => {
  it('by hundreds at once never forks the chain', async () => {
    const singles = Array.from({ length: 300 }, (_, lane) =>
      appendAudit(catalog, [createEntry({ actor: `single-${lane}` })]),
    );
    const batches = Array.from({ length: 20 }, (_, lane) =>
      appendAudit(catalog, Array(10).fill(createEntry({ actor: `batch-${lane}` }))),
    );
    const heads = await Promise.all([...singles, ...batches]);
    const rows = await readAll();
    expect(rows.map(({ number }) => number)).toEqual(
      Array.from({ length: 500 }, (_, at) => at + 1),
    );
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 500, fault: null });
    // What each was told is the row it ended with.
    for (const { number, hash } of heads) expect(rows[number - 1]?.hash).toBe(hash);
    // A batch stays together.
    const actors = rows.map(({ actor }) => actor).filter((actor) => actor.startsWith('batch'));
    expect(actors).toEqual([...new Set(actors)].flatMap((actor) => Array(10).fill(actor)));
  });

  it('nothing leaves everything as it is', async () => {
    expect(await appendAudit(catalog, [])).toEqual({ number: 0, hash: ZEROS });
    expect(await readAll()).toEqual([]);
  });

  it('takes all entries or none', async () => {
    const broken = { ...createEntry(), at: undefined as unknown as string };
    await expect(appendAudit(catalog, [createEntry(), broken])).rejects.toThrow('$2 is undefined');
    expect(await readAll()).toEqual([]);
    await appendAudit(catalog, [createEntry()]);
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 1, fault: null });
  });

  it('with a change is durable with it, or not at all', async () => {
    const note = { entry: createEntry, isWritten: false };
    const failing = transactWithNotes(catalog, [note], async () => {
      throw new Error('no change');
    });
    await expect(failing).rejects.toThrow('no change');
    expect(note.isWritten).toBe(false);
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 0, fault: null });
    const changes = Array.from({ length: 9 }, () => [
      transactWithNotes(catalog, [{ entry: createEntry, isWritten: false }], async () => {}),
      appendAudit(catalog, [createEntry()]),
    ]);
    await Promise.all([...changes.flat(), transactWithNotes(catalog, [note], async () => {})]);
    expect(note.isWritten).toBe(true);
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 19, fault: null });
  });

  it('what cannot be written keeps out nobody who waits beside it', async () => {
    const broken = { ...createEntry(), at: undefined as unknown as string };
    const beside = [createEntry(), broken, createEntry(), createEntry()].map((entry) =>
      appendAudit(catalog, [entry]),
    );
    const outcomes = await Promise.allSettled(beside);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(await verifyAudit(catalog)).toMatchObject({ entries: 3, fault: null });
  });

  it('inside a transaction is an error, not a wait for ever', async () => {
    const inside = catalog.transaction(() => appendAudit(catalog, [createEntry()]));
    await expect(inside).rejects.toThrow('it would wait for itself for ever');
  });

  it('killed at any moment leaves a whole chain with all that was acknowledged', async () => {
    const path = join(directory, 'catalog.sqlite');
    let acknowledged = 0;
    for (const lines of [1, 5, 12, 31]) {
      const said = await killAfterLines('catalog/append-for-ever.ts', [path], lines);
      acknowledged += said.length;
      for (const line of said) {
        const [number = '', hash = ''] = line.split(':');
        const verdict = await verifyAudit(catalog, { number: Number(number), hash });
        expect(verdict).toMatchObject({ fault: null });
      }
    }
    expect((await readAll()).length).toBeGreaterThanOrEqual(acknowledged);
    await appendAudit(catalog, [createEntry()]);
    expect(await verifyAudit(catalog)).toMatchObject({ fault: null });
  });
});

describe('reading', () => {
  it('is newest first from a time on, or oldest first behind a number', async () => {
    await appendTen();
    const numbers = (rows: AuditRow[]): number[] => rows.map(({ number }) => number);
    expect(numbers(await listAudit(catalog, '2021', 3))).toEqual([10, 9, 8]);
    expect(numbers(await listAudit(catalog, '2022', 3))).toEqual([]);
    expect(numbers(await pageAudit(catalog, 7, 2))).toEqual([8, 9]);
    expect(numbers(await pageAudit(catalog, 10, 2))).toEqual([]);
  });
});

describe('verifying', () => {
  const verify = verifyAudit;
  const faultOf = async (head?: { number: number; hash: string }) =>
    (await verify(catalog, head)).fault;
  const tamper = async (sql: string): Promise<void> => {
    expect(await catalog.run(sql)).toBeGreaterThan(0);
  };

  beforeEach(appendTen);

  it('finds a log whole that nobody touched, and an empty one', async () => {
    const head = await findAuditHead(catalog);
    expect(await verify(catalog)).toEqual({ entries: 10, head, fault: null });
    const empty = await openCatalog('empty.sqlite');
    const nothing = { number: 0, hash: ZEROS };
    expect(await verify(empty)).toEqual({ entries: 0, head: nothing, fault: null });
    expect(await verify(empty, nothing)).toMatchObject({ fault: null });
    await empty.close();
  });

  it.each<readonly [string, string]>([
    ...['at', 'actor', 'role', 'serial', 'address', 'operation', 'subject', 'outcome'].map(
      (column) => [column, `'${'a'.repeat(64)}'`] as const,
    ),
    ['detail', "' '"],
    ['serial', 'null'],
    ['serial', "'ABC123'"],
    ['address', "'null'"],
    ['detail', "x''"],
    ['hash', `'${'a'.repeat(64)}'`],
    ['hash', "''"],
    ['hash', 'upper(hash)'],
  ])('finds %s changed to %s', async (column, value) => {
    await tamper(`update audit set ${column} = ${value} where number = 4`);
    const verdict = await verify(catalog);
    expect(verdict).toMatchObject({ entries: 3, head: { number: 3 }, fault: { number: 4 } });
    expect(verdict.fault?.why).toMatch(/^its hash is not that of its contents/);
  });

  it('finds a row that was changed together with its hash, at the row behind it', async () => {
    const [before, row] = (await readAll()).slice(2, 4);
    const fields = [
      4,
      row?.at,
      'nobody',
      row?.role,
      row?.serial,
      row?.address,
      row?.operation,
    ].concat([row?.subject, row?.outcome, row?.detail]);
    const hash = sha256sum(`${before?.hash}\n${JSON.stringify(fields)}`);
    await tamper(`update audit set actor = 'nobody', hash = '${hash}' where number = 4`);
    expect(await faultOf()).toMatchObject({ number: 5 });
  });

  it.each<[string, string[], number, RegExp]>([
    ['the first row gone', ['delete from audit where number = 1'], 1, /missing: 2 follows 0/],
    ['a row gone', ['delete from audit where number = 4'], 4, /missing: 5 follows 3/],
    ['half of them gone', ['delete from audit where number between 3 and 8'], 3, /9 follows 2/],
    [
      'a row gone and the gap closed',
      [
        'delete from audit where number = 4',
        'update audit set number = -number where number > 4',
        'update audit set number = -number - 1 where number < 0',
      ],
      4,
      /not that of its contents/,
    ],
    ['a row under another number', ['update audit set number = 99 where number = 4'], 4, /missing/],
    ['a row before the first', ['update audit set number = 0 where number = 10'], 1, /numbered 0/],
    ['a number below zero', ['update audit set number = -5 where number = 10'], 1, /numbered -5/],
    [
      'two rows in each other’s place',
      [
        'update audit set number = -4 where number = 4',
        'update audit set number = 4 where number = 5',
        'update audit set number = 5 where number = -4',
      ],
      4,
      /not that of its contents/,
    ],
    [
      'a row put in at the end',
      [
        `insert into audit select 11, at, actor, role, serial, address, operation, subject, outcome,
         detail, hash from audit where number = 10`,
      ],
      11,
      /not that of its contents/,
    ],
    [
      'a row put in between',
      [
        'update audit set number = -number where number > 4',
        'update audit set number = -number + 1 where number < 0',
        `insert into audit select 5, at, actor, role, serial, address, operation, subject, outcome,
         detail, hash from audit where number = 4`,
      ],
      5,
      /not that of its contents/,
    ],
  ])('finds %s', async (_name, statements, number, why) => {
    for (const statement of statements) await tamper(statement);
    expect(await faultOf()).toEqual({ number, why: expect.stringMatching(why) });
  });

  it('finds a tail that was cut off only by a head that was noted', async () => {
    const noted = await findAuditHead(catalog);
    await tamper('delete from audit where number > 7');
    expect(await verify(catalog)).toMatchObject({ entries: 7, fault: null });
    expect(await faultOf(noted)).toEqual({
      number: 8,
      why: 'the entry is missing: the log ends at 7, but 10 was noted',
    });
    // Filled up again by the program itself, it has the length but not the hash.
    for (let count = 0; count < 5; count += 1) await appendAudit(catalog, [createEntry()]);
    expect(await verify(catalog)).toMatchObject({ entries: 12, fault: null });
    expect(await faultOf(noted)).toMatchObject({
      number: 10,
      why: expect.stringMatching(/another than the one noted/),
    });
  });

  it('takes any head of an earlier day', async () => {
    const rows = await readAll();
    await appendTen();
    for (const { number, hash } of rows) expect(await faultOf({ number, hash })).toBe(null);
    expect(await faultOf({ number: 0, hash: ZEROS })).toBe(null);
    expect(await faultOf({ number: 0, hash: 'a'.repeat(64) })).toMatchObject({ number: 21 });
  });

  it('reads a long log in pages, and lets others have their turn between them', async () => {
    await appendAudit(catalog, Array(4490).fill(createEntry()));
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    expect(await verify(catalog)).toMatchObject({ entries: 4500, fault: null });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    await tamper("update audit set subject = '' where number = 3002");
    expect(await verify(catalog)).toMatchObject({ entries: 3001, fault: { number: 3002 } });
  });
});

describe('a catalog of before the chain', () => {
  const insert = (sql: Catalog, number: number, subject: string, serial: string | null) =>
    sql.run(
      `insert into audit (number, at, actor, role, serial, address, operation, subject, outcome, detail)
       values ($1, '2020-01-01T00:00:00.000Z', 'root', 'admin', $2, null, 'suite.create', $3, 'done', '')`,
      number,
      serial,
      subject,
    );

  it('has its rows chained as they stand, and goes on from them', async () => {
    const old = await openSqlite(join(directory, 'old.sqlite'));
    await applyMigrations(old, [FIRST_STATEMENTS], NOW);
    await insert(old, 1, 'a\nb\u001b', 'abc');
    for (let number = 2; number <= 2100; number += 1) await insert(old, number, 'x', null);
    await migrate(old, NOW);
    const first = sha256sum(
      `${ZEROS}\n[1,"2020-01-01T00:00:00.000Z","root","admin","abc",null,"suite.create","a\\nb\\u001b","done",""]`,
    );
    expect((await pageAudit(old, 0, 1))[0]?.hash).toBe(first);
    await appendAudit(old, [createEntry()]);
    expect(await verifyAudit(old, { number: 1, hash: first })).toMatchObject({
      entries: 2101,
      fault: null,
    });
    await old.close();
  });

  it('keeps a gap that it had, and says so', async () => {
    const old = await openSqlite(join(directory, 'old.sqlite'));
    await applyMigrations(old, [FIRST_STATEMENTS], NOW);
    for (const number of [1, 2, 4]) await insert(old, number, 'x', null);
    await migrate(old, NOW);
    expect(await verifyAudit(old)).toMatchObject({ entries: 2, fault: { number: 3 } });
    await old.close();
  });
});
