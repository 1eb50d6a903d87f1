/** Patterns of package names, against what a POSIX shell makes of them (2.13, `case`). */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { isPackagePattern, matchesPattern } from '../../src/deb/names.ts';

const PATTERNS = [
  ...['a', 'ab', '*', '**', 'a*', '*a', '*a*', 'a*b', 'a*b*', '*a*b', 'a**b', 'a*a*a'],
  ...['lu-moodle-*', 'lib*', 'lib*-dev', '*-dev', 'g++', 'g+*', 'lib.c', 'l.*', 'x_y', 'a*-b*-c'],
];
const NAMES = [
  ...['a', 'b', 'ab', 'aa', 'aaa', 'aba', 'abab', 'abb', 'aab', 'ba', 'aXb', 'a-b-c', 'a-b--c'],
  ...['lu-moodle', 'lu-moodle-', 'lu-moodle-lu', 'xlu-moodle-lu', 'lib', 'libfoo', 'libfoo-dev'],
  ...['libfoo-dev2', '-dev', 'g++', 'g+', 'g++-12', 'lib.c', 'libxc', 'x_y', 'xay', 'a-bb-cc-c'],
];

/** Names that the shell's pattern matching finds, one shell for them all. */
function matchInShell(pattern: string): string[] {
  const script =
    'pattern=$1; shift; for name; do case $name in $pattern) echo "$name";; esac; done';
  const args = ['-c', script, 'sh', pattern, ...NAMES];
  return execFileSync('dash', args, { encoding: 'utf8' }).split('\n').filter(Boolean);
}

describe('a pattern', () => {
  it.each(PATTERNS)('%s matches what it matches in a shell', (pattern) => {
    expect(isPackagePattern(pattern)).toBe(true);
    expect(NAMES.filter((name) => matchesPattern(pattern, name))).toEqual(matchInShell(pattern));
  });

  it('with many stars is done in steps that do not explode', () => {
    expect(matchesPattern(`${'a*'.repeat(120)}b`, 'a'.repeat(255))).toBe(false);
    expect(matchesPattern('*'.repeat(255), 'a'.repeat(255))).toBe(true);
  });

  it.each([
    '',
    'A*',
    '-a',
    '.a',
    '+a',
    'a b',
    'a?',
    '[a]',
    'a/b',
    'a\n',
    'ä',
    'a,b',
    `a${'*'.repeat(255)}`,
  ])('is not %j', (text) => {
    expect(isPackagePattern(text)).toBe(false);
  });
});
