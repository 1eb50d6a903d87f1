/**
 * A host that reaches for what its group may not read, by every way there is to spell it: over real
 * connections, with ranges and conditions, in the moment after it was moved.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forgetHost } from '../../src/fleet/groups.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { buildDeb } from '../http/packages.ts';
import { ask, type IssuedClient, put, readCode, type Site, startSite } from '../http/start.ts';

const REFUSED = 'HTTP/1.1 403 Suite not allowed';
const ALLOWED = 'HTTP/1.1 200 OK';

const data = join(createScratch('reading'), 'data');
let site: Site;
/** Its group may read `stable` alone. */
let host: IssuedClient;
/** Its group may read `secret` alone. */
let insider: IssuedClient;
let observer: IssuedClient;
let uploader: IssuedClient;
/** Hash of the index that lists the hidden package. */
let hash = '';
let plainHash = '';

const HIDDEN = '/pool/main/h/hidden/hidden_1%253a1.0+b1_all.deb';
const OPEN = '/pool/main/o/open/open_1.0_all.deb';
const SHARED = '/pool/main/s/shared/shared_1.0_all.deb';
const hidden = buildDeb('hidden', { version: '1:1.0+b1' });
const shared = buildDeb('shared');

beforeAll(async () => {
  site = await startSite(data);
  await site.perform('suite.create', { name: 'secret', origin: 'Test', label: 'Test' });
  await site.perform('group.create', { group: 'alpha', suites: ['stable'] });
  await site.perform('group.create', { group: 'beta', suites: ['secret'] });
  await site.perform('host.add', { host: 'web-a', group: 'alpha' });
  await site.perform('host.add', { host: 'web-b', group: 'beta' });
  host = await site.issue('web-a', 'host');
  insider = await site.issue('web-b', 'host');
  observer = await site.issue('watcher', 'observer');
  uploader = await site.issue('build', 'uploader', ['stable']);
  const everywhere = await site.issue('build-all', 'uploader');
  await put(site, everywhere, buildDeb('open'));
  await put(site, everywhere, hidden, 'secret/x.deb');
  for (const suite of ['stable', 'secret']) await put(site, everywhere, shared, `${suite}/x.deb`);
  const release = (await ask(site, observer, '/dists/secret/Release')).text;
  const find = (path: string): string =>
    new RegExp(`^ ([0-9a-f]{64}) +\\d+ main/binary-amd64/${path}$`, 'm').exec(release)?.[1] ?? '';
  [hash, plainHash] = [find('Packages\\.gz'), find('Packages')];
});

afterAll(() => site.daemon.stop());

const byHash = (suite: string, hex: string): string =>
  `/dists/${suite}/main/binary-amd64/by-hash/SHA256/${hex}`;

const SPELLINGS: [string, () => string][] = [
  ['InRelease', () => '/dists/secret/InRelease'],
  ['Release', () => '/dists/secret/Release'],
  ['Release.gpg', () => '/dists/secret/Release.gpg'],
  ['the index', () => '/dists/secret/main/binary-amd64/Packages.gz'],
  ['the plain index', () => '/dists/secret/main/binary-amd64/Packages'],
  ['the index by its hash', () => byHash('secret', hash)],
  ['the plain index by its hash', () => byHash('secret', plainHash)],
  ['two slashes', () => '//dists/secret/InRelease'],
  ['three slashes', () => '///dists/secret/InRelease'],
  ['an escaped letter of the suite', () => '/dists/%73ecret/InRelease'],
  ['an escaped slash behind the suite', () => '/dists/secret%2fInRelease'],
  ['an escaped slash before the suite', () => '/dists%2fsecret/InRelease'],
  ['a query that names another suite', () => '/dists/secret/InRelease?suite=stable'],
  ['the absolute form', () => `https://localhost:${site.port}/dists/secret/InRelease`],
  ['the absolute form of another server', () => 'https://example.org/dists/secret/InRelease'],
  ['the file in the pool', () => HIDDEN],
  ['the file with two slashes', () => `/${HIDDEN}`],
  [
    'the file with another escape',
    () => HIDDEN.replace('+', '%2b').replace('hidden_', 'h%69dden_'),
  ],
  [
    'the file with escaped slashes',
    () => HIDDEN.replaceAll('/', '%2f').replace('%2fpool', '/pool'),
  ],
];
// What does not begin with /dists/ or /pool/ as it stands is no file here at all.
const isServed = (path: string): boolean => /^(https:\/\/[^/]+)?\/+(dists|pool)\//.test(path);

describe('a host of another group', () => {
  describe.each(SPELLINGS)('by %s', (_name, spell) => {
    const expected = (): [number, string] =>
      isServed(spell()) ? [403, 'Suite not allowed'] : [404, 'Not found'];

    it('reads nothing; a host of the group does', async () => {
      const answer = await ask(site, host, spell());
      expect([answer.status, answer.reason]).toEqual(expected());
      expect(answer.text).not.toMatch(/BEGIN PGP|Package: /);
      expect((await ask(site, insider, spell())).status).toBe(isServed(spell()) ? 200 : 404);
    });

    it('reads nothing with HEAD, a range or a condition either', async () => {
      const { headers } = await ask(site, insider, spell());
      const conditions: Record<string, string>[] = [
        { Range: 'bytes=0-9' },
        { Range: 'bytes=-1' },
        { Range: 'bytes=999999999-' },
        { 'If-Modified-Since': String(headers['last-modified']) },
        { 'If-None-Match': '*' },
        { 'If-None-Match': String(headers.etag) },
        { Range: 'bytes=0-9', 'If-Range': String(headers.etag) },
      ];
      for (const headers of conditions) {
        const answer = await ask(site, host, spell(), { headers });
        expect([answer.status, answer.headers['content-range']]).toEqual([
          expected()[0],
          undefined,
        ]);
      }
      const head = await ask(site, host, spell(), { method: 'HEAD' });
      expect([head.status, head.headers.etag]).toEqual([expected()[0], undefined]);
    });
  });

  it.each([
    ['the tree under an escaped name', () => '/%64ists/secret/InRelease'],
    ['the tree in upper case', () => '/DISTS/secret/InRelease'],
    ['the suite in upper case', () => '/dists/SECRET/InRelease'],
    ['the file in upper case', () => HIDDEN.replace('hidden_', 'HIDDEN_')],
    ['a slash more in the middle', () => '/dists//secret/InRelease'],
    ['the way up from its own suite', () => '/dists/stable/../secret/InRelease'],
    ['the way up, escaped', () => '/dists/stable%2f..%2fsecret/InRelease'],
    ['the way over the pool', () => '/pool/../dists/secret/InRelease'],
    ['a suite with a NUL behind it', () => '/dists/secret%00/InRelease'],
    ['a suite with a blank behind it', () => '/dists/secret%20/InRelease'],
    ['a suite with a dot behind it', () => '/dists/secret./InRelease'],
    ['a hash of the other suite under its own', () => byHash('stable', hash)],
    ['a plain hash of the other suite under its own', () => byHash('stable', plainHash)],
    ['a suite that is none', () => '/dists/nowhere/InRelease'],
    ['a suite by a name of JavaScript', () => '/dists/constructor/InRelease'],
    ['a file that is none', () => '/pool/main/n/none/none_1.0_all.deb'],
    ['the catalog', () => '/pool/../catalog.sqlite'],
  ])('finds nothing by %s', async (_name, spell) => {
    const answer = await ask(site, host, spell());
    expect([answer.status, readCode(answer)]).toEqual([404, 'PATH_UNKNOWN']);
  });

  it('is told who it is, its group, and what that may read', async () => {
    const index = JSON.parse((await ask(site, host, '/dists/secret/InRelease')).text);
    expect(index).toMatchObject({ status: 403, code: 'SUITE_FORBIDDEN' });
    expect(index.detail).toBe('host web-a of group alpha may read stable, not "secret"');
    const file = JSON.parse((await ask(site, host, HIDDEN)).text);
    expect(file.code).toBe('SUITE_FORBIDDEN');
    expect(file.detail).toMatch(/^host web-a of group alpha may read stable; none of them lists /);
    expect(file.detail).not.toContain('secret');
  });

  it('reads what is its own, and what both suites list', async () => {
    for (const path of ['/dists/stable/InRelease', OPEN, SHARED]) {
      expect((await ask(site, host, path)).status).toBe(200);
    }
    expect((await ask(site, insider, SHARED)).body.equals(shared)).toBe(true);
    expect((await ask(site, insider, HIDDEN)).body.equals(hidden)).toBe(true);
    expect((await ask(site, insider, OPEN)).status).toBe(403);
  });

  it('reads the keyring, the CA and the revocation list like everyone', async () => {
    for (const path of ['/archive-keyring.gpg', '/archive-keyring.asc', '/ca.crt', '/crl.pem']) {
      expect((await ask(site, host, path)).status).toBe(200);
    }
  });

  it('reads a package from the moment its suite lists it too', async () => {
    const late = buildDeb('late');
    const path = '/pool/main/l/late/late_1.0_all.deb';
    const everywhere = await site.issue('build-all', 'uploader');
    await put(site, everywhere, late, 'secret/x.deb');
    expect((await ask(site, host, path)).status).toBe(403);
    expect((await ask(site, insider, path)).status).toBe(200);
    await put(site, everywhere, late, 'stable/x.deb');
    expect((await ask(site, host, path)).status).toBe(200);
  });
});

describe('an open connection', () => {
  const ask10 = async (name: string, change: () => Promise<unknown>) => {
    const client = await site.issue(name, 'host');
    const connection = await openConnection({ port: site.port, client, ca: site.ca });
    const paths = ['/dists/secret/InRelease', HIDDEN];
    const hear = (count: number) =>
      waitFor(`${count} answers`, () => {
        const lines = readStatusLines(connection.received());
        return lines.length === count ? lines : undefined;
      });
    connection.send(paths.map(getRequest).join(''));
    await hear(2);
    await change();
    connection.send(paths.map(getRequest).join(''));
    const lines = await hear(4);
    connection.socket.destroy();
    return lines;
  };
  const lost = [ALLOWED, ALLOWED, REFUSED, REFUSED];

  it('of a host that was moved is refused at the next request, and let in when it is back', async () => {
    await site.perform('host.add', { host: 'moving', group: 'beta' });
    const move = (group: string) => site.perform('host.set', { host: 'moving', group });
    expect(await ask10('moving', () => move('alpha'))).toEqual(lost);
    expect(await ask10('moving', () => move('beta'))).toEqual([...lost].reverse());
  });

  it('of a host whose group may read less is refused at the next request', async () => {
    await site.perform('group.create', { group: 'shrinking' });
    await site.perform('host.add', { host: 'shrunk', group: 'shrinking' });
    const shrink = () => site.perform('group.set', { group: 'shrinking', suites: ['stable'] });
    expect(await ask10('shrunk', shrink)).toEqual(lost);
    const widen = () => site.perform('group.set', { group: 'shrinking', suites: null });
    expect(await ask10('shrunk', widen)).toEqual([...lost].reverse());
  });

  it('of a host that is recorded no more reads nothing, rather than everything', async () => {
    const forget = async () => {
      await forgetHost(site.parts, 'forgotten');
      await site.parts.readers.settled();
    };
    expect(await ask10('forgotten', forget)).toEqual(lost);
    const { certificates } = await site.perform('certificate.show', { certificate: 'forgotten' });
    expect(certificates.map((one) => one.status)).toEqual(['valid']);
  });
});

describe('a group', () => {
  it('is not removed while a host is in it, and the host is named', async () => {
    await expect(site.perform('group.remove', { group: 'beta' })).rejects.toMatchObject({
      code: 'GROUP_IN_USE',
      message: expect.stringContaining('web-b'),
    });
    expect((await ask(site, insider, HIDDEN)).status).toBe(200);
  });

  it('is left by its last host and removed at once, or kept with a host: never a host without', async () => {
    for (let round = 0; round < 20; round += 1) {
      const group = `short-lived-${round}`;
      await site.perform('group.create', { group });
      const outcomes = await Promise.allSettled([
        site.perform('host.set', { host: 'web-a', group }),
        site.perform('group.remove', { group }),
      ]);
      expect(outcomes.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected']);
      const { groups } = await site.perform('group.list', {});
      expect(groups.flatMap((one) => one.hosts)).toContain('web-a');
    }
    await site.perform('host.set', { host: 'web-a', group: 'alpha' });
  });
});

describe('a file that no suite ever listed', () => {
  it('is there for who may read everything, and for nobody else', async () => {
    await mkdir(join(data, 'pool/main/s/stray'), { recursive: true });
    await writeFile(join(data, 'pool/main/s/stray/stray_1.0_all.deb'), 'left behind');
    const path = '/pool/main/s/stray/stray_1.0_all.deb';
    expect((await ask(site, observer, path)).text).toBe('left behind');
    const everywhere = await site.issue('build-all', 'uploader');
    const anywhere = await site.issue('web-any', 'host');
    for (const client of [host, anywhere, uploader, everywhere]) {
      expect(readCode(await ask(site, client, path))).toBe('PATH_UNKNOWN');
    }
  });
});

describe('an uploader', () => {
  it('reads the suites named for it, and their files, and no others', async () => {
    for (const path of ['/dists/stable/InRelease', OPEN, SHARED]) {
      expect((await ask(site, uploader, path)).status).toBe(200);
    }
    for (const path of ['/dists/secret/InRelease', byHash('secret', hash), HIDDEN]) {
      const answer = await ask(site, uploader, path);
      expect([answer.status, answer.reason]).toEqual([403, 'Suite not allowed']);
      expect(JSON.parse(answer.text).detail).toMatch(/^uploader build may read stable[,;] /);
    }
  });

  it.each([
    '/v1/suites/secret',
    '/v1/suites/secret/publications',
    '/v1/suites/secret/publications/1',
    '/v1/packages?suite=secret',
    '/v1/packages/hidden',
    '/v1/packages/hidden?version=1:1.0%2Bb1',
  ])('does not see another suite by %s', async (path) => {
    const answer = await ask(site, uploader, path);
    expect([answer.status, readCode(answer)]).toEqual([403, 'SUITE_FORBIDDEN']);
    expect(JSON.parse(answer.text).detail).toMatch(
      /^uploader build may read stable, not "secret"$/,
    );
  });

  it.each(['/v1/suites', '/v1/packages', '/v1/packages/shared', '/v1/status'])(
    'sees its own suites alone by %s',
    async (path) => {
      const answer = await ask(site, uploader, path);
      expect(answer.status).toBe(200);
      expect(answer.text).toContain('stable');
      expect(answer.text).not.toMatch(/secret|hidden/);
      expect((await ask(site, observer, path)).text).toContain('secret');
    },
  );

  it('is told 404 for what is not there at all', async () => {
    expect((await ask(site, uploader, '/v1/suites/nowhere')).status).toBe(404);
    expect((await ask(site, uploader, '/v1/packages/nothing')).status).toBe(404);
  });
});
