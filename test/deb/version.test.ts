import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, parseVersion } from '../../src/deb/version.ts';
import { RefusalError } from '../../src/errors.ts';

const rows = readFileSync(new URL('../vectors/deb/versions.tsv', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split('\t'));
const ORDER: Record<string, number> = { lt: -1, eq: 0, gt: 1 };
const pairs = rows.filter(([word]) => (word ?? '') in ORDER);

describe('parseVersion', () => {
  it.each([
    ['1.0', { epoch: 0, upstream: '1.0', revision: '' }],
    ['1:1.0-1', { epoch: 1, upstream: '1.0', revision: '1' }],
    ['2.7.2-linux-1', { epoch: 0, upstream: '2.7.2-linux', revision: '1' }],
    ['1:2:3', { epoch: 1, upstream: '2:3', revision: '' }],
  ])('splits %s at the first colon and the last hyphen', (text, parts) => {
    expect(parseVersion(text)).toEqual(parts);
  });

  it('has vectors of both kinds', () => {
    expect(rows.filter(([word]) => word === 'valid').length).toBeGreaterThan(100);
    expect(rows.filter(([word]) => word === 'invalid').length).toBeGreaterThan(20);
  });

  it.each(rows.filter(([word]) => word === 'valid'))('takes what dpkg takes: %s %s', (_, text) => {
    expect(() => parseVersion(text ?? '')).not.toThrow();
  });

  it.each(rows.filter(([word]) => word === 'invalid'))('refuses as dpkg does: %s %s', (_, text) => {
    expect(() => parseVersion(text ?? '')).toThrow(RefusalError);
  });

  it.each(['', ' ', '1.0\n', '\u0661.0', '1.0\0', '+1:1.0'])('refuses %j', (text) => {
    expect(() => parseVersion(text)).toThrow(RefusalError);
  });
});

describe('compareVersions', () => {
  it('has hundreds of pairs', () => {
    expect(pairs.length).toBeGreaterThan(300);
  });

  it('orders every pair as dpkg does, both ways round', () => {
    const wrong = pairs.filter(
      ([word = '', a = '', b = '']) =>
        compareVersions(a, b) !== ORDER[word] || compareVersions(b, a) !== -(ORDER[word] ?? 9) + 0,
    );
    expect(wrong).toEqual([]);
  });

  it('is a total order', () => {
    const version = fc.stringMatching(/^[0-9][0-9a.~+]{0,6}(-[0-9a.~+]{1,4})?$/);
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareVersions(a, a)).toBe(0);
        expect(compareVersions(a, b)).toBe(0 - compareVersions(b, a));
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
        }
      }),
    );
  });
});
