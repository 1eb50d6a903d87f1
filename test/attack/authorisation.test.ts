/** Who is let in and still may not: what a certificate or a request says of itself counts nothing. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage, buildTar, controlMember } from '../deb/build.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb, buildForm } from '../http/packages.ts';
import {
  type Answer,
  ask,
  type IssuedClient,
  put,
  readCode,
  type Site,
  startSite,
} from '../http/start.ts';
import { CLIENT, forge, record } from './forge.ts';

const data = join(createScratch('authorisation'), 'data');
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
  await site.issue('other', 'host');
});

afterAll(() => site.daemon.stop());

describe('the role is the catalog’s', () => {
  it.each([
    ['CN=admin', '/OU=host/CN=admin', []],
    ['OU=admin', '/OU=admin/CN=web', []],
    ['two OUs', '/OU=host/OU=admin/CN=web', []],
    ['the URN of an admin', '/OU=host/CN=web', ['subjectAltName=URI:urn:aptkeep:admin:root']],
  ])('and not what the certificate claims: %s', async (_name, subject, more) => {
    const forged = await forge(site, { subject, extensions: [...CLIENT, ...more] });
    const client = { ...forged, name: 'claiming' };
    await record(site, client, 'host');
    expect((await ask(site, client, '/dists/stable/InRelease')).status).toBe(200);
    expect(readCode(await ask(site, client, '/v1/certificates'))).toBe('ROLE_FORBIDDEN');
    expect(readCode(await put(site, client, buildDeb('claimed')))).toBe('ROLE_FORBIDDEN');
  });

  it('for a host named admin too', async () => {
    const client = await site.issue('admin', 'host');
    expect(readCode(await ask(site, client, '/v1/certificates'))).toBe('ROLE_FORBIDDEN');
  });
});

describe('a host', () => {
  it.each([
    '/v1/hosts',
    '/v1/hosts/other',
    '/v1/hosts/other/apt',
    '/v1/hosts/web/apt',
    '/v1/certificates/other',
    '/v1/audit',
    '/v1/packages',
  ])('does not read %s', async (path) => {
    expect(readCode(await ask(site, host, path))).toBe('ROLE_FORBIDDEN');
  });

  it('makes no certificate for itself', async () => {
    const body = JSON.stringify({ name: 'web', role: 'admin', csr: 'x' });
    const headers = { 'Content-Type': 'application/json' };
    const answer = await ask(site, host, '/v1/certificates', { method: 'POST', body, headers });
    expect(readCode(answer)).toBe('ROLE_FORBIDDEN');
  });

  it.each([
    ['X-HTTP-Method-Override', 'POST'],
    ['X-Original-URL', '/dists/stable/InRelease'],
    ['X-Rewrite-URL', '/dists/stable/InRelease'],
    ['X-Client-Cert', 'OU=admin'],
    ['X-SSL-Client-Verify', 'SUCCESS'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Client-Cert', 'Subject="OU=admin,CN=root"'],
    ['X-SSL-Client-S-DN', 'OU=admin,CN=root'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'localhost'],
    ['Forwarded', 'for=127.0.0.1;by=localhost;proto=https'],
    ['Authorization', 'Basic YWRtaW46YWRtaW4='],
    ['Cookie', 'role=admin'],
  ])('gains nothing by %s', async (name, value) => {
    const answer = await ask(site, host, '/v1/certificates', { headers: { [name]: value } });
    expect(answer.status).toBe(403);
  });
});

/** What only an admin may do or see, as a request has it. */
const ADMINS_ALONE: [string, string, object?][] = [
  ['POST', '/v1/certificates', { name: 'x', role: 'admin', csr: 'x' }],
  ['GET', '/v1/certificates'],
  ['GET', '/v1/certificates/web'],
  ['POST', '/v1/certificates/web/revoke', {}],
  ['GET', '/v1/authorities'],
  ['POST', '/v1/authorities/client/rotate', {}],
  ['POST', '/v1/authorities/client/finish', { force: true }],
  ['POST', '/v1/crl/refresh', {}],
  ['POST', '/v1/suites', { suite: 'mine', origin: 'x', label: 'x' }],
  ['POST', '/v1/suites/stable/publish', {}],
  ['POST', '/v1/key/rotate', {}],
  ['POST', '/v1/key/finish', { force: true }],
  ['GET', '/v1/hosts'],
  ['POST', '/v1/hosts', { host: 'mine' }],
  ['POST', '/v1/hosts/web', { group: 'default' }],
  ['DELETE', '/v1/hosts/web'],
  ['POST', '/v1/groups', { group: 'mine' }],
  ['DELETE', '/v1/groups/default'],
  ['POST', '/v1/server/renew', {}],
  ['GET', '/v1/audit'],
];

describe('the admin’s interface', () => {
  /** Everything that the requests above could have changed. */
  const readEverything = async () => [
    (await site.perform('certificate.list', {})).certificates.map((one) => [
      one.serial,
      one.status,
    ]),
    (await site.perform('authority.list', {})).authorities.map((one) => [one.current, one.other]),
    await site.perform('suite.list', {}),
    await site.perform('key.show', {}),
    (await site.perform('host.list', {})).hosts.map((one) => [one.name, one.group]),
    await site.perform('group.list', {}),
    (await site.perform('crl.show', {})).lists,
  ];

  it.each(['host', 'uploader'] as const)('is closed to the certificate of a %s', async (role) => {
    const client = await site.issue(`curious-${role}`, role);
    const before = await readEverything();
    for (const [method, path, input] of ADMINS_ALONE) {
      const body = input === undefined ? {} : { body: JSON.stringify(input) };
      const headers = { 'Content-Type': 'application/json' };
      const answer = await ask(site, client, path, { method, headers, ...body });
      expect([method, path, answer.status, readCode(answer)]).toEqual([
        ...[method, path, 403, 'ROLE_FORBIDDEN'],
      ]);
    }
    expect(await readEverything()).toEqual(before);
  });
});

describe('a host that uploads', () => {
  it.each([
    ['PUT', '/upload/stable/x.deb', {}],
    ['PUT', '/upload/stable/main/x.deb', { 'X-Client-Cert': 'OU=uploader, CN=build' }],
    ['PUT', '/upload/stable/x.deb', { 'X-Forwarded-Client-Cert': 'Subject="OU=admin,CN=root"' }],
    ['PUT', '/upload/stable/x.deb', { 'X-SSL-Client-S-DN': 'OU=admin,CN=root' }],
    ['PUT', '/upload/stable/x.deb', { 'X-Forwarded-For': '127.0.0.1' }],
    ['PUT', '/upload/stable/x.deb', { 'X-Real-IP': '127.0.0.1' }],
    ['PUT', '/upload/stable/x.deb', { Forwarded: 'for=127.0.0.1;by=localhost' }],
    ['PUT', '/upload/stable/x.deb', { Authorization: 'Basic YWRtaW46YWRtaW4=' }],
    ['POST', '/upload/stable/x.deb', { 'X-HTTP-Method-Override': 'PUT' }],
    ['PUT', '/dists/stable/InRelease', {}],
    ['PUT', '/pool/main/s/sample/sample_1.0_all.deb', {}],
    ['DELETE', '/dists/stable/InRelease', {}],
  ])('is refused, %s %s with %o', async (method, path, headers) => {
    const before = await listFiles(data);
    const body = method === 'DELETE' ? {} : { body: buildDeb('by-a-host') };
    const answer = await ask(site, host, path, { method, headers, ...body });
    expect(answer.status).toBeOneOf([403, 404, 405]);
    expect((await listFiles(data)).filter((file) => !/sqlite|crl/.test(file))).toEqual(
      before.filter((file) => !/sqlite|crl/.test(file)),
    );
  });
});

/** The fields of a control paragraph behind Package. */
const REST = ['Version: 1.0', 'Architecture: all', 'Maintainer: A <a@b>', 'Description: x'];

describe('an uploader that is limited to package names', () => {
  let limited: IssuedClient;
  beforeAll(async () => {
    limited = await site.issue('moodle', 'uploader', ['stable'], ['lu-moodle-*', 'php-foo']);
  });

  const post = (...packages: Buffer[]): Promise<Answer> => {
    const { type, body } = buildForm(packages.map((bytes) => ['package', bytes]));
    const headers = { 'Content-Type': type };
    return ask(site, limited, '/upload/stable', { method: 'POST', body, headers });
  };
  const withControl = (...lines: string[]): Buffer =>
    buildPackage({
      control: controlMember(
        buildTar([{ name: './control', content: `${[...lines, ...REST].join('\n')}\n` }]),
      ),
    });
  const readState = async () => [
    await listFiles(join(data, 'pool')),
    (await site.perform('suite.show', { suite: 'stable' })).publication,
    (await site.perform('package.list', {})).packages.map((one) => one.package),
  ];

  it('adds what is named for it', async () => {
    for (const name of ['lu-moodle-lu', 'lu-moodle-', 'php-foo']) {
      expect((await put(site, limited, buildDeb(name), 'stable/sudo_1.0_all.deb')).status).toBe(
        201,
      );
    }
  });

  it.each<[string, () => Buffer, string]>([
    ['another name', () => buildDeb('sudo'), 'sudo'],
    ['a name that goes on', () => buildDeb('php-foo2'), 'php-foo2'],
    ['a name that begins earlier', () => buildDeb('xlu-moodle-lu'), 'xlu-moodle-lu'],
    ['the pattern’s beginning', () => buildDeb('lu-moodle'), 'lu-moodle'],
    ['a source of an allowed name', () => withControl('Package: sudo', 'Source: php-foo'), 'sudo'],
    [
      'a field that provides an allowed name',
      () => withControl('Package: sudo', 'Provides: php-foo'),
      'sudo',
    ],
    [
      'a package for the installer',
      () => withControl('Package: sudo-udeb', 'Package-Type: udeb'),
      'sudo-udeb',
    ],
  ])('is refused %s, whatever the file is called', async (_name, build, named) => {
    const before = await readState();
    for (const file of ['lu-moodle-lu_1.0_all.deb', 'php-foo', 'main/php-foo_1.0_all.deb']) {
      const answer = await put(site, limited, build(), `stable/${file}`);
      expect([answer.status, answer.reason]).toEqual([403, 'Package not allowed']);
      expect(JSON.parse(answer.text)).toMatchObject({
        code: 'PACKAGE_FORBIDDEN',
        detail: `moodle may add the packages lu-moodle-*, php-foo, not ${named}`,
      });
    }
    expect(await readState()).toEqual(before);
  });

  it.each<[string, () => Buffer]>([
    ['a name in upper case', () => withControl('Package: PHP-foo')],
    ['a name with a slash', () => withControl('Package: lu-moodle-/x')],
    ['a name twice', () => withControl('Package: sudo', 'Package: php-foo')],
  ])('is not helped by %s', async (_name, build) => {
    const before = await readState();
    expect((await put(site, limited, build())).status).toBe(422);
    expect(await readState()).toEqual(before);
  });

  it('adds a form whole or not at all, wherever the forbidden part stands', async () => {
    const before = await readState();
    const [good, bad] = [buildDeb('lu-moodle-new'), buildDeb('sudo')];
    for (const parts of [
      [good, bad],
      [bad, good],
      [good, bad, buildDeb('php-foo', { version: '2' })],
    ]) {
      expect(readCode(await post(...parts))).toBe('PACKAGE_FORBIDDEN');
      expect(await readState()).toEqual(before);
    }
    expect((await post(good, buildDeb('php-foo', { version: '2' }))).status).toBe(201);
  });

  it('is refused a forbidden package also where exactly these bytes are there already', async () => {
    const anyone = await site.issue('anyone', 'uploader');
    expect((await put(site, anyone, buildDeb('present'))).status).toBe(201);
    expect(readCode(await put(site, limited, buildDeb('present')))).toBe('PACKAGE_FORBIDDEN');
  });

  it('is refused another suite, whatever the name', async () => {
    await site.perform('suite.create', { name: 'other', origin: 'Test', label: 'Test' });
    const answer = await put(site, limited, buildDeb('php-foo'), 'other/php-foo.deb');
    expect(readCode(answer)).toBe('SUITE_FORBIDDEN');
  });

  it('has its refusals in the audit log', async () => {
    const { entries } = await site.perform('audit.list', {});
    expect(entries).toContainEqual(
      expect.objectContaining({ actor: 'moodle', outcome: 'refused PACKAGE_FORBIDDEN' }),
    );
  });
});

describe('the private socket', () => {
  it('is its owner’s alone', async () => {
    const socket = join(data, 'aptkeep.sock');
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    const flags = ['-sS', '--unix-socket', socket, 'http://localhost/v1/status'];
    expect(JSON.parse(await succeed('curl', ['-q', ...flags]))).toMatchObject({ door: 'open' });
  });

  it('is nobody else’s', async () => {
    // Permission is the kernel's to refuse; root is asked for another user's eyes.
    const asOther = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
    const flags = [
      '-qsS',
      '--unix-socket',
      join(data, 'aptkeep.sock'),
      'http://localhost/v1/status',
    ];
    const [command = 'curl', ...rest] = [...asOther, 'curl', ...flags];
    const outcome = await run(command, rest);
    expect(outcome.stdout === '' ? 'refused' : 'let in').toBe(
      asOther.length ? 'refused' : 'let in',
    );
  });
});
