import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distsKey, indexPath } from '../../src/deb/layout.ts';
import { compressIndex, renderIndex } from '../../src/deb/packages.ts';
import { type Release, type ReleaseFile, renderRelease } from '../../src/deb/release.ts';

const HEX = 'ab'.repeat(32);
const RELEASE: Release = {
  origin: 'Example',
  label: 'Example Packages',
  suite: 'stable',
  codename: 'first',
  date: new Date('2026-11-23T08:05:09.999Z'),
  architectures: ['amd64', 'arm64'],
  components: ['main', 'contrib'],
  files: [],
};

describe('renderRelease', () => {
  it('has the fields of Debian, in their order', () => {
    const text = renderRelease({
      ...RELEASE,
      version: '1.0',
      description: 'What we run',
      validUntil: new Date('2026-12-01T00:00:00Z'),
      notAutomatic: true,
      butAutomaticUpgrades: true,
      files: [
        { path: 'main/binary-amd64/Packages.gz', size: 20, sha256: HEX },
        { path: 'main/binary-amd64/Packages', size: 0, sha256: HEX },
      ],
    });
    expect(text).toBe(
      `Origin: Example
Label: Example Packages
Suite: stable
Version: 1.0
Codename: first
Date: Mon, 23 Nov 2026 08:05:09 UTC
Valid-Until: Tue, 01 Dec 2026 00:00:00 UTC
NotAutomatic: yes
ButAutomaticUpgrades: yes
Acquire-By-Hash: yes
Architectures: amd64 arm64
Components: main contrib
Description: What we run
SHA256:
 ${HEX} 0 main/binary-amd64/Packages
 ${HEX} 20 main/binary-amd64/Packages.gz
`,
    );
  });

  it('lists every file with each hash that is asked for, in the order of Debian', () => {
    const [MD5sum, SHA512] = ['cd'.repeat(16), 'ef'.repeat(64)];
    const file = { path: 'main/x', size: 3, sha256: HEX, hashes: { SHA512, MD5sum } };
    const release: Release = { ...RELEASE, hashes: ['SHA512', 'MD5sum'], files: [file] };
    expect(renderRelease(release).split('Components: main contrib\n')[1]).toBe(
      `MD5Sum:\n ${MD5sum} 3 main/x\nSHA256:\n ${HEX} 3 main/x\nSHA512:\n ${SHA512} 3 main/x\n`,
    );
    expect(renderRelease({ ...release, hashes: [] })).not.toMatch(/MD5|SHA512/);
    const without = { ...file, hashes: { MD5sum } };
    expect(() => renderRelease({ ...release, files: [without] })).toThrow(/SHA512 of main\/x/);
  });

  it('leaves out what is not said, and Signed-By always', () => {
    const names = renderRelease(RELEASE).match(/^[A-Z][A-Za-z0-9-]*/gm);
    expect(names).toEqual(
      'Origin Label Suite Codename Date Acquire-By-Hash Architectures Components SHA256'.split(' '),
    );
  });

  it.each<[string, Partial<Release>]>([
    ['a newline in Origin', { origin: 'a\nSigned-By: b' }],
    ['a carriage return in Label', { label: 'a\rb' }],
    ['a NUL in Description', { description: 'a\0b' }],
    ['a newline in Version', { version: '1\n' }],
    ['a newline in Codename', { codename: 'a\n b' }],
    ['a newline in an architecture', { architectures: ['amd64\nX: y'] }],
    ['a newline in a component', { components: ['main', '\n'] }],
    ['an empty Origin', { origin: '' }],
    ['a blank Suite', { suite: ' ' }],
    ['no architecture', { architectures: [] }],
    ['no component', { components: [] }],
    ['a date that is none', { date: new Date('x') }],
    ['a Valid-Until that is none', { validUntil: new Date(Number.NaN) }],
    ['a path with a newline', { files: [{ path: 'a\nb', size: 0, sha256: HEX }] }],
    ['a path with a blank', { files: [{ path: 'a b', size: 0, sha256: HEX }] }],
    ['an empty path', { files: [{ path: '', size: 0, sha256: HEX }] }],
    ['a hash that is none', { files: [{ path: 'a', size: 0, sha256: 'ab' }] }],
    ['a hash in upper case', { files: [{ path: 'a', size: 0, sha256: HEX.toUpperCase() }] }],
    ['a negative size', { files: [{ path: 'a', size: -1, sha256: HEX }] }],
    ['half a byte', { files: [{ path: 'a', size: 0.5, sha256: HEX }] }],
    ['a path twice', { files: [1, 2].map((size) => ({ path: 'a', size, sha256: HEX })) }],
  ])('refuses %s', (_, part) => {
    expect(() => renderRelease({ ...RELEASE, ...part })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    );
  });
});

/** A repository in a folder, and a private apt that knows nothing else. */
describe('apt', () => {
  let root = '';

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'aptkeep-release-'));
    for (const folder of [
      'etc/apt.conf.d',
      'etc/preferences.d',
      'state/lists/partial',
      'cache/archives/partial',
    ]) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    writeFileSync(
      join(root, 'etc/sources.list'),
      `deb [trusted=yes arch=amd64] file:${root}/repo stable main contrib\n`,
    );
    writeFileSync(join(root, 'status'), '');
    writeFileSync(
      join(root, 'apt.conf'),
      `Dir "${root}/"; Dir::Etc "etc"; Dir::State "state"; Dir::State::status "${root}/status";
       Dir::Cache "cache"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
       APT::Architecture "amd64"; Acquire::Languages "none"; APT::Sandbox::User "";
       Acquire::Check-Valid-Until "true"; Acquire::Check-Date "true";
       APT::Update::Error-Mode "any";\n`,
    );
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  function runApt(program: string, ...flags: string[]): { said: string; printed: string } {
    const env = { ...process.env, APT_CONFIG: join(root, 'apt.conf'), LC_ALL: 'C' };
    const { stderr, stdout } = spawnSync(program, flags, { env, encoding: 'utf8' });
    return { said: stderr, printed: stdout };
  }

  function place(path: string, bytes: Uint8Array): ReleaseFile {
    const file = join(root, 'repo', distsKey('stable', path));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { path, size: bytes.length, sha256 };
  }

  async function publish(part: Partial<Release>): Promise<void> {
    const stanza = (i: number): Buffer =>
      Buffer.from(
        `Package: p${i}\nVersion: 1.0\nArchitecture: amd64\nFilename: pool/p${i}.deb\nSize: 3\nSHA256: ${HEX}\nDescription: d\n`,
      );
    const files: ReleaseFile[] = [];
    for (const [component, count] of [
      ['main', 3000],
      ['contrib', 0],
    ] as const) {
      const raw = renderIndex(Array.from({ length: count }, (_, i) => stanza(i)));
      const path = indexPath(component, 'amd64');
      files.push(place(`${path}.gz`, await compressIndex(raw)));
      files.push({ ...place(path, raw), path });
      rmSync(join(root, 'repo', distsKey('stable', path)));
    }
    place('Release', Buffer.from(renderRelease({ ...RELEASE, files, ...part })));
  }

  it('reads the Release, many gzip members, and an empty component without a word', async () => {
    const day = 24 * 60 * 60 * 1000;
    await publish({
      version: '1.0',
      date: new Date(Date.now() - day),
      validUntil: new Date(Date.now() + day),
      notAutomatic: true,
      butAutomaticUpgrades: true,
    });
    expect(runApt('apt-get', 'update').said).toBe('');
    const { printed } = runApt('apt-cache', 'policy');
    expect(printed).toContain('100 file:');
    expect(printed).toContain(
      'release v=1.0,o=Example,a=stable,n=first,l=Example Packages,c=main,b=amd64',
    );
    expect(runApt('apt-cache', 'pkgnames').printed.trim().split('\n')).toHaveLength(3000);
  });

  it('is told when the Release has run out', async () => {
    const past = Date.now() - 1000 * 60 * 60;
    await publish({ date: new Date(past - 1000), validUntil: new Date(past) });
    expect(runApt('apt-get', 'update').said).toMatch(/expired|not valid anymore/);
  });
});
