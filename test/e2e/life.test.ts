/**
 * Suites that change, as real hosts have it: apt goes back with a rollback and nothing else, leaves
 * a phased version alone, knows what is not automatic, and shows changelogs from the repository.
 */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { cleanEnvironment, createScratch, succeed } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient } from './site.ts';

const scratch = createScratch('life');
const data = join(scratch, 'data');
const here = (...words: string[]): Promise<string> => aptkeep(...words, '--data', data);
let server: Server;
let host: { client: Client; root: AptRoot };

const CHANGELOG = 'hello-uni (1.1) stable; urgency=low\n\n  * Says what is new.\n';

const built = new Map<string, string>();

async function upload(version: string, suite: string): Promise<void> {
  const changelog = gzipSync(CHANGELOG.replace('1.1', version));
  const files = { 'usr/share/doc/hello-uni/changelog.gz': changelog };
  const known = built.get(version);
  const file = known ?? (await buildSmall({ name: 'hello-uni', version, files }, scratch));
  built.set(version, file);
  await here('upload', file, '--suite', suite);
}

/** apt-get that has to succeed without a warning; answers what it said. */
async function aptGet(...words: string[]): Promise<string> {
  const outcome = await host.root.aptGet(...words);
  const said = `${outcome.stdout}${outcome.stderr}`;
  expect(`exit ${outcome.status}\n${said}`).toMatch(/^exit 0\n/);
  expect(said).not.toMatch(/^[WE]: /m);
  return said;
}

const installed = async (): Promise<string | undefined> =>
  (await host.root.listInstalled()).get('hello-uni');

const aptCache = (...words: string[]): Promise<string> => {
  const APT_CONFIG = join(host.root.directory, 'etc/apt/apt.conf');
  return succeed('apt-cache', words, { env: { ...cleanEnvironment(), APT_CONFIG } });
};

const numberOf = async (suite: string): Promise<number> =>
  (JSON.parse(await here('suite', 'show', suite, '--json')) as { publication: number }).publication;

beforeAll(async () => {
  server = await startServer({ data });
  host = await enrolHost(data, 'web', join(scratch, 'web'));
});

describe('a rollback', () => {
  let before = 0;

  it('takes a host back by a plain upgrade', async () => {
    await upload('1.0', 'stable');
    await aptGet('update');
    await aptGet('install', 'hello-uni');
    before = await numberOf('stable');
    await upload('1.1', 'stable');
    await here('package', 'remove', 'hello-uni=1.0', '--suite', 'stable');
    await aptGet('update');
    await aptGet('upgrade');
    expect(await installed()).toBe('1.1');
    const said = await here(
      ...['publication', 'rollback', 'stable', '--to', String(before)],
      ...['--reason', '1.1 says too much'],
    );
    expect(said).toMatch(/^v +hello-uni +all +main +1\.1 -> 1\.0$/m);
    await aptGet('update');
    await aptGet('upgrade');
    expect(await installed()).toBe('1.0');
  });

  it('is on record, with its reason, and asked for again makes nothing', async () => {
    const number = await numberOf('stable');
    const list = await here('publication', 'list', 'stable');
    expect(list).toMatch(
      new RegExp(`^${number} .*roll back to ${before}: 1\\.1 says too much$`, 'm'),
    );
    const again = [
      'publication',
      'rollback',
      'stable',
      '--to',
      String(before),
      '--reason',
      'again',
    ];
    expect(await here(...again)).toBe(`they list the same\nsuite stable, publication ${number}\n`);
    const diff = await here('publication', 'diff', 'stable', String(number - 1), String(number));
    expect(diff).toMatch(/^\+ +hello-uni +all +main +1\.0$/m);
    expect(diff).toMatch(/^- +hello-uni +all +main +1\.1$/m);
    const refused = await runAptkeep([
      ...again.slice(0, 4),
      '99',
      ...again.slice(5),
      '--data',
      data,
    ]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      'aptkeep: no such publication: suite stable has no publication 99\n',
    ]);
  });
});

describe('a phase', () => {
  const simulate = async (id: string, ...words: string[]): Promise<boolean> =>
    (await aptGet('-s', '-o', `APT::Machine-ID=${id}`, ...words, 'upgrade')).includes(
      'Inst hello-uni',
    );
  const phase = (percentage: number): Promise<string> =>
    here(
      ...['package', 'phase', 'hello-uni=1.1', '--suite', 'stable'],
      ...['--percentage', String(percentage)],
    );

  it('offers a version to its share of the hosts, and to the others nothing', async () => {
    await upload('1.1', 'stable');
    await phase(50);
    await aptGet('update');
    const ids = Array.from({ length: 16 }, (_, i) => i.toString(16).repeat(32));
    const taken: boolean[] = [];
    for (const id of ids) taken.push(await simulate(id));
    expect(new Set(taken)).toEqual(new Set([true, false]));
    const out = ids[taken.indexOf(false)] ?? '';
    const all = ['-o', 'APT::Get::Always-Include-Phased-Updates=true'];
    expect(await simulate(out, ...all)).toBe(true);
    await phase(100);
    await aptGet('update');
    expect(await simulate(out)).toBe(true);
    await aptGet('upgrade');
    expect(await installed()).toBe('1.1');
  });
});

describe('a suite that is not automatic', () => {
  it('is installed from where asked for, and pinned by apt as it says', async () => {
    const identity = ['--origin', 'Test', '--label', 'Test'];
    await here('suite', 'create', 'later', ...identity, '--not-automatic');
    await here('package', 'copy', 'hello-uni=1.1', '--from', 'stable', '--to', 'later');
    await upload('2.0', 'later');
    const flags = ['--not-automatic', '--but-automatic-upgrades'];
    await here('suite', 'create', 'latest', ...identity, ...flags);
    await upload('3.0', 'latest');
    host = await enrolHost(data, 'db', join(scratch, 'db'));
    await aptGet('update');
    const policy = await aptCache('policy', 'hello-uni');
    expect(policy).toMatch(/^ +Candidate: 1\.1$/m);
    expect(policy).toMatch(/^ +3\.0 100$/m);
    expect(policy).toMatch(/^ +2\.0 1$/m);
    expect(policy).toMatch(/^ +1\.1 1001$/m);
    await aptGet('install', 'hello-uni/later');
    expect(await installed()).toBe('2.0');
  });
});

describe('a suite that changes', () => {
  it('has components and architectures more at the next update', async () => {
    const more = ['--components', 'main,extra', '--architectures', 'amd64,arm64,riscv64'];
    await here('suite', 'set', 'stable', ...more, '--description', 'What runs');
    await aptGet('update');
    const sources = '/etc/apt/sources.list.d/aptkeep.sources';
    const own = await host.root.read(sources);
    await host.root.install(
      sources,
      own.replace(/(Suites: stable\nComponents: main)$/m, '$1 extra'),
    );
    const file = await buildSmall({ name: 'hello-extra', version: '1.0' }, scratch);
    await here('upload', file, '--suite', 'stable', '--component', 'extra');
    await aptGet('update');
    await aptGet('install', 'hello-extra');
    const refused = await runAptkeep([
      'suite',
      'set',
      'stable',
      '--components',
      'main',
      '--data',
      data,
    ]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining('aptkeep: suite in use: suite stable lists packages'),
    ]);
  });

  it('is refused by apt under another identity until somebody agrees, as the command says', async () => {
    const label = ['suite', 'set', 'stable', '--label', 'Other'];
    const refused = await runAptkeep([...label, '--data', data]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('--allow-releaseinfo-change');
    await here(...label, '--force-identity');
    const outcome = await host.root.aptGet('update');
    expect(outcome.status).toBe(100);
    expect(outcome.stderr).toContain("changed its 'Label' value");
    await aptGet('update', '--allow-releaseinfo-change');
    await aptGet('update');
  });
});

describe('a changelog', () => {
  it('comes from the repository, to those who may read the package', async () => {
    await here('suite', 'set', 'stable', '--changelogs');
    await aptGet('update');
    const said = await aptGet('changelog', 'hello-uni=1.1');
    expect(said).toContain('Says what is new.');
    await here('group', 'create', 'narrow', '--suites', 'latest');
    const stranger = await issueClient(data, 'stranger', 'host');
    await here('host', 'set', 'stranger', '--group', 'narrow');
    const path = `${server.url}/changelogs/main/h/hello-uni/hello-uni_1.1`;
    expect((await curl(host.client, path)).body).toBe(CHANGELOG);
    for (const [client, url] of [
      [stranger, path],
      [host.client, `${path}0`],
      [host.client, path.replace('/main/', '/other/')],
      [host.client, path.replace('/h/', '/x/')],
      [host.client, `${server.url}/changelogs/main/h/hello-uni`],
    ] as const) {
      expect((await curl(client, url)).status).toBe(404);
    }
    await here('suite', 'set', 'stable', '--no-changelogs');
    expect((await curl(host.client, path)).status).toBe(404);
    expect(await server.stop()).toBe(0);
  });
});
