/**
 * dists/ and pool/ as apt and mirrors ask for them. Expected answers are those of RFC 9110
 * (sections 8.8, 13, 14, 15) and RFC 9112.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { buildDeb } from './packages.ts';
import { type Answer, ask, type IssuedClient, put, type Site, startSite } from './start.ts';

const IN_RELEASE = '/dists/stable/InRelease';
const PACKAGES = '/dists/stable/main/binary-amd64/Packages';

const data = join(createScratch('files'), 'data');
/** Its version has every character that apt escapes. */
const deb = buildDeb('sample', { version: '2:1.0+b1~rc1' });
const ESCAPED = '/pool/main/s/sample/sample_2%253a1.0%2bb1%7erc1_all.deb';
const PLAIN = '/pool/main/s/sample/sample_2%253a1.0+b1~rc1_all.deb';
let site: Site;
let host: IssuedClient;

const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(site, host, path, { headers });
const head = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(site, host, path, { method: 'HEAD', headers });

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
  const uploader = await site.issue('build', 'uploader');
  expect((await put(site, uploader, deb)).status).toBe(201);
});

afterAll(() => site.daemon.stop());

describe('GET and HEAD', () => {
  it.each([IN_RELEASE, '/dists/stable/Release', `${PACKAGES}.gz`, PACKAGES, PLAIN])(
    'HEAD %s has the head of GET and no body',
    async (path) => {
      const [whole, only] = [await get(path), await head(path)];
      expect([whole.status, only.status]).toEqual([200, 200]);
      const { date: _first, ...expected } = whole.headers;
      const { date: _second, ...found } = only.headers;
      expect(found).toEqual(expected);
      expect(Number(found['content-length'])).toBe(whole.body.length);
      expect(only.body).toHaveLength(0);
      expect(found['content-encoding']).toBeUndefined();
    },
  );

  it('serves a package with the bytes that were uploaded', async () => {
    expect((await get(PLAIN)).body.equals(deb)).toBe(true);
  });

  it('serves the plain index with the size and hash that Release states', async () => {
    const plain = await get(PACKAGES);
    const release = (await get('/dists/stable/Release')).text;
    const hash = createHash('sha256').update(plain.body).digest('hex');
    expect(release).toMatch(
      new RegExp(`^ ${hash} +${plain.body.length} main/binary-amd64/Packages$`, 'm'),
    );
    expect(plain.text).toMatch(/^Package: sample$/m);
    expect(gunzipSync((await get(`${PACKAGES}.gz`)).body).equals(plain.body)).toBe(true);
  });

  it('dates what it serves with whole seconds that are not ahead of now', async () => {
    for (const path of [IN_RELEASE, PLAIN, `${PACKAGES}.gz`]) {
      const modified = (await head(path)).headers['last-modified'];
      expect(String(modified)).toMatch(/ GMT$/);
      expect(Date.parse(String(modified))).toBeLessThanOrEqual(Date.now());
    }
  });

  it('takes the absolute form of a request target (RFC 9112, 3.2.2)', async () => {
    expect((await get(`https://localhost:${site.port}${IN_RELEASE}`)).status).toBe(200);
  });
});

describe('escapes', () => {
  const whole = [
    ['%2b and %7e undone, %25 once', ESCAPED],
    ['+ and ~ as they are', PLAIN],
    ['upper case', ESCAPED.replace('%2b', '%2B').replace('%7e', '%7E').replace('%253a', '%253A')],
    ['a slash twice at the beginning', `/${IN_RELEASE}`],
    ['three slashes at the beginning', `//${PLAIN}`],
    ['a query, which names nothing', `${IN_RELEASE}?x=1`],
  ] as const;
  it.each(whole)('%s', async (_name, path) => {
    // The upper-case 3A inside the file name is another name: only the escapes have no case.
    const expected = path.includes('%253A') ? 404 : 200;
    expect((await get(path)).status).toBe(expected);
  });

  const lost = [
    ['undone twice', ESCAPED.replace('%253a', '%25253a')],
    ['not undone at all: a colon', PLAIN.replace('%253a', ':')],
    ['an escape that is none', '/pool/main/%zz'],
    ['half an escape', '/pool/main/%2'],
    ['bytes that are no UTF-8', '/pool/main/s/%ff%fe'],
    ['a NUL', `${PLAIN}%00`],
    ['a line break', `${PLAIN}%0d%0aX-Forged:%20yes`],
    ['a backslash', '/pool/main\\..\\..\\certs'],
    ['the way up', '/pool/../certs/client-ca.key'],
    ['the way up, encoded', '/pool/%2e%2e/certs/client-ca.key'],
    ['the way up, encoded twice', '/pool/%252e%252e/certs/client-ca.key'],
    ['the way up behind an encoded slash', '/dists/stable%2f..%2f..%2fcerts%2fclient-ca.key'],
    ['the way up in half an escape', '/pool/.%2e/catalog.sqlite'],
    ['overlong UTF-8 for the way up', '/pool/%c0%ae%c0%ae/catalog.sqlite'],
    ['an absolute path behind the tree', '/pool//etc/passwd'],
    ['staging', '/pool/.staging/x'],
    ['staging, encoded', '/pool/%2estaging/x'],
    ['a directory', '/pool/main/s/sample'],
    ['a directory with a slash', '/pool/main/s/sample/'],
    ['a file as a directory', `${PLAIN}/more`],
    ['a name longer than any file has', `/pool/main/${'a'.repeat(300)}`],
    ['a path longer than any key is', `/pool/${'a/'.repeat(3000)}b`],
    ['the tree itself', '/dists'],
    ['the tree with a query', '/pool?x'],
    ['a suite that is none', '/dists/nowhere/InRelease'],
    ['a suite by a name of JavaScript', '/dists/__proto__/InRelease'],
    ['a suite without a file', '/dists/stable/'],
    ['a hash that is none', '/dists/stable/main/binary-amd64/by-hash/SHA256/00'],
    ['a hash nobody published', `/dists/stable/main/binary-amd64/by-hash/SHA256/${'0'.repeat(64)}`],
    ['the catalog', '/catalog.sqlite'],
    ['the tree under an encoded name', '/%64ists/stable/InRelease'],
  ] as const;
  it.each(lost)('404 with a body: %s', async (_name, path) => {
    const answer = await get(path);
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(answer.text)).toMatchObject({ status: 404, code: 'PATH_UNKNOWN' });
    expect(answer.headers['x-forged']).toBeUndefined();
    expect(answer.text).not.toContain(data);
  });

  it.each(['PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])(
    '405 with a body and Allow: %s',
    async (method) => {
      const answer = await ask(site, host, IN_RELEASE, { method });
      expect([answer.status, answer.reason]).toEqual([405, 'Method not allowed']);
      expect(answer.headers.allow).toBe('GET, HEAD');
      expect(JSON.parse(answer.text).code).toBe('METHOD_NOT_ALLOWED');
    },
  );
});

describe('Range (RFC 9110, section 14)', () => {
  const size = deb.length;
  const some = [
    ['bytes=0-0', 0, 0],
    ['Bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=100-', 100, size - 1],
    ['bytes=-7', size - 7, size - 1],
    [`bytes=0-${size + 1000}`, 0, size - 1],
    [`bytes=-${size + 1000}`, 0, size - 1],
    [`bytes=${size - 1}-`, size - 1, size - 1],
  ] as const;
  it.each(some)('206: %s', async (range, start, end) => {
    const answer = await get(PLAIN, { Range: range });
    expect([answer.status, answer.headers['content-range']]).toEqual([
      206,
      `bytes ${start}-${end}/${size}`,
    ]);
    expect(answer.body.equals(deb.subarray(start, end + 1))).toBe(true);
    expect(answer.headers['content-length']).toBe(String(end - start + 1));
  });

  it.each([
    [`bytes=${size}-`],
    [`bytes=${size + 5}-${size + 9}`],
    ['bytes=-0'],
    ['bytes=999999999999999-'],
  ])('416 with the size: %s', async (range) => {
    const answer = await get(PLAIN, { Range: range });
    expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${size}`]);
    expect(JSON.parse(answer.text).code).toBe('RANGE_UNSATISFIABLE');
  });

  it.each([
    ['bytes=5-2'],
    ['bytes=a-b'],
    ['bytes='],
    ['lines=0-1'],
    ['bytes=0-1,3-4'],
    [`bytes=${'0-1,'.repeat(9)}0-1`],
    ['bytes=99999999999999999999999-'],
  ])('the whole file for what is no single range of bytes: %s', async (range) => {
    const answer = await get(PLAIN, { Range: range });
    expect(answer.status).toBe(200);
    expect(answer.body.equals(deb)).toBe(true);
  });

  it('is honoured for signed files too', async () => {
    const whole = await get(IN_RELEASE);
    const part = await get(IN_RELEASE, { Range: 'bytes=5-14' });
    expect(part.status).toBe(206);
    expect(part.body.equals(whole.body.subarray(5, 15))).toBe(true);
  });

  it('is ignored where parts cannot be read, and not promised there', async () => {
    const answer = await get(PACKAGES, { Range: 'bytes=0-3' });
    expect(answer.status).toBe(200);
    expect(answer.headers['accept-ranges']).not.toBe('bytes');
    expect((await get(PLAIN)).headers['accept-ranges']).toBe('bytes');
  });

  it('is defined for GET only: HEAD has the head of the whole file', async () => {
    for (const range of ['bytes=0-3', `bytes=${size}-`]) {
      const answer = await head(PLAIN, { Range: range });
      expect([answer.status, answer.headers['content-length']]).toEqual([200, String(size)]);
      expect(answer.headers['content-range']).toBeUndefined();
    }
  });
});

describe('If-Range (section 13.1.5)', () => {
  const range = { Range: 'bytes=3-5' };
  it('holds for the date and for the tag that were served', async () => {
    for (const path of [PLAIN, IN_RELEASE, `${PACKAGES}.gz`]) {
      const { headers } = await head(path);
      for (const validator of [String(headers['last-modified']), String(headers.etag)]) {
        expect((await get(path, { ...range, 'If-Range': validator })).status).toBe(206);
      }
    }
  });

  it('sends the whole file for an older date, a newer one, another tag, a weak one, nonsense', async () => {
    const { headers } = await head(PLAIN);
    const modified = Date.parse(String(headers['last-modified']));
    for (const validator of [
      new Date(modified - 1000).toUTCString(),
      new Date(modified + 1000).toUTCString(),
      '"other"',
      `W/${headers.etag}`,
      'yesterday',
      '',
    ]) {
      const answer = await get(PLAIN, { ...range, 'If-Range': validator });
      expect([validator, answer.status]).toEqual([validator, 200]);
      expect(answer.body.equals(deb)).toBe(true);
    }
  });

  it('sends the new file whole to who holds a part of the old one', async () => {
    const old = await head(IN_RELEASE);
    await site.perform('suite.publish', { suite: 'stable' });
    const modified = String(old.headers['last-modified']);
    const answer = await get(IN_RELEASE, { ...range, 'If-Range': modified });
    expect(answer.status).toBe(200);
    expect(answer.text).toMatch(/^-----BEGIN PGP SIGNED MESSAGE-----/);
    expect(Date.parse(String(answer.headers['last-modified']))).toBeGreaterThanOrEqual(
      Date.parse(modified) + 1000,
    );
  });
});

describe('conditional requests (section 13)', () => {
  it.each([IN_RELEASE, PLAIN, `${PACKAGES}.gz`, PACKAGES])('304 on equality: %s', async (path) => {
    const { headers } = await head(path);
    const modified = String(headers['last-modified']);
    const etag = String(headers.etag);
    for (const condition of [
      { 'If-Modified-Since': modified },
      { 'If-None-Match': etag },
      { 'If-None-Match': `W/${etag}` },
      { 'If-None-Match': `"other", ${etag}` },
      { 'If-None-Match': '*' },
    ]) {
      const answer = await get(path, condition as Record<string, string>);
      expect([condition, answer.status]).toEqual([condition, 304]);
      expect(answer.body).toHaveLength(0);
      expect(answer.headers.etag).toBe(etag);
    }
  });

  it('200 for any other date: an older one, a newer one, nonsense', async () => {
    const { headers } = await head(IN_RELEASE);
    const modified = Date.parse(String(headers['last-modified']));
    for (const since of [
      new Date(modified - 1000).toUTCString(),
      new Date(modified + 1000).toUTCString(),
      new Date(modified + 86_400_000).toUTCString(),
      'Thu, 99 Foo 2026 00:00:00 GMT',
    ]) {
      expect((await get(IN_RELEASE, { 'If-Modified-Since': since })).status).toBe(200);
    }
  });

  it('asks the tag and not the date where both are given', async () => {
    const { headers } = await head(IN_RELEASE);
    const conditions = {
      'If-None-Match': '"other"',
      'If-Modified-Since': String(headers['last-modified']),
    };
    expect((await get(IN_RELEASE, conditions)).status).toBe(200);
  });
});

describe('by-hash', () => {
  const hashOf = (release: string, path: string): string =>
    new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${path.replaceAll('.', '\\.')}$`, 'm').exec(release)?.[1] ??
    '';

  it('keeps the indexes of old publications, immutable', async () => {
    const release = (await get('/dists/stable/Release')).text;
    const hash = hashOf(release, 'main/binary-amd64/Packages.gz');
    const path = `/dists/stable/main/binary-amd64/by-hash/SHA256/${hash}`;
    const before = await get(path);
    const uploader = await site.issue('build', 'uploader');
    expect((await put(site, uploader, buildDeb('later'))).status).toBe(201);
    const later = (await get('/dists/stable/Release')).text;
    expect(hashOf(later, 'main/binary-amd64/Packages.gz')).not.toBe(hash);
    const after = await get(path);
    expect(after.status).toBe(200);
    expect(after.body.equals(before.body)).toBe(true);
    expect(createHash('sha256').update(after.body).digest('hex')).toBe(hash);
    expect(after.headers['cache-control']).toContain('immutable');
    expect((await get(path, { Range: 'bytes=0-9' })).status).toBe(206);
    expect((await get(IN_RELEASE)).headers['cache-control']).not.toContain('immutable');
  });

  it('answers for the plain index of the current publication, which is not stored', async () => {
    const release = (await get('/dists/stable/Release')).text;
    const hash = hashOf(release, 'main/binary-amd64/Packages');
    const answer = await get(`/dists/stable/main/binary-amd64/by-hash/SHA256/${hash}`);
    expect(answer.status).toBe(200);
    expect(createHash('sha256').update(answer.body).digest('hex')).toBe(hash);
  });
});

const askOtherwise = (path: string): string =>
  getRequest(path).replace(/User-Agent: .*/, 'User-Agent: Mozilla/5.0');

describe('one connection', () => {
  it('answers ten pipelined requests in their order and closes with a word of TLS', async () => {
    const connection = await openConnection({ port: site.port, client: host, ca: site.ca });
    const paths = [
      IN_RELEASE,
      PLAIN,
      '/dists/stable/no',
      `${PACKAGES}.gz`,
      '/pool/no/no',
      PACKAGES,
    ];
    const asked = [...paths, ...paths].slice(0, 10);
    const last = getRequest('/dists/last').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const alone = await Promise.all(asked.map((path) => get(path)));
    connection.send(asked.map(getRequest).join('') + last);
    let ended = false;
    connection.socket.once('end', () => {
      ended = true;
    });
    const received = await connection.ended();
    const statuses = readStatusLines(received).map((line) => Number(line.split(' ')[1]));
    expect(statuses).toEqual([...alone.map((answer) => answer.status), 404]);
    const lengths = [...received.matchAll(/^Content-Length: (\d+)\r$/gim)].map((m) => Number(m[1]));
    expect(lengths.slice(0, 10)).toEqual(alone.map((answer) => answer.body.length));
    // 'end' comes for close_notify; a connection that is only cut errs or closes without it.
    expect(ended).toBe(true);
  });

  it.each([
    ['apt', 'its own', 'between', getRequest],
    ['another client', 'the newest', 'betwixt', askOtherwise],
  ])('that has seen a Release gives %s %s indexes', async (_who, which, name, request) => {
    const uploader = await site.issue('build', 'uploader');
    const connection = await openConnection({ port: site.port, client: host, ca: site.ca });
    connection.send(request('/dists/stable/Release'));
    const hashOf = (release: string): string | undefined =>
      /^ ([0-9a-f]{64}) +\d+ main\/binary-amd64\/Packages\n/m.exec(release)?.[1];
    const seen = await waitFor('the Release file', () => hashOf(connection.received()));
    expect((await put(site, uploader, buildDeb(name))).status).toBe(201);
    const newest = (await get(PACKAGES)).body;
    connection.send(request(PACKAGES).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    const received = await connection.ended();
    const body = received.slice(received.lastIndexOf('\r\n\r\n') + 4);
    const hash = createHash('sha256').update(body, 'latin1').digest('hex');
    if (which === 'its own') expect(hash).toBe(seen);
    else expect(body).toBe(newest.toString('latin1'));
    expect(createHash('sha256').update(newest).digest('hex')).not.toBe(seen);
  });

  it('is closed after a thousand requests, every one of which is answered', async () => {
    const connection = await openConnection({ port: site.port, client: host, ca: site.ca });
    connection.send(getRequest('/dists/no').repeat(1010));
    const received = await connection.ended();
    expect(readStatusLines(received)).toEqual(Array(1000).fill('HTTP/1.1 404 Not found'));
    const told = [...received.matchAll(/^Connection: close\r$/gim)].map((match) => match.index);
    expect(told).toHaveLength(1);
    expect(told[0]).toBeGreaterThan(received.lastIndexOf('HTTP/1.1 404'));
  });

  it('is left open after a file that the client hung up on, for others', async () => {
    const connection = await openConnection({ port: site.port, client: host, ca: site.ca });
    connection.send(getRequest(PLAIN));
    await waitFor('the first bytes', () => (connection.received() ? true : undefined));
    connection.socket.destroy();
    expect((await get(PLAIN)).status).toBe(200);
    expect((await stat(join(data, 'pool'))).isDirectory()).toBe(true);
  });
});
