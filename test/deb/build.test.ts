/** A package we write, read by dpkg. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../src/deb/build.ts';

const folder = mkdtempSync(join(tmpdir(), 'aptkeep-build-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FIELDS = {
  Package: 'uni-archive-keyring',
  Version: '2026.11.23',
  Architecture: 'all',
  Maintainer: 'Uni <root@localhost>',
  Description: 'keyring',
};
const FILES = [
  { path: '/usr/share/keyrings/uni.gpg', content: Buffer.from('odd'), mode: 0o644 },
  { path: '/usr/share/doc/uni/copyright', content: Buffer.from('even'), mode: 0o640 },
];
const dpkg = (...words: string[]): string =>
  execFileSync('dpkg-deb', words, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });

describe('buildPackage', () => {
  it('writes what dpkg-deb reads', async () => {
    const path = join(folder, 'uni.deb');
    writeFileSync(path, await buildPackage(FIELDS, FILES, 1_700_000_000));
    for (const [name, value] of Object.entries(FIELDS)) {
      expect(dpkg('--field', path, name).trim()).toBe(value);
    }
    const listed = dpkg('--contents', path)
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    expect(listed.map((words) => [words[0], words[1], words[5]])).toEqual([
      ['drwxr-xr-x', 'root/root', './'],
      ['drwxr-xr-x', 'root/root', './usr/'],
      ['drwxr-xr-x', 'root/root', './usr/share/'],
      ['drwxr-xr-x', 'root/root', './usr/share/doc/'],
      ['drwxr-xr-x', 'root/root', './usr/share/doc/uni/'],
      ['drwxr-xr-x', 'root/root', './usr/share/keyrings/'],
      ['-rw-r--r--', 'root/root', './usr/share/keyrings/uni.gpg'],
      ['-rw-r-----', 'root/root', './usr/share/doc/uni/copyright'],
    ]);
    expect(listed[6]?.slice(3, 5)).toEqual(['2023-11-14', '22:13']);
  });

  it('unpacks with dpkg-deb to the same bytes', async () => {
    const path = join(folder, 'unpack.deb');
    writeFileSync(path, await buildPackage(FIELDS, FILES, 1_700_000_000));
    dpkg('--extract', path, join(folder, 'root'));
    const read = (file: string): string =>
      execFileSync('cat', [join(folder, 'root', file)], { encoding: 'utf8' });
    expect(FILES.map((file) => read(file.path))).toEqual(['odd', 'even']);
  });

  it('gives the same bytes for the same input', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(() => buildPackage(FIELDS, FILES, 1_700_000_000)),
    );
    expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
  });

  it('refuses a relation that apt cannot read', async () => {
    const broken = { ...FIELDS, Depends: 'foo (>> ))' };
    await expect(buildPackage(broken, FILES, 0)).rejects.toMatchObject({
      code: 'PACKAGE_UNACCEPTABLE',
    });
  });
});
