import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  byHashKey,
  checkArchitectureName,
  checkComponentName,
  checkSuiteName,
  distsKey,
  indexPath,
  type PoolName,
  poolKey,
} from '../../src/deb/layout.ts';
import { RefusalError } from '../../src/errors.ts';

const NAME: PoolName = {
  component: 'main',
  source: 'hello',
  name: 'hello',
  version: '2.10-3',
  architecture: 'amd64',
  kind: 'deb',
};
const HEX = 'ab'.repeat(32);
const refusal = expect.objectContaining({ code: 'INPUT_INVALID' });

describe('poolKey', () => {
  // The paths are those of Debian 12's own Packages, where it has the package.
  it.each<[Partial<PoolName>, string]>([
    [{}, 'pool/main/h/hello/hello_2.10-3_amd64.deb'],
    [
      { source: 'glibc', name: 'libc6', version: '2.36-9+deb12u10' },
      'pool/main/g/glibc/libc6_2.36-9+deb12u10_amd64.deb',
    ],
    [
      {
        source: 'libarchive-zip-perl',
        name: 'libarchive-zip-perl',
        version: '1.68-1',
        architecture: 'all',
      },
      'pool/main/liba/libarchive-zip-perl/libarchive-zip-perl_1.68-1_all.deb',
    ],
    [{ source: '0ad', name: '0ad', version: '0.0.26-3' }, 'pool/main/0/0ad/0ad_0.0.26-3_amd64.deb'],
    [{ source: 'lib', name: 'lib' }, 'pool/main/l/lib/lib_2.10-3_amd64.deb'],
    [{ source: 'lib3' }, 'pool/main/lib3/lib3/hello_2.10-3_amd64.deb'],
    [{ version: '1:1.0-1' }, 'pool/main/h/hello/hello_1%3a1.0-1_amd64.deb'],
    [{ version: '1:2:3' }, 'pool/main/h/hello/hello_1%3a2%3a3_amd64.deb'],
    [{ version: '1.0~rc1+b1' }, 'pool/main/h/hello/hello_1.0~rc1+b1_amd64.deb'],
    [{ kind: 'udeb', component: 'non-free' }, 'pool/non-free/h/hello/hello_2.10-3_amd64.udeb'],
  ])('puts %j where Debian would', (part, key) => {
    expect(poolKey({ ...NAME, ...part })).toBe(key);
  });

  it.each<Partial<PoolName>>([
    { component: '..' },
    { component: 'a/b' },
    { component: '' },
    { source: '../x' },
    { source: '.' },
    { source: '' },
    { name: 'a/b' },
    { name: 'Foo' },
    { name: '..' },
    { architecture: 'any' },
    { architecture: '../x' },
    { architecture: 'a b' },
  ])('refuses %j', (part) => {
    expect(() => poolKey({ ...NAME, ...part })).toThrow(refusal);
  });

  it.each<Partial<PoolName>>([
    { version: '1/../2' },
    { version: '' },
    { name: 'a'.repeat(250) },
    { source: 'a'.repeat(256) },
  ])('finds %j unacceptable', (part) => {
    expect(() => poolKey({ ...NAME, ...part })).toThrow(
      expect.objectContaining({ code: 'PACKAGE_UNACCEPTABLE' }),
    );
  });

  it('never leaves its folder, and never has two packages in one place', () => {
    const word = fc.stringMatching(/^[a-c][a-c0-9._+/%-]{0,3}$/);
    const number = fc.stringMatching(/^[0-9][a-c0-9.:~_+%/-]{0,3}$/);
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(word, number, word, (name, version, architecture) => {
        let key: string;
        try {
          key = poolKey({ ...NAME, name, version, architecture });
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
          return;
        }
        expect(key).toMatch(/^pool\/main\/h\/hello\/[a-z0-9][^/]*\.deb$/);
        const triple = JSON.stringify([name, version, architecture]);
        expect(seen.get(key) ?? triple).toBe(triple);
        seen.set(key, triple);
      }),
      { numRuns: 5000 },
    );
    expect(seen.size).toBeGreaterThan(20);
  });
});

describe('dists', () => {
  it('has indexes beside their hashes', () => {
    const path = indexPath('main', 'amd64');
    expect(path).toBe('main/binary-amd64/Packages');
    expect(distsKey('stable', `${path}.gz`)).toBe('dists/stable/main/binary-amd64/Packages.gz');
    expect(distsKey('stable', 'InRelease')).toBe('dists/stable/InRelease');
    expect(byHashKey('stable', `${path}.gz`, 'SHA256', HEX)).toBe(
      `dists/stable/main/binary-amd64/by-hash/SHA256/${HEX}`,
    );
    expect(byHashKey('stable', 'Contents-amd64.gz', 'SHA256', HEX)).toBe(
      `dists/stable/by-hash/SHA256/${HEX}`,
    );
  });

  it.each([
    '',
    '/',
    '/x',
    'x/',
    'a//b',
    '..',
    'a/../b',
    './a',
    'a\0',
    'a b',
    'a%2fb',
    'a\\b',
    '.hidden',
  ])('refuses the path %j', (path) => {
    expect(() => distsKey('stable', path)).toThrow(refusal);
  });

  it.each(['', 'AB'.repeat(32), 'ab', '../x', `${HEX}\n`])('refuses the hash %j', (hex) => {
    expect(() => byHashKey('stable', 'main/binary-amd64/Packages', 'SHA256', hex)).toThrow(refusal);
  });
});

describe('names', () => {
  it.each(['stable', 'bookworm', 'bookworm-security', '2026.11', 'a_b+c', 'Stable'])(
    'lets a suite be called %s',
    (name) => {
      expect(() => checkSuiteName(name)).not.toThrow();
      expect(() => checkComponentName(name)).not.toThrow();
    },
  );

  it.each([
    '',
    '.',
    '..',
    '...',
    '.x',
    '-x',
    'a/b',
    'a b',
    'a\n',
    'é',
    'a%2e',
    'a~b',
    'a:b',
    'x'.repeat(65),
  ])('lets no suite be called %j', (name) => {
    expect(() => checkSuiteName(name)).toThrow(refusal);
    expect(() => checkComponentName(name)).toThrow(refusal);
  });

  it.each(['amd64', 'arm64', 'all', 'i386', 'kfreebsd-amd64'])('knows architecture %s', (name) => {
    expect(() => checkArchitectureName(name)).not.toThrow();
  });

  it.each(['any', 'source', 'linux-any', 'any-i386', 'AMD64', 'x86_64', '', '..', 'a/b', '-a'])(
    'knows no architecture %j',
    (name) => {
      expect(() => checkArchitectureName(name)).toThrow(refusal);
    },
  );
});
