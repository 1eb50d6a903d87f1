/**
 * `aptkeep audit` as a process: read, proven, handed on; and the export proven again by the recipe
 * of the reference, with jq and sha256sum alone.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendAudit } from '../../src/catalog/audit.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createEntry } from '../catalog/audit-entry.ts';
import { CHECKOUT, createScratch, run, waitFor } from '../e2e/command.ts';
import {
  APTKEEP,
  aptkeep,
  programEnvironment,
  runAptkeep,
  type Server,
  startServer,
} from '../e2e/program.ts';
import { curl, issueClient, remoteFlags } from '../e2e/site.ts';

const scratch = createScratch('cli-audit');
const data = join(scratch, 'data');
const here = ['--data', data];
/** More than two pages of an export. */
const ENTRIES = 2500;

/** A statement behind the program's back, on a copy of the data directory's catalog. */
async function tamper(name: string, sql: string): Promise<string[]> {
  const copy = join(scratch, name);
  await run('cp', ['-a', data, copy]);
  const catalog = await openSqlite(join(copy, 'catalog.sqlite'));
  await catalog.run(sql);
  await catalog.close();
  return ['--data', copy];
}

/** The shell script that docs/operate.md has others prove an export with. */
async function readRecipe(): Promise<string> {
  const text = await readFile(join(CHECKOUT, 'docs/operate.md'), 'utf8');
  const [script] = /^ {4}previous=(?:.*\n)(?: {4}.*\n)+/m.exec(text) ?? [];
  if (script === undefined) throw new Error('the reference has no recipe any more');
  return script;
}

async function proveExport(lines: string[]) {
  const folder = join(scratch, 'proof');
  await run('mkdir', ['-p', folder]);
  await writeFile(join(folder, 'audit.jsonl'), lines.map((line) => `${line}\n`).join(''));
  const { status, stdout, stderr } = await run('sh', ['-c', await readRecipe()], { cwd: folder });
  return { status, stdout, stderr };
}

const readLines = (text: string): string[] => text.split('\n').slice(0, -1);

beforeAll(async () => {
  await aptkeep('init', ...here, '--name', 'Uni');
  await aptkeep('suite', 'create', 'testing', '--origin', 'Uni', '--label', 'Uni', ...here);
  const refused = await runAptkeep(['publish', 'no "such" \\ suite – 東京', ...here]);
  expect(refused.status).toBe(1);
  const catalog = await openSqlite(join(data, 'catalog.sqlite'));
  const entries = Array.from({ length: ENTRIES - 2 }, (_, at) =>
    createEntry({
      subject: `s-${at}`,
      serial: at % 2 ? null : 'abc',
      at: '2031-01-01T00:00:00.000Z',
    }),
  );
  await appendAudit(catalog, entries);
  await catalog.close();
});

describe('reading', () => {
  it('is a table for people, newest first', async () => {
    const lines = readLines(await aptkeep('audit', '--limit', '2', ...here));
    expect(lines[0]).toMatch(/^TIME +WHO +FROM +OPERATION +OUTCOME +WHAT$/);
    expect(lines.slice(1).map((line) => line.split(/ {2,}/).at(-1))).toEqual(['s-2497', 's-2496']);
  });

  it('shows no control character, whatever an old log holds', async () => {
    const where = await tamper(
      'old',
      "update audit set subject = 'a' || char(27) || '[2J' || char(10)",
    );
    const table = await aptkeep('audit', '--limit', '5', ...where);
    expect(table).toContain('a?[2J?');
    expect(table).not.toContain('\u001b');
    expect(readLines(table)).toHaveLength(6);
  });
});

describe('export', () => {
  it('is the whole log as JSON lines, oldest first', async () => {
    const lines = readLines(await aptkeep('audit', 'export', ...here));
    const entries = lines.map((line) => JSON.parse(line));
    expect(entries.map(({ number }) => number)).toEqual(
      Array.from({ length: ENTRIES }, (_, at) => at + 1),
    );
    expect(entries[0]).toMatchObject({ operation: 'suite.create', subject: 'testing' });
    const keys = ['number', 'at', 'actor', 'role', 'serial', 'address', 'operation', 'subject'];
    expect(Object.keys(entries[0])).toEqual([...keys, 'outcome', 'detail', 'hash']);
  });

  it('is proven by the recipe of the reference, with jq and sha256sum', async () => {
    const lines = readLines(await aptkeep('audit', 'export', ...here));
    // Every line is a process: the recipe is for patience, some hundred lines are enough here.
    const some = lines.slice(0, 300);
    expect(await proveExport(some)).toEqual({ status: 0, stdout: '', stderr: '' });
    const at = (number: number): string => some[number - 1] ?? '';
    for (const [broken, first] of [
      [some.toSpliced(9, 1), 10],
      [some.with(9, at(10).replace('"s-7"', '"s-8"')), 10],
      [some.with(9, at(11)).with(10, at(10)), 10],
      [some.toSpliced(9, 0, at(9)), 10],
    ] as const) {
      expect(await proveExport(broken)).toMatchObject({
        status: 1,
        stdout: `entry ${first} is not whole\n`,
      });
    }
  });

  it('goes on where the last one ended, or from a time on', async () => {
    const behind = readLines(await aptkeep('audit', 'export', '--after', '2490', ...here));
    expect(behind.map((line) => JSON.parse(line).number)).toEqual(
      Array.from({ length: 10 }, (_, at) => 2491 + at),
    );
    const since = readLines(await aptkeep('audit', 'export', '--since', '2031-01-01', ...here));
    expect([since.length, JSON.parse(since[0] ?? '').number]).toEqual([ENTRIES - 2, 3]);
    expect(await aptkeep('audit', 'export', '--since', '2032-01-01', ...here)).toBe('');
  });

  it('ends with its reader', async () => {
    const line = '"$0" audit export --data "$1" | head -n 1 | wc -l; echo "$PIPESTATUS"';
    const { stdout } = await run('bash', ['-c', line, APTKEEP, data], {
      env: programEnvironment(),
    });
    expect(stdout).toBe('1\n0\n');
  });
});

describe('verify', () => {
  it('says that the log is whole, and its head, which it takes back', async () => {
    const text = await aptkeep('audit', 'verify', ...here);
    expect(text).toMatch(/^valid +yes\nentries +2500\nhead +2500:[0-9a-f]{64}\n$/);
    const head = /head +(\S+)/.exec(text)?.[1] ?? '';
    const again = JSON.parse(await aptkeep('audit', 'verify', '--head', head, '--json', ...here));
    const [number, hash] = head.split(':');
    expect(again).toEqual({
      ...{ valid: true, entries: ENTRIES, fault: null },
      head: { number: Number(number), hash },
    });
  });

  it('ends with 1, the number and the reason where it is not', async () => {
    const where = await tamper('changed', "update audit set actor = 'nobody' where number = 1234");
    const { status, stdout } = await runAptkeep(['audit', 'verify', ...where]);
    expect(status).toBe(1);
    expect(stdout).toMatch(
      /^valid +no\nfault +at entry 1234: its hash is not that of its contents/,
    );
    const json = await runAptkeep(['audit', 'verify', '--json', ...where]);
    expect([json.status, JSON.parse(json.stdout)]).toMatchObject([
      1,
      { valid: false, entries: 1233, fault: { number: 1234 } },
    ]);
  });

  it('finds by a noted head that the end was cut off', async () => {
    const head = /head +(\S+)/.exec(await aptkeep('audit', 'verify', ...here))?.[1] ?? '';
    const where = await tamper('cut', 'delete from audit where number > 2000');
    expect((await runAptkeep(['audit', 'verify', ...where])).status).toBe(0);
    const { status, stdout } = await runAptkeep(['audit', 'verify', '--head', head, ...where]);
    expect(status).toBe(1);
    expect(stdout).toContain('at entry 2001: the entry is missing: the log ends at 2000');
  });

  it('refuses a head that is none', async () => {
    const { status, stderr } = await runAptkeep(['audit', 'verify', '--head', '12', ...here]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^aptkeep: malformed request: head: NUMBER:HASH is allowed/);
  });
});

describe('options before the verb', () => {
  it('count as if they stood behind it', async () => {
    const text = await aptkeep('audit', ...here, '--json', 'verify');
    expect(JSON.parse(text)).toMatchObject({ valid: true });
  });

  it('that the verb does not take are refused', async () => {
    const { status, stderr } = await runAptkeep(['audit', '--limit', '3', 'verify', ...here]);
    expect([status, stderr]).toEqual([2, 'aptkeep: wrong usage: verify does not take --limit\n']);
  });
});

describe('a running server', () => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer({ data });
  });
  afterAll(async () => {
    await server.stop();
  });

  const readHeads = (): { number: number; hash: string }[] =>
    readLines(server.output())
      .filter((line) => line.includes('"event":"audit.head"'))
      .map((line) => JSON.parse(line));

  it('says its head at the start, for a witness elsewhere', async () => {
    const [line = ''] = readLines(await aptkeep('audit', 'export', '--after', '2499', ...here));
    const { number, hash } = JSON.parse(line);
    expect(readHeads()[0]).toMatchObject({ number, hash });
  });

  it('answers an observer from afar as the directory’s owner, and no host', async () => {
    const [observer, host] = [
      await issueClient(data, 'watcher', 'observer'),
      await issueClient(data, 'web0', 'host'),
    ];
    const far = remoteFlags(observer, server.url);
    for (const words of [['verify'], ['export']]) {
      expect(await aptkeep('audit', ...words, ...far)).toBe(
        await aptkeep('audit', ...words, ...here),
      );
    }
    for (const words of [['verify'], ['export']]) {
      const refused = await runAptkeep(['audit', ...words, ...remoteFlags(host, server.url)]);
      expect([refused.status, refused.stdout]).toEqual([1, '']);
      expect(refused.stderr).toMatch(/^aptkeep: role not allowed: /);
    }
  });

  it('keeps what it refused, through its end, and says its last head', async () => {
    const gone = await issueClient(data, 'gone', 'host');
    await aptkeep('cert', 'revoke', 'gone', ...here);
    for (let count = 0; count < 3; count += 1) {
      const answer = await curl(gone, `${server.url}/dists/stable/InRelease`);
      expect(answer.status).toBe(403);
    }
    expect(await server.stop()).toBe(0);
    const entries = readLines(await aptkeep('audit', 'export', '--after', '2500', ...here)).map(
      (line) => JSON.parse(line),
    );
    expect(entries.filter(({ actor }) => actor === 'gone')).toMatchObject([
      { operation: 'gate.request', outcome: 'refused CERTIFICATE_REVOKED' },
      { operation: 'gate.request', detail: expect.stringMatching(/^and 2 more from /) },
    ]);
    const last = entries.at(-1);
    await waitFor('the last head', () =>
      readHeads().at(-1)?.hash === last.hash ? true : undefined,
    );
    const noted = `${last.number}:${last.hash}`;
    expect(await aptkeep('audit', 'verify', '--head', noted, ...here)).toMatch(/^valid +yes\n/);
  });
});
