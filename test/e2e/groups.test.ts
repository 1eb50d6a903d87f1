/**
 * Hosts in groups, through the program's own commands and the real apt: each updates what its group
 * may read, and is told in apt's own line what it may not.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildDeb } from '../http/packages.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch } from './command.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, putFile, remoteFlags } from './site.ts';

const SOURCES = '/etc/apt/sources.list.d/aptkeep.sources';

const scratch = createScratch('groups');
const data = join(scratch, 'data');
const here = (...words: string[]): Promise<string> => aptkeep(...words, '--data', data);
let server: Server;
let host: { client: Client; root: AptRoot };

beforeAll(async () => {
  server = await startServer({ data });
  await here('suite', 'create', 'secret', '--origin', 'Test', '--label', 'Test');
  for (const [name, suite] of [
    ['for-all', 'stable'],
    ['for-few', 'secret'],
  ] as const) {
    const file = join(scratch, `${name}.deb`);
    await writeFile(file, buildDeb(name));
    await here('upload', file, '--suite', suite);
  }
  await here('group', 'create', 'lab', '--suites', 'stable', '--description', 'the laboratory');
  await here('host', 'add', 'lab-1', '--group', 'lab');
  host = await enrolHost(data, 'lab-1', join(scratch, 'lab-1'));
});

/** The sources of a host that somebody has put another suite into. */
async function addSource(suite: string): Promise<void> {
  const own = await host.root.read(SOURCES);
  await host.root.install(SOURCES, `${own}\n${own.replace('Suites: stable', `Suites: ${suite}`)}`);
}

describe('a host of a group', () => {
  it('has the suites of its group in its sources, and updates them', async () => {
    expect((await host.root.read(SOURCES)).match(/^Suites: .*$/gm)).toEqual(['Suites: stable']);
    const outcome = await host.root.aptGet('update');
    expect(`exit ${outcome.status}\n${outcome.stderr}`).toBe('exit 0\n');
    await host.root.aptGet('install', 'for-all');
    expect((await host.root.listInstalled()).get('for-all')).toBe('1.0');
  });

  it('is told by apt what it may not, exit 100, and keeps what it may', async () => {
    await addSource('secret');
    const outcome = await host.root.aptGet('update');
    expect(outcome.status).toBe(100);
    expect(outcome.stderr).toMatch(/\/dists\/secret\/InRelease\s+403\s+Suite not allowed/);
    expect(outcome.stderr).not.toMatch(/\/dists\/stable\/.*403/);
    const reinstalled = await host.root.aptGet('install', '--reinstall', 'for-all');
    expect(`exit ${reinstalled.status}\n${reinstalled.stderr}`).toMatch(/^exit 0\n/);
  });

  it('reads more at once when its group may, and less again when it is moved', async () => {
    expect(await here('group', 'set', 'lab', '--suites', 'stable,secret')).toMatch(
      /^suites +stable secret$/m,
    );
    expect((await host.root.aptGet('update')).status).toBe(0);
    await host.root.aptGet('install', 'for-few');
    expect((await host.root.listInstalled()).get('for-few')).toBe('1.0');
    await here('group', 'create', 'narrow', '--suites', 'stable');
    expect(await here('host', 'set', 'lab-1', '--group', 'narrow')).toMatch(/^group +narrow$/m);
    await host.root.aptGet('clean');
    const outcome = await host.root.aptGet('install', '--reinstall', 'for-few');
    expect(outcome.status).toBe(100);
    expect(outcome.stderr).toMatch(/for-few_1\.0_all\.deb\s+403\s+Suite not allowed/);
  });
});

describe('the command line', () => {
  it('shows who is where and may read what', async () => {
    expect(await here('group', 'list')).toMatch(/^narrow +stable +1$/m);
    expect(await here('group', 'list')).toMatch(/^lab +stable secret +0 +the laboratory$/m);
    expect(await here('group', 'list')).toMatch(/^default +all +0 /m);
    expect(await here('group', 'show', 'narrow')).toMatch(/^hosts +lab-1$/m);
    expect(await here('host', 'list')).toMatch(/^lab-1 +narrow /m);
    expect(await here('group', 'set', 'lab', '--all-suites')).toMatch(/^suites +all$/m);
  });

  it('removes a group when nobody is in it, and says who is', async () => {
    const refused = await runAptkeep(['group', 'remove', 'narrow', '--data', data]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      'aptkeep: group in use: group narrow has lab-1: put them into another group first\n',
    ]);
    expect(await here('group', 'remove', 'lab')).toBe('removed lab\n');
  });

  it('works over the network with the role of a certificate', async () => {
    const admin = await issueClient(data, 'root', 'admin');
    const observer = await issueClient(data, 'watcher', 'observer');
    const flags = (client: Client): string[] => remoteFlags(client, server.url);
    await aptkeep('group', 'create', 'far', '--suites', 'secret', ...flags(admin));
    await aptkeep('group', 'set', 'far', '--all-suites', ...flags(admin));
    expect(await aptkeep('group', 'show', 'far', ...flags(observer))).toMatch(/^suites +all$/m);
    const refused = await runAptkeep(['group', 'remove', 'far', ...flags(observer)]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      'aptkeep: role not allowed: group.remove needs the role admin; watcher is observer\n',
    ]);
    await aptkeep('group', 'remove', 'far', ...flags(admin));
  });

  it('limits an uploader to package names, which curl is told too', async () => {
    const limits = ['--suites', 'stable', '--packages', 'lu-moodle-*,php-foo'];
    const client = await issueClient(data, 'moodle-ci', 'uploader', ...limits);
    expect(await here('cert', 'show', 'moodle-ci')).toMatch(/^packages +lu-moodle-\*, php-foo$/m);
    expect(await here('cert', 'list')).toContain('uploader (stable; lu-moodle-*, php-foo)');
    const file = join(scratch, 'lu-moodle-lu_1.0_all.deb');
    await writeFile(file, buildDeb('sudo'));
    const answer = await putFile(client, server.url, file);
    expect([answer.status, answer.reason]).toEqual([403, 'Package not allowed']);
    expect(JSON.parse(answer.body).detail).toBe(
      'moodle-ci may add the packages lu-moodle-*, php-foo, not sudo',
    );
    const secret = await curl(client, `${server.url}/dists/secret/InRelease`);
    expect([secret.status, secret.reason]).toEqual([403, 'Suite not allowed']);
  });

  it('ends with the server', async () => {
    expect(await server.stop()).toBe(0);
  });
});
