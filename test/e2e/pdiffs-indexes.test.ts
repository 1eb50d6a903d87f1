/**
 * Patches of every index that a suite has: Packages, Sources, Contents, Translation. What the real
 * apt asked for, and that its files are then what the server has.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSource } from '../deb/build-source.ts';
import { ask, type IssuedClient, type Site, startSite } from '../http/start.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch, succeed } from './command.ts';
import { aptkeep } from './program.ts';
import { enrolHost } from './site.ts';

/** So many that a patch of one is smaller than what there is. */
const SOURCES = 8;
const INDEXES = [
  'main/binary-amd64/Packages',
  'main/source/Sources',
  'main/Contents-amd64',
  'main/i18n/Translation-en',
];

/** As apt-file installs it. */
const CONTENTS = `Acquire::IndexTargets::deb::Contents-deb {
  MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
  ShortDescription "Contents-$(ARCHITECTURE)";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)";
  flatMetaKey "Contents-$(ARCHITECTURE)";
  flatDescription "$(RELEASE) Contents (deb)";
};
Acquire::Languages { "en"; };
`;

const scratch = createScratch('pdiffs-indexes');
const data = join(scratch, 'data');
let site: Site;
let reader: IssuedClient;
let root: AptRoot;

/** A source package and its binary package, in one publication. */
async function upload(name: string): Promise<void> {
  const folder = join(scratch, name);
  await mkdir(folder);
  const built = buildSource({ name });
  for (const [file, bytes] of built) await writeFile(join(folder, file), bytes);
  const changes = [...built.keys()].find((file) => file.endsWith('.changes')) ?? '';
  await aptkeep('upload', join(folder, changes), '--suite', 'stable', '--data', data);
}

const listName = (index: string): string => `*_dists_stable_${index.replaceAll('/', '_')}`;

/** What apt asked for of these indexes; its files are then what the server has. */
async function update(): Promise<string[]> {
  const outcome = await root.aptGet('update', '-o', 'Debug::Acquire::https=true');
  expect(outcome.status, outcome.stderr).toBe(0);
  for (const index of INDEXES) {
    const script = `cat ${join(root.directory, 'var/lib/apt/lists', listName(index))}`;
    const has = await succeed('sh', ['-c', script]);
    expect(has.length, index).toBeGreaterThan(0);
    expect(has, index).toBe((await ask(site, reader, `/dists/stable/${index}`)).text);
  }
  const asked = [...outcome.stderr.matchAll(/^GET \/+dists\/stable\/(\S+) HTTP/gm)];
  return asked.map((match) => match[1] ?? '').filter((path) => path.startsWith('main/'));
}

beforeAll(async () => {
  site = await startSite(data);
  reader = await site.issue('reader', 'observer');
  const options = { pdiffs: true, translations: true };
  await site.perform('suite.set', { suite: 'stable', options });
  for (let i = 0; i < SOURCES; i += 1) await upload(`base-${i}`);
  root = (await enrolHost(data, 'web', join(scratch, 'web'))).root;
  await root.install('etc/apt/apt.conf.d/60contents', CONTENTS);
  const sources = 'etc/apt/sources.list.d/aptkeep.sources';
  expect(await root.read(sources)).toContain('deb-src');
});
afterAll(() => site.daemon.stop());

describe('patches', () => {
  it('are there for every index, and apt takes each', async () => {
    await update();
    await upload('later-1');
    await upload('later-2');
    const packages = [{ package: 'base-3', version: '1.0-1' }];
    await site.perform('package.remove', { suite: 'stable', packages });
    const asked = await update();
    const kinds = asked.map((path) => path.replace(/[0-9a-f]{64}/, 'HASH')).sort();
    const expected = INDEXES.flatMap((index) => [
      `${index}.diff/HASH.gz`,
      `${index}.diff/by-hash/SHA256/HASH`,
    ]);
    expect(kinds).toEqual(expected.sort());
  });
});
