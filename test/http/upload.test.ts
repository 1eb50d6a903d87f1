/**
 * Uploads at the edge: every status, every way a body can go wrong, and nothing left behind.
 * Packages come from dpkg-deb; statuses are those of RFC 9110 section 15.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, waitFor } from '../e2e/command.ts';
import { openConnection, readStatusLines } from '../e2e/connection.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb, buildForm } from './packages.ts';
import {
  type Answer,
  ask,
  createClock,
  type IssuedClient,
  put,
  readCode,
  type Site,
  startSite,
} from './start.ts';

const LIMIT_BYTES = 64 * 1024;
const HOUR_MS = 3_600_000;

const data = join(createScratch('upload-edge'), 'data');
const clock = createClock();
let site: Site;
let uploader: IssuedClient;

const listStaging = (): Promise<string[]> => listFiles(join(data, 'pool/.staging'));
const listPool = async (): Promise<string> => (await listFiles(join(data, 'pool'))).join('\n');
const readPublication = async (): Promise<number> =>
  (await site.perform('suite.show', { suite: 'stable' })).publication;

const post = (
  parts: [string, Uint8Array][],
  path = '/upload/stable',
  headers: Record<string, string> = {},
): Promise<Answer> => {
  const { type, body } = buildForm(parts);
  return ask(site, uploader, path, {
    method: 'POST',
    body,
    headers: { 'Content-Type': type, ...headers },
  });
};

beforeAll(async () => {
  const settings = { 'upload.maxSize': '64KiB', 'crl.refresh': '3650d' };
  site = await startSite(data, { clock, settings });
  uploader = await site.issue('build', 'uploader');
  const second = { name: 'second', origin: 'Test', label: 'Test', components: ['main', 'extra'] };
  await site.perform('suite.create', second);
});

afterEach(async () => {
  await waitFor('an empty staging folder', async () =>
    (await listStaging()).length === 0 ? true : undefined,
  );
});

afterAll(() => site.daemon.stop());

describe('PUT', () => {
  it('201, and 200 with the same body for the same bytes', async () => {
    const deb = buildDeb('put-twice');
    const first = await put(site, uploader, deb, 'stable/any-name-at-all');
    const again = await put(site, uploader, deb, 'stable/another.name');
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.text).toBe(first.text);
    expect(JSON.parse(first.text)).toMatchObject({
      package: 'put-twice',
      version: '1.0',
      architecture: 'all',
      suite: 'stable',
      component: 'main',
      filename: 'pool/main/p/put-twice/put-twice_1.0_all.deb',
      size: deb.length,
      publication: await readPublication(),
    });
    expect(first.headers['content-type']).toMatch(/^application\/json/);
  });

  it('takes a chunked body and a component', async () => {
    const answer = await ask(site, uploader, '/upload/second/extra/x.deb', {
      method: 'PUT',
      body: buildDeb('in-extra'),
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    expect(answer.status).toBe(201);
    expect(JSON.parse(answer.text)).toMatchObject({ suite: 'second', component: 'extra' });
  });

  it('the same bytes for a second suite: 201, one file in the pool', async () => {
    const deb = buildDeb('in-both');
    const first = JSON.parse((await put(site, uploader, deb)).text);
    const other = await put(site, uploader, deb, 'second/x.deb');
    expect(other.status).toBe(201);
    expect(JSON.parse(other.text).filename).toBe(first.filename);
    expect((await listPool()).match(/in-both_/g)).toHaveLength(1);
  });

  const refused: [string, number, string, () => [string, Uint8Array, Record<string, string>]][] = [
    ['an empty body', 422, 'PACKAGE_MALFORMED', () => ['stable/x', Buffer.alloc(0), {}]],
    ['text', 422, 'PACKAGE_MALFORMED', () => ['stable/x', Buffer.from('no package'), {}]],
    [
      'half a package',
      422,
      'PACKAGE_MALFORMED',
      () => ['stable/x', buildDeb('half').subarray(0, 400), {}],
    ],
    [
      'an architecture that the suite has not',
      422,
      'PACKAGE_UNACCEPTABLE',
      () => ['stable/x', buildDeb('foreign', { architecture: 's390x' }), {}],
    ],
    [
      'more bytes than allowed, announced',
      413,
      'TOO_LARGE',
      () => ['stable/x', Buffer.alloc(LIMIT_BYTES + 1), {}],
    ],
    [
      'more bytes than allowed, in chunks',
      413,
      'TOO_LARGE',
      () => ['stable/x', Buffer.alloc(LIMIT_BYTES + 1), { 'Transfer-Encoding': 'chunked' }],
    ],
    ['no such suite', 404, 'SUITE_UNKNOWN', () => ['nowhere/x', buildDeb('lost'), {}]],
    [
      'a suite by a name of JavaScript',
      404,
      'SUITE_UNKNOWN',
      () => ['__proto__/x', buildDeb('lost'), {}],
    ],
    [
      'a suite above the tree',
      404,
      'SUITE_UNKNOWN',
      () => ['..%2f..%2fetc/x', buildDeb('lost'), {}],
    ],
    ['no such component', 404, 'COMPONENT_UNKNOWN', () => ['stable/extra/x', buildDeb('lost'), {}]],
    ['a path too deep', 404, 'PATH_UNKNOWN', () => ['stable/a/b/c', buildDeb('lost'), {}]],
    ['no file name', 404, 'PATH_UNKNOWN', () => ['stable', buildDeb('lost'), {}]],
    [
      'a compressed body',
      400,
      'INPUT_INVALID',
      () => ['stable/x', buildDeb('lost'), { 'Content-Encoding': 'gzip' }],
    ],
    [
      'a part of a file',
      400,
      'INPUT_INVALID',
      () => ['stable/x', buildDeb('lost'), { 'Content-Range': 'bytes 0-9/100' }],
    ],
    ['an escape that is none', 400, 'INPUT_INVALID', () => ['%zz/x', buildDeb('lost'), {}]],
  ];
  it.each(refused)('%s: %i %s', async (_name, status, code, make) => {
    const before = [await listPool(), await readPublication()];
    const [place, body, headers] = make();
    const answer = await ask(site, uploader, `/upload/${place}`, { method: 'PUT', body, headers });
    expect([answer.status, readCode(answer)]).toEqual([status, code]);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.text).not.toContain(data);
    expect([await listPool(), await readPublication()]).toEqual(before);
  });

  it('exactly as many bytes as allowed are not too many', async () => {
    const answer = await put(site, uploader, Buffer.alloc(LIMIT_BYTES));
    expect(readCode(answer)).toBe('PACKAGE_MALFORMED');
  });

  it('409 for other bytes of the same name, both hashes named', async () => {
    await put(site, uploader, buildDeb('conflict'));
    const answer = await put(site, uploader, buildDeb('conflict', { payload: 'other\n' }));
    expect([answer.status, readCode(answer)]).toEqual([409, 'PACKAGE_CONFLICT']);
    expect(JSON.parse(answer.text).detail.match(/[0-9a-f]{64}/g)).toHaveLength(2);
  });

  it('ten of other bytes at once: one is taken, nine are 409', async () => {
    const debs = Array.from({ length: 10 }, (_, index) =>
      buildDeb('race', { payload: `number ${index}\n` }),
    );
    const answers = await Promise.all(debs.map((deb) => put(site, uploader, deb)));
    const statuses = answers.map((answer) => answer.status).sort();
    expect(statuses).toEqual([201, ...Array(9).fill(409)]);
    const winner = debs[answers.findIndex((answer) => answer.status === 201)];
    const stored = await readFile(join(data, 'pool/main/r/race/race_1.0_all.deb'));
    expect(winner?.equals(stored)).toBe(true);
  });
});

describe('POST multipart/form-data', () => {
  it('one part: 201 with the words of PUT, then 200', async () => {
    const deb = buildDeb('form-one');
    const first = await post([['package', deb]]);
    const again = await post([['package', deb]]);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(JSON.parse(first.text)).toMatchObject({ package: 'form-one', component: 'main' });
    expect(again.text).toBe(first.text);
  });

  it('several parts: all of them in one publication, in their order', async () => {
    const before = await readPublication();
    const names = ['form-c', 'form-a', 'form-b'];
    const answer = await post(names.map((name) => ['package', buildDeb(name)]));
    expect(answer.status).toBe(201);
    const { packages } = JSON.parse(answer.text);
    expect(packages.map((one: { package: string }) => one.package)).toEqual(names);
    expect(await readPublication()).toBe(before + 1);
  });

  it('a component in the path', async () => {
    const answer = await post([['package', buildDeb('form-extra')]], '/upload/second/extra');
    expect(answer.status).toBe(201);
  });

  const good = (): [string, Uint8Array] => ['package', buildDeb('form-alone')];
  const refused: [string, number, string, () => [string, Uint8Array][]][] = [
    ['a part of another name', 400, 'INPUT_INVALID', () => [['file', buildDeb('misnamed')]]],
    [
      'a good part, then one of another name',
      400,
      'INPUT_INVALID',
      () => [good(), ['file', Buffer.from('x')]],
    ],
    [
      'a part of another name, then a good one',
      400,
      'INPUT_INVALID',
      () => [['file', Buffer.from('x')], good()],
    ],
    ['no part', 400, 'INPUT_INVALID', () => []],
    [
      'a good part and a text',
      422,
      'PACKAGE_MALFORMED',
      () => [good(), ['package', Buffer.from('x')]],
    ],
    [
      'a text and a good part',
      422,
      'PACKAGE_MALFORMED',
      () => [['package', Buffer.from('x')], good()],
    ],
    [
      'a good part and one too large',
      413,
      'TOO_LARGE',
      () => [good(), ['package', Buffer.alloc(LIMIT_BYTES + 1)]],
    ],
    [
      'one too large and a good part',
      413,
      'TOO_LARGE',
      () => [['package', Buffer.alloc(LIMIT_BYTES + 1)], good()],
    ],
    [
      'two that contradict each other',
      409,
      'PACKAGE_CONFLICT',
      () => [good(), ['package', buildDeb('form-alone', { payload: 'other' })]],
    ],
    [
      'a good part and one that contradicts the pool',
      409,
      'PACKAGE_CONFLICT',
      () => [good(), ['package', buildDeb('form-one', { payload: 'other' })]],
    ],
  ];
  it.each(refused)('all or nothing: %s: %i %s', async (_name, status, code, make) => {
    const before = [await listPool(), await readPublication()];
    const answer = await post(make());
    expect([answer.status, readCode(answer)]).toEqual([status, code]);
    expect([await listPool(), await readPublication()]).toEqual(before);
  });

  it.each([
    ['no boundary', 'multipart/form-data', 'x'],
    ['another boundary', 'multipart/form-data; boundary=other', '--mine\r\n\r\nx\r\n--mine--\r\n'],
    ['JSON', 'application/json', '{}'],
    ['a form without files', 'application/x-www-form-urlencoded', 'package=x'],
    [
      'a text field',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="package"\r\n\r\nx\r\n--b--\r\n',
    ],
    [
      'no end',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="package"; filename="x"\r\n\r\nx',
    ],
  ])('400: %s', async (_name, type, body) => {
    const answer = await ask(site, uploader, '/upload/stable', {
      method: 'POST',
      body,
      headers: { 'Content-Type': type },
    });
    expect([answer.status, readCode(answer)]).toEqual([400, 'INPUT_INVALID']);
  });
});

describe('roles and suites', () => {
  it('403 for a host, an observer and an uploader of another suite; an admin may', async () => {
    const deb = buildDeb('by-role');
    const codes: string[] = [];
    for (const [role, suites] of [
      ['host', undefined],
      ['observer', undefined],
      ['uploader', ['second']],
    ] as const) {
      const client = await site.issue(`the-${role}`, role, suites && [...suites]);
      codes.push(readCode(await put(site, client, deb)));
      const form = buildForm([['package', deb]]);
      const headers = { 'Content-Type': form.type };
      const question = { method: 'POST', body: form.body, headers };
      expect((await ask(site, client, '/upload/stable', question)).status).toBe(403);
    }
    expect(codes).toEqual(['ROLE_FORBIDDEN', 'ROLE_FORBIDDEN', 'SUITE_FORBIDDEN']);
    const admin = await site.issue('the-admin', 'admin');
    expect((await put(site, admin, deb)).status).toBe(201);
  });

  it('writes what is refused before the body into the audit log', async () => {
    const client = await site.issue('watched', 'host');
    await put(site, client, buildDeb('watched'));
    const { entries } = await site.perform('audit.list', {});
    expect(entries.find((entry) => entry.actor === 'watched')).toMatchObject({
      role: 'host',
      operation: 'package.add',
      subject: 'stable',
      outcome: 'refused ROLE_FORBIDDEN',
      serial: client.serial,
    });
  });

  it('says nothing of what exists to who may not upload', async () => {
    const client = await site.issue('asking', 'host');
    const codes = await Promise.all(
      ['stable/x', 'nowhere/x'].map(async (place) =>
        readCode(await put(site, client, Buffer.alloc(0), place)),
      ),
    );
    expect(codes).toEqual(['ROLE_FORBIDDEN', 'ROLE_FORBIDDEN']);
  });
});

describe('a write from another site', () => {
  const cases: [string, Record<string, string>, number][] = [
    ['Origin of another site', { Origin: 'https://evil.example' }, 403],
    ['Origin null', { Origin: 'null' }, 403],
    ['Origin of the same name over http', { Origin: 'http://localhost' }, 403],
    ['Sec-Fetch-Site: cross-site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['Sec-Fetch-Site: same-site', { 'Sec-Fetch-Site': 'same-site' }, 403],
    [
      'Sec-Fetch-Site: same-origin with a foreign Origin',
      { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://evil.example' },
      403,
    ],
    ['Sec-Fetch-Site: same-origin', { 'Sec-Fetch-Site': 'same-origin' }, 201],
    ['Sec-Fetch-Site: none', { 'Sec-Fetch-Site': 'none' }, 200],
  ];
  it.each(cases)('%s', async (_name, headers, status) => {
    const deb = buildDeb('cross-site');
    const question = { method: 'PUT', body: deb, headers };
    const answer = await ask(site, uploader, '/upload/stable/x', question);
    expect(answer.status).toBe(status);
    if (status === 403) expect(readCode(answer)).toBe('ORIGIN_FORBIDDEN');
  });

  it('its own Origin is let in', async () => {
    const headers = { Origin: site.url, Host: new URL(site.url).host };
    const question = { method: 'PUT', body: buildDeb('cross-site'), headers };
    expect((await ask(site, uploader, '/upload/stable/x', question)).status).toBe(200);
  });
});

describe('Expect: 100-continue', () => {
  const expectContinue = async (client: IssuedClient, place: string, length: number) => {
    const connection = await openConnection({ port: site.port, client, ca: site.ca });
    connection.send(
      `PUT /upload/${place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await waitFor('an answer', () => (connection.received() ? true : undefined));
    return connection;
  };

  it('is answered with 100 where the upload may begin', async () => {
    const deb = buildDeb('continued');
    const connection = await expectContinue(uploader, 'stable/x', deb.length);
    expect(connection.received()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    connection.socket.write(deb);
    await waitFor('201', () => (connection.received().includes('201') ? true : undefined));
    connection.socket.destroy();
  });

  it.each([
    ['403 Role not allowed', 'host', 'stable/x', 1000],
    ['404 No such suite', 'uploader', 'nowhere/x', 1000],
    ['413 Too large', 'uploader', 'stable/x', LIMIT_BYTES + 1],
  ] as const)('%s before a byte of the body', async (line, role, place, length) => {
    const client = await site.issue(`expecting-${role}`, role);
    const connection = await expectContinue(client, place, length);
    expect(readStatusLines(connection.received())).toEqual([`HTTP/1.1 ${line}`]);
    connection.socket.destroy();
  });

  it('is refused with 403 where the certificate is revoked', async () => {
    const client = await site.issue('revoked-expecting', 'uploader');
    await site.perform('certificate.revoke', { certificate: client.serial });
    const connection = await expectContinue(client, 'stable/x', 1000);
    expect(readStatusLines(await connection.ended())).toEqual(['HTTP/1.1 403 Certificate revoked']);
  });
});

describe('a connection cut in mid-body', () => {
  const waitForStaging = () =>
    waitFor('bytes in staging', async () => ((await listStaging()).length > 0 ? true : undefined));

  it('of PUT leaves nothing', async () => {
    const before = await listPool();
    const connection = await openConnection({ port: site.port, client: uploader, ca: site.ca });
    connection.send(
      'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n!<arch>\n',
    );
    await waitForStaging();
    connection.socket.destroy();
    await waitFor('nothing', async () => ((await listStaging()).length === 0 ? true : undefined));
    expect(await listPool()).toBe(before);
  });

  it.each([
    ['in the first part', 0, 300],
    ['in the second part', 1, 300],
    ['between two parts', 1, 0],
  ] as const)('of a form leaves nothing: %s', async (_name, whole, more) => {
    const before = await listPool();
    const parts: [string, Uint8Array][] = [
      ['package', buildDeb('cut-one')],
      ['package', buildDeb('cut-two')],
    ];
    const { type, body } = buildForm(parts);
    const end = body.indexOf(parts[whole]?.[1] ?? '') + more;
    const connection = await openConnection({ port: site.port, client: uploader, ca: site.ca });
    connection.send(
      `POST /upload/stable HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    connection.socket.write(body.subarray(0, end));
    await waitForStaging();
    connection.socket.destroy();
    await waitFor('nothing', async () => ((await listStaging()).length === 0 ? true : undefined));
    expect(await listPool()).toBe(before);
  });

  it('with a body shorter than announced, ended in order, leaves nothing', async () => {
    const before = await listPool();
    const connection = await openConnection({ port: site.port, client: uploader, ca: site.ca });
    connection.send(
      'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n!<arch>\n',
    );
    await waitForStaging();
    connection.socket.end();
    expect(readStatusLines(await connection.ended()).join()).not.toMatch(/ 20\d /);
    await waitFor('nothing', async () => ((await listStaging()).length === 0 ? true : undefined));
    expect(await listPool()).toBe(before);
  });

  it('with a small body shorter than announced, ended in order, leaves nothing', async () => {
    const before = await listPool();
    const connection = await openConnection({ port: site.port, client: uploader, ca: site.ca });
    connection.send(
      'PUT /upload/stable/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n!<arch>\n',
    );
    connection.socket.end();
    expect(readStatusLines(await connection.ended()).join()).not.toMatch(/ 20\d /);
    expect(await listStaging()).toEqual([]);
    expect(await listPool()).toBe(before);
  });
});

describe('503', () => {
  it('while the revocation list is out of date', async () => {
    clock.advance(25 * HOUR_MS);
    try {
      const answer = await put(site, uploader, buildDeb('stale'));
      expect([answer.status, readCode(answer)]).toEqual([503, 'CRL_STALE']);
      expect(answer.reason).toBe('Revocation list out of date');
    } finally {
      clock.advance(-25 * HOUR_MS);
    }
    expect((await put(site, uploader, buildDeb('stale'))).status).toBe(201);
  });
});

describe('no room', () => {
  /** EFBIG stands here for a full disk: it needs no root. setrlimit(2). */
  const limitFiles = (bytes: string): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
  };

  it('507, nothing is left, and the next upload finds room again', async () => {
    const deb = buildDeb('no-room', { payload: randomBytes(20_000) });
    limitFiles('4096');
    const answer = await put(site, uploader, deb).finally(() => limitFiles('unlimited'));
    expect([answer.status, readCode(answer)]).toEqual([507, 'SPACE_EXHAUSTED']);
    expect(await listStaging()).toEqual([]);
    expect((await put(site, uploader, deb)).status).toBe(201);
  });

  it('500 for a fault of our own, which says nothing of the server', async () => {
    const staging = join(data, 'pool/.staging');
    await rename(staging, `${staging}-aside`);
    await writeFile(staging, '');
    const answer = await put(site, uploader, buildDeb('own-fault'));
    await rm(staging);
    await rename(`${staging}-aside`, staging);
    expect([answer.status, readCode(answer)]).toEqual([500, 'INTERNAL_ERROR']);
    expect(JSON.parse(answer.text).detail).toMatch(/^internal error; .* request [0-9a-f-]{36}$/);
    expect(answer.text).not.toContain('staging');
  });
});
