/** Who may copy what: an uploader what they might upload themselves, and from where they may read. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../src/operations/operation.ts';
import { perform } from '../../src/operations/perform.ts';
import { createSuite } from '../../src/repository/suites.ts';
import { createPackage, STABLE } from '../repository/open.ts';
import { ACTORS, type OpenSite, openSite } from './open.ts';

let site: OpenSite;

beforeAll(async () => {
  site = await openSite();
  for (const name of ['testing', 'secret']) {
    const input = { name, origin: 'Uni', label: 'Uni' };
    await perform(site.parts, ACTORS.admin, 'suite.create', input);
  }
  const signed = { ...STABLE, name: 'signed', options: { signers: ['A'.repeat(40)] } };
  await createSuite(site.parts.repository, signed);
  for (const suite of ['testing', 'secret']) {
    for (const name of ['lu-a', 'lu-b', 'sudo']) {
      const file = await site.receive(createPackage({ name }));
      await perform(site.parts, ACTORS.admin, 'package.add', { files: [file], suite });
      await site.discard(file);
    }
  }
});
afterAll(() => site.close());

const uploader = (limits: Partial<Actor> = {}): Actor => ({ ...ACTORS.uploader, ...limits });

const copy = (actor: Actor, from: string, to: string, ...names: string[]) =>
  perform(site.parts, actor, 'package.copy', {
    ...{ from, to },
    ...(names.length ? { packages: names.map((name) => ({ package: name })) } : { all: true }),
  });

describe('an uploader', () => {
  it('copies into their suites, from what they may read, what they may add', async () => {
    const actor = uploader({ suites: ['testing', 'stable'], packages: ['lu-*'] });
    const { copied } = await copy(actor, 'testing', 'stable', 'lu-a', 'lu-b');
    expect(copied.map((one) => one.package)).toEqual(['lu-a', 'lu-b']);
  });

  it.each([
    ['a suite that is not theirs', { suites: ['testing'] }, 'testing', 'stable', 'SUITE_FORBIDDEN'],
    ['from one they may not read', { suites: ['stable'] }, 'secret', 'stable', 'SUITE_FORBIDDEN'],
    ['a name that is not theirs', { packages: ['lu-*'] }, 'testing', 'stable', 'PACKAGE_FORBIDDEN'],
    ['what needs a signature', {}, 'testing', 'signed', 'SUITE_FORBIDDEN'],
  ] as const)('does not copy into %s', async (_name, limits, from, to, code) => {
    await expect(copy(uploader(limits), from, to, 'lu-a', 'sudo')).rejects.toMatchObject({ code });
    const { packages } = await perform(site.parts, ACTORS.admin, 'package.list', { query: 'sudo' });
    expect(packages.map((one) => one.suite)).not.toContain(to);
  });

  it('takes all of a suite or nothing', async () => {
    const limits = { packages: ['lu-*'] };
    await expect(copy(uploader(limits), 'testing', 'stable')).rejects.toMatchObject({
      code: 'PACKAGE_FORBIDDEN',
    });
    expect((await copy(ACTORS.admin, 'testing', 'signed')).copied).toHaveLength(3);
  });

  it('neither removes nor phases nor goes back', async () => {
    const packages = [{ package: 'lu-a', version: '1.0' }];
    for (const [name, input] of [
      ['package.remove', { suite: 'testing', packages }],
      ['package.phase', { suite: 'testing', packages, percentage: 10 }],
      ['publication.rollback', { suite: 'testing', to: 1, reason: 'a test' }],
      ['suite.set', { suite: 'testing', description: 'x' }],
      ['suite.remove', { suite: 'testing' }],
    ] as const) {
      await expect(perform(site.parts, uploader(), name, input)).rejects.toMatchObject({
        code: 'ROLE_FORBIDDEN',
      });
    }
  });
});

describe('what is asked for', () => {
  it.each([
    ['neither names nor all', { from: 'testing', to: 'stable' }],
    ['names and all', { from: 'testing', to: 'stable', all: true, packages: [{ package: 'a' }] }],
    ['a name that is none', { from: 'testing', to: 'stable', packages: [{ package: '' }] }],
    ['a word too many', { from: 'testing', to: 'stable', packages: [{ package: 'a', arch: 'x' }] }],
  ])('is refused where it is %s', async (_name, input) => {
    await expect(perform(site.parts, ACTORS.admin, 'package.copy', input)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    });
  });

  it('is refused where a removal does not say which version, or a suite is not there', async () => {
    const removal = { suite: 'testing', packages: [{ package: 'lu-a' }] };
    await expect(
      perform(site.parts, ACTORS.admin, 'package.remove', removal),
    ).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const packages = [{ package: 'lu-a', version: '1.0' }];
    await expect(
      perform(site.parts, ACTORS.admin, 'package.remove', { suite: 'nowhere', packages }),
    ).rejects.toMatchObject({ code: 'SUITE_UNKNOWN' });
  });
});

describe('a suite that groups of hosts name', () => {
  it('goes only with force, and the groups that named it are told and left without it', async () => {
    const { parts } = site;
    const group = { group: 'lab', suites: ['secret'] };
    await perform(parts, ACTORS.admin, 'group.create', group);
    await expect(
      perform(parts, ACTORS.admin, 'suite.remove', { suite: 'secret' }),
    ).rejects.toMatchObject({ code: 'SUITE_IN_USE', message: expect.stringContaining('lab') });
    const removed = await perform(parts, ACTORS.admin, 'suite.remove', {
      ...{ suite: 'secret', force: 'true' },
    });
    expect(removed).toEqual({ suite: 'secret', packages: 3, groups: ['lab'] });
    const shown = await perform(parts, ACTORS.admin, 'group.show', { group: 'lab' });
    expect(shown.suites).toEqual([]);
  });
});
