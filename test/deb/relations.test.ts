import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkRelations } from '../../src/deb/relations.ts';
import { RefusalError } from '../../src/errors.ts';
import { CONTROL, runDpkgDeb } from './build.ts';

const ACCEPTED: [string, string][] = [
  ['Depends', 'foo'],
  ['Depends', ''],
  ['Depends', 'foo, bar'],
  ['Depends', 'foo,bar|baz'],
  ['Depends', 'foo (>= 1)'],
  ['Depends', 'foo (>=1)'],
  ['Depends', 'foo(>= 1:2.0~rc1-1+b2)'],
  ['Depends', 'foo (<< 2), foo (<= 2), foo (= 2), foo (>= 2), foo (>> 2)'],
  ['Depends', 'foo (> 1), foo (< 2)'],
  ['Depends', 'foo (=1), bar'],
  ['Depends', 'foo (=1.0)'],
  ['Depends', 'foo (= 1)'],
  ['Depends', 'foo ( >= 1 )'],
  ['Depends', 'foo\t(>= 1)|\tbar'],
  ['Depends', 'foo (1.0)'],
  ['Depends', 'foo (1), bar'],
  ['Depends', 'foo (>=\n 1)'],
  ['Depends', 'foo,\n bar,\n\tbaz'],
  ['Depends', 'foo:any'],
  ['Depends', 'foo:any (>= 1) | bar:amd64'],
  ['Depends', 'Foo'],
  ['Depends', 'f'],
  ['Depends', 'foo_bar'],
  ['Depends', 'g++-12, libstdc++6 (>= 12), 0ad, a.b'],
  ['Pre-Depends', 'foo | bar (>= 1)'],
  ['Recommends', 'foo | bar'],
  ['Suggests', 'foo | bar'],
  ['Enhances', 'foo | bar'],
  ['Conflicts', 'foo, bar (<< 1)'],
  ['Breaks', 'foo:any, bar (<< 1)'],
  ['Replaces', 'foo (<= 1)'],
  ['Provides', 'foo, bar (= 1.0), baz:any (= 2)'],
];

/** What breaks the index for apt. */
const BREAKING: [string, string][] = [
  ['Depends', 'foo (>> )'],
  ['Depends', 'foo (>= 1.0'],
  ['Depends', 'foo,, bar'],
  ['Depends', ', foo'],
  ['Depends', '| foo'],
  ['Depends', 'foo | , bar'],
  ['Depends', 'foo [amd64]'],
  ['Depends', 'foo <!nocheck>'],
  ['Depends', 'foo bar'],
  ['Depends', 'foo (>= 1) bar'],
  ['Depends', 'foo (= 1)(= 2)'],
  ['Depends', 'foo (>= 1):any'],
  ['Depends', 'foo :any'],
  ['Depends', 'foo: any'],
  ['Depends', 'foo (=1)'],
  ['Depends', 'foo, bar (>2)  '],
  ['Depends', 'foo (1)'],
  ['Depends', 'foo ()'],
  ['Depends', 'foo (>= ())'],
  ['Provides', 'foo,, bar'],
  ['Provides', 'foo (1)'],
  ['Breaks', 'foo,, bar'],
];

/** What apt would take, with a warning or a meaning of its own, but dpkg does not install. */
const UNINSTALLABLE: [string, string][] = [
  ['Depends', 'foo,'],
  ['Depends', 'foo |'],
  ['Depends', 'foo (== 1)'],
  ['Depends', 'foo (!= 1)'],
  ['Depends', 'foo (=> 1)'],
  ['Depends', 'foo (<> 1)'],
  ['Depends', 'foo (>= a)'],
  ['Depends', 'foo (>= 1 2)'],
  ['Depends', 'foo (>= 1-)'],
  ['Depends', 'foo (>= 1|2)'],
  ['Depends', 'foo (>= 1,2)'],
  ['Depends', 'foo (>= 99999999999:1)'],
  ['Depends', 'foo (>= $\u007bsource:Version})'],
  ['Depends', '$\u007bmisc:Depends}'],
  ['Depends', '@foo'],
  ['Depends', '+foo'],
  ['Depends', 'foo:'],
  ['Depends', 'foo:any:any'],
  ['Conflicts', 'foo | bar'],
  ['Breaks', 'foo | bar'],
  ['Replaces', 'foo | bar'],
  ['Provides', 'foo | bar'],
];

/** What only makes apt warn on every run, or nobody reads the same way. */
const UNWANTED: [string, string][] = [
  ['Provides', 'foo (>= 1)'],
  ['Provides', 'foo (<< 1)'],
  ['Depends', 'f\xa0oo'],
  ['Depends', 'foo\0'],
  ['Depends', '..'],
];

/** A private apt whose only source is a folder; nothing of the host's configuration. */
let root = '';

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-apt-'));
  for (const folder of [
    'etc/apt.conf.d',
    'state/lists/partial',
    'cache/archives/partial',
    'repo',
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'etc/sources.list'), `deb [trusted=yes] file:${root}/repo ./\n`);
  writeFileSync(join(root, 'status'), '');
  writeFileSync(
    join(root, 'apt.conf'),
    `Dir "${root}/"; Dir::Etc "etc"; Dir::State "state"; Dir::State::status "${root}/status";
     Dir::Cache "cache"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
     APT::Architecture "amd64"; Acquire::Languages "none"; APT::Sandbox::User "";\n`,
  );
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function stanzaOf(name: string, field: string, value: string): string {
  return [
    `Package: ${name}`,
    'Version: 1.0',
    'Architecture: amd64',
    `Filename: ${name}.deb`,
    'Size: 3',
    `SHA256: ${'0'.repeat(64)}`,
    `${field}: ${value}`,
    'Description: d',
    '',
  ].join('\n');
}

/** What apt-get update says of an index with these stanzas; '' when it is content. */
function askApt(stanzas: string[]): string {
  writeFileSync(join(root, 'repo/Packages'), stanzas.join('\n'), 'latin1');
  const env = { ...process.env, APT_CONFIG: join(root, 'apt.conf'), LC_ALL: 'C' };
  return spawnSync('apt-get', ['update'], { env, encoding: 'utf8' }).stderr;
}

/** Whether dpkg can parse it, as it does with a control file that it packs or unpacks. */
function dpkgParses(field: string, value: string): boolean {
  const control = CONTROL.replace('Description:', () => `${field}: ${value}\nDescription:`);
  try {
    runDpkgDeb(Buffer.from(control, 'latin1'), ['-Znone'], {});
    return true;
  } catch {
    return false;
  }
}

describe('checkRelations', () => {
  it.each(ACCEPTED)('accepts %s: %j', (field, value) => {
    expect(() => checkRelations(field, value)).not.toThrow();
  });

  it.each([...BREAKING, ...UNINSTALLABLE, ...UNWANTED])('refuses %s: %j', (field, value) => {
    const check = (): void => checkRelations(field, value);
    expect(check).toThrow(RefusalError);
    expect(check).toThrow(expect.objectContaining({ code: 'PACKAGE_UNACCEPTABLE' }));
    expect(check).toThrow(new RegExp(`^field ${field}\\b`));
  });

  it('accepts what apt indexes, all of it in one index', () => {
    const stanzas = ACCEPTED.map(([field, value], i) => stanzaOf(`p${i}`, field, value));
    expect(askApt(stanzas)).toBe('');
  });

  it.each(BREAKING)('refuses what breaks the index for apt: %s: %j', (field, value) => {
    expect(askApt([stanzaOf('p', field, value)])).toContain('Problem parsing');
  });

  it.each(ACCEPTED)('accepts what dpkg parses: %s: %j', (field, value) => {
    expect(dpkgParses(field, value)).toBe(true);
  });

  it.each(UNINSTALLABLE)('refuses what dpkg cannot parse: %s: %j', (field, value) => {
    expect(dpkgParses(field, value)).toBe(false);
  });

  it('names the restriction that is for source packages only', () => {
    expect(() => checkRelations('Depends', 'foo [amd64]')).toThrow('architecture restriction');
    expect(() => checkRelations('Depends', 'foo <!nocheck>')).toThrow('build profile');
    expect(() => checkRelations('Depends', '$\u007bmisc:Depends}')).toThrow('unreplaced variable');
    expect(() => checkRelations('Depends', 'foo,, bar')).toThrow('empty member');
  });

  it.each([
    ['blanks in a version', `foo (${' '.repeat(500_000)}x y`],
    ['blanks behind a name', `foo${' '.repeat(500_000)}x`],
    ['blanks before a name', `${' '.repeat(500_000)}(`],
    ['one long name', `${'a'.repeat(500_000)}!`],
    ['a long version', `foo (= ${'1'.repeat(500_000)}`],
    ['many members', `${'a,'.repeat(200_000)},`],
    ['many brackets', '('.repeat(500_000)],
  ])('refuses half a megabyte of %s at once', (_, value) => {
    const started = performance.now();
    expect(() => checkRelations('Depends', value)).toThrow(RefusalError);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('never fails with anything but a refusal', () => {
    const piece = fc.constantFrom(
      'foo',
      'a',
      ' ',
      '\n ',
      ',',
      '|',
      '(',
      ')',
      '>=',
      '=',
      '1',
      '1:2-3',
      ':any',
      '[',
      '${',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          checkRelations('Depends', pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts no random relation that dpkg or apt cannot read', () => {
    const piece = fc.constantFrom(
      'foo',
      'b',
      ' ',
      ' ',
      ',',
      '|',
      ' (',
      ')',
      '>= ',
      '=',
      '1',
      '2:3-4',
      ':any',
    );
    const kept = fc
      .sample(fc.array(piece, { minLength: 1, maxLength: 10 }), { numRuns: 3000, seed: 1 })
      .map((pieces) => pieces.join(''))
      .filter((value) => {
        try {
          checkRelations('Depends', value);
          return value.includes('(') || value.includes(':');
        } catch {
          return false;
        }
      });
    expect(kept.length).toBeGreaterThan(20);
    const stanzas = kept.map((value, i) => stanzaOf(`p${i}`, 'Depends', value));
    expect(askApt(stanzas)).toBe('');
    expect(kept.slice(0, 20).filter((value) => !dpkgParses('Depends', value))).toEqual([]);
  });
});
