/**
 * What a suite lists changes: copied, removed, phased, compared, gone back to. What is published is
 * read back by gzip, and versions are ordered by dpkg.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPackage } from '../../src/catalog/packages.ts';
import { listPackagesAt } from '../../src/catalog/standing.ts';
import { comparePublications } from '../../src/repository/compare.ts';
import { type CopyRequest, copyPackages } from '../../src/repository/copy.ts';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import { rollBack } from '../../src/repository/rollback.ts';
import { spellStanding } from '../../src/repository/standing.ts';
import { removeSuite } from '../../src/repository/suite-end.ts';
import { setSuite } from '../../src/repository/suite-settings.ts';
import { phasePackages, removePackages } from '../../src/repository/withdraw.ts';
import { buildSource, fileOf, filesOf } from '../deb/build-source.ts';
import {
  createPackage,
  ingest,
  listKeys,
  type OpenRepository,
  openRepository,
  publishFirst,
} from './open.ts';

let root: string;
let parts: OpenRepository;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-life-'));
  parts = await openRepository(root);
  await publishFirst(parts);
  await publishFirst(parts, { name: 'testing', codename: 'testing', architectures: ['amd64'] });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

/** What a suite's Packages for amd64 says of each of its packages, unpacked by gzip. */
async function readIndex(suite = 'stable', component = 'main'): Promise<string[]> {
  const live = parts.live.get(suite);
  const file = live?.files.get(`${component}/binary-amd64/Packages.gz`);
  if (!live || !file) throw new Error(`${suite} has no ${component}`);
  const bytes = await buffer(await readPublishedFile(parts.storage, file));
  const plain = execFileSync('gzip', ['-dc'], { input: bytes }).toString();
  return plain
    .split('\n\n')
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => {
      const read = (name: string): string =>
        new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
      const phase = read('Phased-Update-Percentage');
      return `${read('Package')} ${read('Version')}${phase ? ` ${phase} %` : ''}`;
    })
    .sort();
}

const copy = (request: Partial<CopyRequest>) =>
  copyPackages(parts, {
    ...{ from: 'stable', to: 'testing', packages: null, component: undefined },
    ...{ withSource: false, actor: 'test', checkName: () => {} },
    ...request,
  });

const remove = (word: string, suite = 'stable') => {
  const [name = '', version = ''] = word.split('=');
  return removePackages(parts, {
    ...{ suite, packages: [{ package: name, version }], component: undefined, actor: 'test' },
  });
};

const add = (name: string, version = '1.0', architecture = 'all') =>
  ingest(parts, [createPackage({ name, version, architecture })]);

describe('a copy', () => {
  it('lists the newest of what was named, and moves no byte', async () => {
    // dpkg: 1.10 is newer than 1.9, and 1:0.1 newer than both.
    for (const version of ['1.9', '1.10', '1:0.1']) await add('a', version);
    execFileSync('dpkg', ['--compare-versions', '1:0.1', 'gt', '1.10']);
    await add('b');
    const before = await listKeys(parts.storage, 'pool/');
    const result = await copy({ packages: [{ package: 'a' }, { package: 'b' }] });
    expect(result.copied.map(spellStanding)).toEqual(['a 1:0.1 all', 'b 1.0 all']);
    expect(result.publication).toBe(2);
    expect(await readIndex('testing')).toEqual(['a 1:0.1', 'b 1.0']);
    expect(await listKeys(parts.storage, 'pool/')).toEqual(before);
    const again = await copy({ packages: [{ package: 'a' }, { package: 'a', version: '1.9' }] });
    expect(again.unchanged.map(spellStanding)).toEqual(['a 1:0.1 all']);
    expect(again.copied.map(spellStanding)).toEqual(['a 1.9 all']);
    expect(await copy({ packages: [{ package: 'a' }] })).toMatchObject({
      ...{ copied: [], publication: 3 },
    });
    expect(parts.live.get('testing')?.number).toBe(3);
  });

  it('takes everything but what has no place there, and says so', async () => {
    await add('a');
    await add('only', '1.0', 'arm64');
    const result = await copy({});
    expect(result.copied.map(spellStanding)).toEqual(['a 1.0 all']);
    expect(result.skipped.map(spellStanding)).toEqual(['only 1.0 arm64']);
    const named = [{ package: 'only', architecture: 'arm64' }];
    await expect(copy({ packages: named })).rejects.toMatchObject({
      code: 'PACKAGE_UNACCEPTABLE',
      message: expect.stringContaining('only 1.0 arm64'),
    });
  });

  it('is whole or not at all', async () => {
    await add('a');
    const packages = [{ package: 'a' }, { package: 'nothing', version: '1.0' }];
    await expect(copy({ packages })).rejects.toMatchObject({
      code: 'PACKAGE_UNKNOWN',
      message: expect.stringContaining('nothing=1.0'),
    });
    await expect(copy({ component: 'extra' })).rejects.toMatchObject({ code: 'COMPONENT_UNKNOWN' });
    await expect(copy({ from: 'nowhere' })).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
    await expect(copy({ to: 'nowhere' })).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
    await expect(copy({ withSource: true })).rejects.toMatchObject({
      code: 'PACKAGE_UNKNOWN',
      message: expect.stringContaining('source package a 1.0'),
    });
    expect(parts.live.get('testing')?.number).toBe(1);
    expect(await readIndex('testing')).toEqual([]);
  });

  it('takes the sources along where that is asked for, and where they are named', async () => {
    const files = buildSource({ name: 'hello' });
    await ingest(parts, filesOf(files, fileOf(files, '.changes')));
    const spell = async (request: Partial<CopyRequest>): Promise<string[]> =>
      (await copy(request)).copied.map(spellStanding);
    expect(await spell({ packages: [{ package: 'hello' }] })).toEqual(['hello 1.0-1 all']);
    expect(parts.live.get('testing')?.files.has('main/source/Sources')).toBe(false);
    const both = { packages: [{ package: 'hello' }], withSource: true };
    expect(await spell(both)).toEqual(['hello 1.0-1 source']);
    expect(parts.live.get('testing')?.files.get('main/source/Sources')?.size).toBeGreaterThan(0);
    const named = [{ package: 'hello', version: '1.0-1', architecture: 'source' }];
    const request = { suite: 'testing', component: undefined, actor: 'test' };
    const { removed } = await removePackages(parts, { ...request, packages: named });
    expect(removed.map(spellStanding)).toEqual(['hello 1.0-1 source']);
    expect(await readIndex('testing')).toEqual(['hello 1.0-1']);
    await expect(
      phasePackages(parts, { ...request, suite: 'stable', packages: named, percentage: 10 }),
    ).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });

  it('may stand in another component, and none is made twice by many at once', async () => {
    const settings = { components: ['main', 'extra'] };
    const request = { settings, force: false, forceIdentity: false, actor: 'test' };
    await setSuite(parts, 'testing', request);
    await add('a');
    await Promise.all(Array.from({ length: 5 }, () => copy({ component: 'extra' })));
    expect(await readIndex('testing', 'extra')).toEqual(['a 1.0']);
    expect(await readIndex('testing')).toEqual([]);
    expect(parts.live.get('testing')?.number).toBe(3);
  });
});

describe('a removal', () => {
  it('takes out the version that was named and no other', async () => {
    await add('a', '1.0');
    await add('a', '2.0');
    const { removed, publication } = await remove('a=2.0');
    expect(removed.map(spellStanding)).toEqual(['a 2.0 all']);
    expect(publication).toBe(4);
    expect(await readIndex()).toEqual(['a 1.0']);
    await expect(remove('a=2.0')).rejects.toMatchObject({
      code: 'PACKAGE_UNKNOWN',
      message: expect.stringContaining('a=2.0'),
    });
    expect(parts.live.get('stable')?.number).toBe(4);
  });
});

describe('a phase', () => {
  const phase = (percentage: number) =>
    phasePackages(parts, {
      ...{ suite: 'stable', packages: [{ package: 'a', version: '1.0' }], percentage },
      ...{ component: undefined, actor: 'test' },
    });

  it('stands in the index of its suite and nowhere else, until everybody has it', async () => {
    await add('a');
    expect(await phase(10)).toMatchObject({ publication: 3, phased: [{ phased: 10 }] });
    expect(await phase(10)).toMatchObject({ publication: 3 });
    expect(await readIndex()).toEqual(['a 1.0 10 %']);
    await add('b');
    await parts.close();
    parts = await openRepository(root);
    await add('c');
    expect(await readIndex()).toEqual(['a 1.0 10 %', 'b 1.0', 'c 1.0']);
    await copy({ packages: [{ package: 'a' }] });
    expect(await readIndex('testing')).toEqual(['a 1.0']);
    const row = await findPackage(parts.catalog, 'a', '1.0', 'all');
    expect(Buffer.from(row?.stanza ?? []).toString()).not.toContain('Phased');
    await phase(100);
    expect(await readIndex()).toEqual(['a 1.0', 'b 1.0', 'c 1.0']);
  });

  it('is the server’s: what a package says of itself is not passed on', async () => {
    await ingest(parts, [createPackage({ name: 'a', fields: 'Phased-Update-Percentage: 0\n' })]);
    expect(await readIndex()).toEqual(['a 1.0']);
  });
});

describe('publications', () => {
  const diff = (from: number, to: number) =>
    comparePublications(parts, 'stable', { from, to }).then(
      ({ added, removed, upgraded, downgraded }) => ({
        added: added.map(spellStanding),
        removed: removed.map(spellStanding),
        upgraded: upgraded.map((one) => `${one.package} ${one.from} ${one.to}`),
        downgraded: downgraded.map((one) => `${one.package} ${one.from} ${one.to}`),
      }),
    );

  it('are compared by what they list, in both directions', async () => {
    await add('a', '1.0');
    await add('b');
    await add('a', '1.1');
    await remove('b=1.0');
    const after = {
      ...{ added: ['a 1.1 all'], removed: ['b 1.0 all'], upgraded: ['a 1.0 1.1'], downgraded: [] },
    };
    expect(await diff(3, 5)).toEqual(after);
    expect(await diff(5, 3)).toEqual({
      ...{ added: ['b 1.0 all'], removed: ['a 1.1 all'], upgraded: [], downgraded: ['a 1.1 1.0'] },
    });
    expect(await diff(4, 4)).toEqual({ added: [], removed: [], upgraded: [], downgraded: [] });
    await expect(diff(1, 99)).rejects.toMatchObject({ code: 'PUBLICATION_UNKNOWN' });
  });

  it.each([1, 7, 23])(
    'differ as what they list does, after any history (seed %i)',
    async (seed) => {
      let state = seed;
      const next = (limit: number): number => {
        state = (state * 48_271) % 2_147_483_647; // Lehmer's generator: the same history every run
        return state % limit;
      };
      for (let step = 0; step < 14; step += 1) {
        const [name, version] = [`p${next(3)}`, `1.${next(3)}`];
        const wanted = [{ package: name, version }];
        const request = { suite: 'stable', packages: wanted, component: undefined, actor: 'test' };
        const listed = (await readIndex()).some((one) => one.startsWith(`${name} ${version}`));
        if (!listed) await add(name, version);
        else if (next(2) === 0) await remove(`${name}=${version}`);
        else await phasePackages(parts, { ...request, percentage: 10 * next(10) });
      }
      const last = parts.live.get('stable')?.number ?? 0;
      const list = async (number: number): Promise<string[]> =>
        (await listPackagesAt(parts.catalog, 'stable', number)).map(spellStanding).sort();
      for (let from = 1; from <= last; from += 1) {
        for (let to = 1; to <= last; to += 1) {
          const [before, after] = [await list(from), await list(to)];
          const { added, removed } = await diff(from, to);
          expect(added.sort()).toEqual(after.filter((one) => !before.includes(one)));
          expect(removed.sort()).toEqual(before.filter((one) => !after.includes(one)));
        }
      }
    },
  );

  it('are gone back to by a new one that is newer', async () => {
    await add('a', '1.0');
    await phasePackages(parts, {
      ...{ suite: 'stable', packages: [{ package: 'a', version: '1.0' }], percentage: 20 },
      ...{ component: undefined, actor: 'test' },
    });
    await add('a', '1.1');
    await remove('a=1.0');
    await add('b');
    const before = parts.live.get('stable');
    const request = { to: 3, reason: '1.1 is broken', actor: 'test' };
    const result = await rollBack(parts, 'stable', request);
    expect(result).toMatchObject({ publication: 7, downgraded: [{ from: '1.1', to: '1.0' }] });
    expect(await readIndex()).toEqual(['a 1.0 20 %']);
    expect(parts.live.get('stable')?.date).toBeGreaterThan(before?.date ?? 0);
    expect(await rollBack(parts, 'stable', request)).toMatchObject({ publication: 7 });
    expect(parts.live.get('stable')?.number).toBe(7);
    // And forward again.
    await rollBack(parts, 'stable', { ...request, to: 6 });
    expect(await readIndex()).toEqual(['a 1.1', 'b 1.0']);
  });

  it('are not gone back to where the pool has lost what they listed, or the suite its place', async () => {
    await add('a');
    await remove('a=1.0');
    const back = { to: 2, reason: 'a test', actor: 'test' };
    const row = await findPackage(parts.catalog, 'a', '1.0', 'all');
    const bytes = await buffer(await parts.storage.read(row?.filename ?? ''));
    await parts.storage.remove(row?.filename ?? '');
    await expect(rollBack(parts, 'stable', back)).rejects.toMatchObject({
      code: 'CONTENTS_GONE',
      message: expect.stringContaining('a 1.0 all'),
    });
    await parts.storage.write(row?.filename ?? '', bytes);
    const settings = { components: ['other'] };
    const request = { settings, force: false, forceIdentity: false, actor: 'test' };
    await setSuite(parts, 'stable', request);
    await expect(rollBack(parts, 'stable', back)).rejects.toMatchObject({
      code: 'CONTENTS_GONE',
      message: expect.stringContaining('a 1.0 all of main'),
    });
    await expect(rollBack(parts, 'stable', { ...back, to: 99 })).rejects.toMatchObject({
      code: 'PUBLICATION_UNKNOWN',
    });
    expect(parts.live.get('stable')?.number).toBe(4);
  });

  it('of a suite that was removed and made again are gone back to too', async () => {
    await add('a');
    const last = parts.live.get('stable');
    await removeSuite(parts, 'stable', { force: true }, async () => {});
    await publishFirst(parts);
    expect(await readIndex()).toEqual([]);
    const back = { to: 2, reason: 'removed by mistake', actor: 'test' };
    expect(await rollBack(parts, 'stable', back)).toMatchObject({ publication: 4 });
    expect(await readIndex()).toEqual(['a 1.0']);
    expect(parts.live.get('stable')?.date).toBeGreaterThan(last?.date ?? 0);
  });
});
