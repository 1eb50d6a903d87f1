/**
 * Several hundred packages of Debian's archive in two suites, one that asks for nothing and one that
 * asks for everything, held field by field, line by line against apt-ftparchive.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import { fetchArchive, MINIMUM_ARCHIVE } from '../e2e/archive.ts';
import { succeed } from '../e2e/command.ts';
import { repack } from '../e2e/corpus.ts';
import { compareIndexes, type Index, indexPool, readIndex } from '../e2e/stanzas.ts';
import { ingest, type OpenRepository, openRepository, publishFirst } from './open.ts';

const ARCHITECTURES = ['amd64', 'arm64'];
const FILES_AT_ONCE = 50;
/** Debian packs nothing so today, but did, or Ubuntu does. */
const REPACKED: Readonly<Record<string, readonly [number, number]>> = {
  gzip: [0, 6],
  none: [6, 9],
  zstd: [9, 15],
};

let root: string;
let parts: OpenRepository;
let files: string[] = [];

/** The suite's tree as apt-ftparchive makes it from the pool. */
async function generate(): Promise<void> {
  const tree = join(root, 'theirs');
  for (const folder of ['cache', 'i18n', ...ARCHITECTURES.map((one) => `binary-${one}`)]) {
    const inTree = folder === 'cache' ? folder : join('dists/full/main', folder);
    await mkdir(join(tree, inTree), { recursive: true });
  }
  await mkdir(join(root, 'theirs-cache'), { recursive: true });
  const configuration = `
    Dir { ArchiveDir "${root}"; CacheDir "${root}/theirs-cache"; OverrideDir "${root}"; };
    Default { Packages::Compress "."; Contents::Compress "."; Translation::Compress ".";
      LongDescription "false"; };
    TreeDefault { Directory "pool"; SrcDirectory "pool"; Packages "theirs/$(DIST)/$(SECTION)/binary-$(ARCH)/Packages";
      Contents "theirs/$(DIST)/$(SECTION)/Contents-$(ARCH)";
      Translation "theirs/$(DIST)/$(SECTION)/i18n/Translation-en"; };
    Tree "dists/full" { Sections "main"; Architectures "${ARCHITECTURES.join(' ')}"; };
  `;
  const file = join(root, 'ftparchive.conf');
  await writeFile(file, configuration);
  // No suite asks for SHA1.
  const options = ['-o', 'APT::FTPArchive::SHA1=false'];
  await succeed('apt-ftparchive', [...options, 'generate', file], { limitMs: 240_000 });
}

const theirs = (path: string): string =>
  readFileSync(join(root, 'theirs/dists/full/main', path), 'latin1');

async function ours(suite: string, path: string): Promise<string> {
  const live = parts.live.get(suite);
  const file = live?.files.get(`main/${path}`);
  if (!live || !file) throw new Error(`${suite} has no ${path}`);
  return (await buffer(await readPublishedFile(parts.storage, file))).toString('latin1');
}

/** Path, a tab, and one location for each that a line names. */
function readContents(text: string): Set<string> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Set(
    lines.flatMap((line) => {
      const [, path = '', locations = ''] = /^(.*?)[ \t]+(\S+)$/.exec(line) ?? [];
      return locations.split(',').map((location) => `${path}\t${location}`);
    }),
  );
}

const readParagraphs = (text: string): Set<string> =>
  new Set(text.split(/\n\n+/).flatMap((one) => (one.trim() === '' ? [] : [one.trimEnd()])));

const missing = (from: Set<string>, expected: Set<string>): string[] =>
  [...expected].filter((one) => !from.has(one)).slice(0, 20);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-equality-'));
  parts = await openRepository(root);
  const archive = await fetchArchive();
  const repacked = new Map<string, string>();
  for (const [compression, [from, to]] of Object.entries(REPACKED)) {
    for (const file of archive.slice(from, to)) {
      repacked.set(file, await repack(file, compression, root));
    }
  }
  files = archive.map((file) => repacked.get(file) ?? file);
  const hashes = ['SHA512', 'MD5sum'] as const;
  await publishFirst(parts, { name: 'plain', codename: 'plain' });
  const options = { hashes, translations: true, contents: true };
  await publishFirst(parts, { name: 'full', codename: 'full', options });
  for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
    const some = files.slice(at, at + FILES_AT_ONCE).map((file) => readFileSync(file));
    await ingest(parts, some, { suite: 'plain' });
    await ingest(parts, some, { suite: 'full' });
  }
  await generate();
});
afterAll(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const keysOf = (index: Index): string[] => [...index.keys()].sort();

describe('packages of the archive', () => {
  it('are as many and as varied as was promised', async () => {
    expect(files.length).toBeGreaterThanOrEqual(MINIMUM_ARCHIVE);
    const stanzas = await Promise.all(
      ARCHITECTURES.map((one) => ours('plain', `binary-${one}/Packages`)),
    );
    const text = stanzas.join('\n');
    const kinds = {
      epoch: /^Version: \d+:/m,
      tilde: /^Version: .*~/m,
      plus: /^Version: .*\+/m,
      all: /^Architecture: all$/m,
      arm64: /^Architecture: arm64$/m,
      same: /^Multi-Arch: same$/m,
      foreign: /^Multi-Arch: foreign$/m,
      allowed: /^Multi-Arch: allowed$/m,
      essential: /^Essential: yes$/m,
      'another version of the source': /^Source: .*\(/m,
      'long relations': /^Depends: .{2000}/m,
      'not ASCII': /[\x80-\xff]/,
      'contrib and non-free': /^Section: (contrib|non-free)\//m,
    };
    const lacking = Object.entries(kinds).filter(([, kind]) => !kind.test(text));
    expect(lacking.map(([name]) => name)).toEqual([]);
    const sections = new Set([...text.matchAll(/^Section: (.*)$/gm)].map((match) => match[1]));
    expect(sections.size).toBeGreaterThan(50);
  });

  it('have the stanzas that apt-ftparchive packages gives them, field by field', async () => {
    const all: Index = new Map();
    for (const one of ARCHITECTURES) {
      const index = readIndex(await ours('plain', `binary-${one}/Packages`));
      for (const [name, fields] of index) all.set(name, fields);
    }
    const expected = await indexPool(root, 'pool', 'latin1');
    expect(expected.size).toBeGreaterThanOrEqual(MINIMUM_ARCHIVE);
    expect(compareIndexes(all, expected)).toEqual([]);
  });

  it.each(ARCHITECTURES)('have those with all that a suite may ask for, %s', async (one) => {
    const path = `binary-${one}/Packages`;
    const index = readIndex(await ours('full', path));
    expect(compareIndexes(index, readIndex(theirs(path)))).toEqual([]);
    const plain = readIndex(await ours('plain', path));
    expect(keysOf(index)).toEqual(keysOf(plain));
  });

  it.each(ARCHITECTURES)('have the Contents that apt-ftparchive gives them, %s', async (one) => {
    const path = `Contents-${one}`;
    const [mine, expected] = [readContents(await ours('full', path)), readContents(theirs(path))];
    expect(expected.size).toBeGreaterThan(2000);
    expect([missing(mine, expected), missing(expected, mine)]).toEqual([[], []]);
  });

  it('have the long descriptions that apt-ftparchive gives them', async () => {
    const path = 'i18n/Translation-en';
    const [mine, expected] = [
      readParagraphs(await ours('full', path)),
      readParagraphs(theirs(path)),
    ];
    expect(expected.size).toBeGreaterThan(250);
    expect([missing(mine, expected), missing(expected, mine)]).toEqual([[], []]);
  });
});
