/**
 * A host that reaches for the past and the changelogs of what its group may not read, by every way
 * there is to spell it.
 */
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage, buildTar } from '../deb/build.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';

const data = join(createScratch('past'), 'data');
let site: Site;
/** Its group may read `stable` alone. */
let host: IssuedClient;
/** Its group may read `secret` alone. */
let insider: IssuedClient;
/** Of a second in which both suites were as they are. */
let id = '';
let hash = '';

const HIDDEN = 'pool/main/h/hidden/hidden_1%253a1.0%2bb1_all.deb';

function buildHidden(): Buffer {
  const control = `Package: hidden\nVersion: 1:1.0+b1\nArchitecture: all\nMaintainer: A <a@example.org>\nSource: hidden (1:1.0)\nDescription: made for a test\n`;
  const pack = (name: string, content: string | Buffer): Buffer =>
    gzipSync(buildTar([{ name, content }]));
  const changelog = gzipSync('hidden (1:1.0) stable; urgency=low\n');
  return buildPackage({
    control: { name: 'control.tar.gz', content: pack('./control', control) },
    data: {
      name: 'data.tar.gz',
      content: pack('./usr/share/doc/hidden/changelog.gz', changelog),
    },
  });
}

beforeAll(async () => {
  site = await startSite(data);
  const options = { snapshots: true, changelogs: true };
  await site.perform('suite.create', { name: 'secret', origin: 'Test', label: 'Test', options });
  await site.perform('suite.set', { suite: 'stable', options });
  await site.perform('group.create', { group: 'alpha', suites: ['stable'] });
  await site.perform('group.create', { group: 'beta', suites: ['secret'] });
  await site.perform('host.add', { host: 'web-a', group: 'alpha' });
  await site.perform('host.add', { host: 'web-b', group: 'beta' });
  host = await site.issue('web-a', 'host');
  insider = await site.issue('web-b', 'host');
  await put(site, await site.issue('build', 'uploader'), buildHidden(), 'secret/x.deb');
  const published = Date.now();
  const now = await waitFor('another second', () =>
    Math.floor(Date.now() / 1000) > Math.floor(published / 1000) ? Date.now() : undefined,
  );
  id = `${new Date(now).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  const release = (await ask(site, insider, `/snapshots/${id}/dists/secret/Release`)).text;
  hash = /^ ([0-9a-f]{64}) +\d+ main\/binary-amd64\/Packages\.gz$/m.exec(release)?.[1] ?? '';
});
afterAll(() => site.daemon.stop());

const INDEX = 'main/binary-amd64/Packages.gz';

describe('of another group', () => {
  it.each([
    ['the signed file', () => `/snapshots/${id}/dists/secret/InRelease`],
    ['an index', () => `/snapshots/${id}/dists/secret/${INDEX}`],
    [
      'an index by its hash',
      () => `/snapshots/${id}/dists/secret/main/binary-amd64/by-hash/SHA256/${hash}`,
    ],
    ['a package', () => `/snapshots/${id}/${HIDDEN}`],
    ['an escaped suite', () => `/snapshots/${id}/dists/%73ecret/InRelease`],
    ['an escaped slash', () => `/snapshots/${id}/dists%2fsecret/InRelease`],
    ['a query', () => `/snapshots/${id}/dists/secret/InRelease?suite=stable`],
  ])('the past is refused by %s, and read by who may', async (_name, spell) => {
    const answer = await ask(site, host, spell());
    expect([answer.status, answer.reason]).toEqual([403, 'Suite not allowed']);
    expect(answer.text).not.toMatch(/BEGIN PGP|Package: /);
    expect((await ask(site, insider, spell())).status).toBe(200);
    const head = await ask(site, host, spell(), { method: 'HEAD' });
    expect([head.status, head.headers.etag]).toEqual([403, undefined]);
  });

  it.each([
    ['a hash of the other suite under its own', () => `dists/stable/main/by-hash/SHA256/${hash}`],
    ['the way up', () => 'dists/stable/../secret/InRelease'],
    ['the way up, escaped', () => 'dists/stable/..%2fsecret/InRelease'],
    ['the way up behind by-hash', () => 'dists/stable/by-hash/../../secret/InRelease'],
    [
      'the way up, escaped twice',
      () => 'dists/stable/by-hash/%252e%252e/%252e%252e/secret/Release',
    ],
    ['the way out of the pool', () => 'pool/../dists/secret/InRelease'],
    ['the way out of the pool, escaped twice', () => 'pool/%252e%252e/dists/secret/InRelease'],
    ['the catalog', () => 'catalog.sqlite'],
    ['a key', () => 'certs/client-ca.key'],
    ['a snapshot in a snapshot', () => `snapshots/${id}/dists/secret/InRelease`],
    ['a suite by a name of JavaScript', () => 'dists/constructor/InRelease'],
    ['a file by a name of JavaScript', () => 'dists/stable/constructor'],
  ])('nothing is found by %s', async (_name, spell) => {
    const answer = await ask(site, host, `/snapshots/${id}/${spell()}`);
    expect(answer.status).toBe(404);
    expect(answer.text).not.toMatch(/BEGIN PGP|Package: /);
  });

  it('the changelog is not there, and is read by who may', async () => {
    const path = '/changelogs/main/h/hidden/hidden_1.0';
    expect((await ask(site, host, path)).status).toBe(404);
    const answer = await ask(site, insider, path);
    expect([answer.status, answer.text]).toEqual([200, 'hidden (1:1.0) stable; urgency=low\n']);
    for (const other of ['hidden_1.0%2bb1', 'hidden_1%3a1.0', 'hidden_', '..', 'hidden_1.0/x']) {
      expect((await ask(site, insider, `/changelogs/main/h/hidden/${other}`)).status).toBe(404);
    }
  });

  it('nothing is written there', async () => {
    for (const path of [`/snapshots/${id}/dists/secret/InRelease`, '/changelogs/main/h/hidden/x']) {
      const answer = await ask(site, insider, path, { method: 'DELETE' });
      expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD']);
    }
  });
});
