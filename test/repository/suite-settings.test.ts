/** Suites that change and suites that end: what hosts are served before, meanwhile and after. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeSuite } from '../../src/repository/suite-end.ts';
import { type SuiteSettings, setSuite } from '../../src/repository/suite-settings.ts';
import { getSuite } from '../../src/repository/suites.ts';
import {
  createPackage,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
} from './open.ts';

let root: string;
let parts: OpenRepository;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-suite-settings-'));
  parts = await openRepository(root);
  await publishFirst(parts);
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const set = (settings: SuiteSettings, forced: { forceIdentity?: boolean; force?: boolean } = {}) =>
  setSuite(parts, 'stable', {
    ...{ settings, force: false, forceIdentity: false, actor: 'test' },
    ...forced,
  }).then(({ number }) => number);

const readField = (name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(parts.live.get('stable')?.release.toString() ?? '')?.[1];

const listPaths = (): string[] => [...(parts.live.get('stable')?.files.keys() ?? [])].sort();

describe('a suite that is set', () => {
  it('is what it was set to with one publication, and nothing is published twice', async () => {
    const settings: SuiteSettings = {
      description: 'What runs',
      components: ['main', 'extra'],
      architectures: ['amd64', 'arm64', 'riscv64'],
      options: { version: '12.1', hashes: ['SHA512'], retention: { newest: 3, days: 30 } },
    };
    expect(await set(settings)).toBe(2);
    expect(readField('Description')).toBe('What runs');
    expect(readField('Components')).toBe('main extra');
    expect(readField('Architectures')).toBe('amd64 arm64 riscv64');
    expect(readField('Version')).toBe('12.1');
    expect(listPaths()).toContain('extra/binary-riscv64/Packages.gz');
    expect(await set(settings)).toBe(2);
    const suite = await getSuite(parts, 'stable');
    expect(suite.options).toMatchObject({ hashes: ['SHA512'], retention: { newest: 3, days: 30 } });
    expect(await set({ options: { version: '' } })).toBe(3);
    expect(readField('Version')).toBeUndefined();
    expect((await getSuite(parts, 'stable')).options.hashes).toEqual(['SHA512']);
  });

  it('shows a package for every architecture to one that is new', async () => {
    await ingest(parts, [createPackage({ name: 'everywhere' })]);
    await set({ architectures: ['amd64', 'arm64', 'riscv64'] });
    const files = parts.live.get('stable')?.files;
    const sizes = ['amd64', 'arm64', 'riscv64'].map(
      (one) => files?.get(`main/binary-${one}/Packages`)?.sha256,
    );
    expect(new Set(sizes).size).toBe(1);
  });

  it('keeps what every host would refuse, unless that is asked for', async () => {
    for (const settings of [
      { origin: 'Other' },
      { label: 'Other' },
      { codename: 'other' },
      { options: { notAutomatic: true } },
    ] satisfies SuiteSettings[]) {
      await expect(set(settings)).rejects.toMatchObject({
        code: 'IDENTITY_KEPT',
        message: expect.stringContaining('--allow-releaseinfo-change'),
      });
    }
    expect(parts.live.get('stable')?.number).toBe(1);
    const options = { notAutomatic: true, butAutomaticUpgrades: true };
    expect(await set({ label: 'Other', options }, { forceIdentity: true })).toBe(2);
    expect(readField('Label')).toBe('Other');
    expect(readField('NotAutomatic')).toBe('yes');
    expect(readField('ButAutomaticUpgrades')).toBe('yes');
  });

  it('loses no package with a component or an architecture, unless that is asked for', async () => {
    await set({ components: ['main', 'extra'] });
    await ingest(parts, [createPackage({ name: 'only', architecture: 'arm64' })]);
    await ingest(parts, [createPackage({ name: 'more' })], { component: 'extra' });
    const fewer: SuiteSettings = { components: ['main'], architectures: ['amd64'] };
    await expect(set(fewer)).rejects.toMatchObject({
      code: 'SUITE_IN_USE',
      message: expect.stringMatching(
        /1 in extra\/all.*1 in main\/arm64|1 in main\/arm64.*1 in extra/,
      ),
    });
    await set(fewer, { force: true });
    expect(listPaths()).toEqual(['main/binary-amd64/Packages', 'main/binary-amd64/Packages.gz']);
    expect(parts.live.get('stable')?.files.get('main/binary-amd64/Packages')?.size).toBe(0);
  });

  it.each([
    [{ components: [] }, 'component'],
    [{ architectures: ['all'] }, '"all"'],
    [{ components: ['../x'] }, '../x'],
    [{ description: 'two\nlines' }, 'Description'],
    [{ options: { version: 'two\nlines' } }, 'Version'],
    [{ options: { butAutomaticUpgrades: true } }, 'NotAutomatic'],
  ] satisfies [SuiteSettings, string][])('refuses %j', async (settings, what) => {
    await expect(set(settings)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(what),
    });
    expect(parts.live.get('stable')?.number).toBe(1);
  });
});

describe('a suite that is removed', () => {
  const remove = (force = false) => removeSuite(parts, 'stable', { force }, async () => {});

  it('is gone, and one of its name goes on with its numbers and its Date', async () => {
    await ingest(parts, [createPackage({ name: 'hello' })]);
    const date = parts.live.get('stable')?.date ?? 0;
    await expect(remove()).rejects.toMatchObject({ code: 'SUITE_IN_USE' });
    expect(await remove(true)).toEqual({ packages: 1 });
    expect(parts.live.has('stable')).toBe(false);
    await expect(getSuite(parts, 'stable')).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
    await expect(remove()).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
    await publishFirst(parts, { origin: 'Somebody else' });
    const again = parts.live.get('stable');
    expect(again).toMatchObject({ number: 3 });
    expect(again?.date).toBeGreaterThan(date);
    expect(again?.files.get('main/binary-amd64/Packages')?.size).toBe(0);
    const [added] = await ingest(parts, [createPackage({ name: 'hello' })]);
    expect(added).toMatchObject({ publication: 4, isNew: true });
  });

  it('stays removed when the program starts again', async () => {
    await remove();
    await parts.close();
    parts = await openRepository(root);
    expect([...parts.live.keys()]).toEqual([]);
  });
});
