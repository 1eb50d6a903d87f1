/** The table of refusals, and the two tables that give each code a status: complete, and agreeing. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeFailure, EXIT_STATUSES } from '../src/cli/exit.ts';
import { REFUSALS, type RefusalCode, RefusalError, systemCode } from '../src/errors.ts';
import { STATUSES } from '../src/http/refusals.ts';

const SRC = new URL('../src', import.meta.url).pathname;
const CODES = Object.keys(REFUSALS) as RefusalCode[];

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && file !== 'errors.ts' && file !== 'http/refusals.ts')
  .map((file) => readFileSync(join(SRC, file), 'utf8'))
  .join('\n');

describe('the table of refusals', () => {
  it.each(CODES)('%s is a code with a title fit for a reason phrase', (code) => {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    // RFC 9112 section 4: no control character; one line that begins as a sentence does.
    expect(REFUSALS[code]).toMatch(/^[A-Z][\x20-\x7e]{3,60}$/);
    expect(REFUSALS[code]).not.toMatch(/\.$/);
  });

  it('has no title twice', () => {
    const titles = Object.values(REFUSALS);
    expect(new Set(titles).size).toBe(titles.length);
  });

  it('has a status of HTTP and one of the command line for each code', () => {
    expect(Object.keys(STATUSES).sort()).toEqual([...CODES].sort());
    expect(Object.keys(EXIT_STATUSES).sort()).toEqual([...CODES].sort());
    for (const code of CODES) {
      expect(STATUSES[code], code).toBeGreaterThanOrEqual(400);
      expect(STATUSES[code], code).toBeLessThan(600);
      expect([1, 2], code).toContain(EXIT_STATUSES[code]);
    }
  });

  it('lists exactly the codes that the program refuses with', () => {
    const unused = CODES.filter((code) => !sources.includes(`'${code}'`));
    expect(unused).toEqual([]);
    const made = [...sources.matchAll(/new RefusalError\(\s*'([A-Z_]+)'/g)].map(
      (match) => match[1],
    );
    expect(made.length).toBeGreaterThan(20);
    expect(made.filter((code) => code === undefined || !(code in REFUSALS))).toEqual([]);
  });
});

describe('a refusal', () => {
  it('is an error with its code, its title and what was refused', () => {
    const refusal = new RefusalError('SUITE_UNKNOWN', 'there is no suite "x"');
    expect(refusal).toBeInstanceOf(Error);
    expect([refusal.name, refusal.code, refusal.title, refusal.message]).toEqual([
      'RefusalError',
      'SUITE_UNKNOWN',
      'No such suite',
      'there is no suite "x"',
    ]);
  });

  it('is said on standard error as what: why', () => {
    expect(describeFailure(new RefusalError('SUITE_UNKNOWN', 'there is no suite "x"'))).toEqual({
      message: 'aptkeep: no such suite: there is no suite "x"',
      status: 1,
    });
    expect(describeFailure(new RefusalError('CONFIG_INVALID', 'x')).status).toBe(2);
  });

  it('is not what a bug looks like', () => {
    for (const bug of [new TypeError('x is undefined'), 'thrown text', undefined]) {
      expect(describeFailure(bug).message).toMatch(/^aptkeep: internal error: /);
      expect(describeFailure(bug).status).toBe(1);
    }
  });
});

describe('the code of the operating system', () => {
  it.each<[unknown, string]>([
    [Object.assign(new Error(), { code: 'ENOENT' }), 'ENOENT'],
    [new Error('plain'), ''],
    [{ code: 7 }, ''],
    ['text', ''],
    [null, ''],
    [undefined, ''],
  ])('of %j is %j', (error, code) => {
    expect(systemCode(error)).toBe(code);
  });
});
