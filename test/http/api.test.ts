/**
 * The operations over HTTP: each is reachable, each asks for its role, and what is sent is used or
 * refused. Who may do what is written here by hand, from the reference; the rest of the document
 * is held against the OpenAPI 3.1 schema.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import supertest, { type Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES, type Role } from '../../src/authority/profiles.ts';
import { ROUTES, type RoutedName } from '../../src/http/routes.ts';
import { OPERATIONS } from '../../src/operations/table.ts';
import { exportKeyring, generateSigningKey, readSigningKey } from '../../src/signing/key.ts';
import { createScratch } from '../e2e/command.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb, buildForm } from './packages.ts';
import {
  ask,
  createKeyAndRequest,
  type IssuedClient,
  put,
  readCode,
  type Site,
  startSite,
} from './start.ts';

interface Attempt {
  /** Who may. */
  roles: readonly Role[];
  /** What is put in place of `{key}` in the path. */
  path?: (role: Role) => Record<string, string>;
  body?: (role: Role) => object;
  status?: number;
}

const ALL_BUT_HOSTS = ['uploader', 'observer', 'admin'] as const;
const WATCHERS = ['observer', 'admin'] as const;
const ADMIN = ['admin'] as const;

const { csr } = createKeyAndRequest();
const signer = { keyring: '', fingerprint: '' };
const suite = () => ({ suite: 'stable' });

/** Every operation of the API; complete by type. */
const ATTEMPTS: Record<RoutedName, Attempt> = {
  'status.show': { roles: ALL_BUT_HOSTS },
  'certificate.issue': {
    roles: ADMIN,
    body: (role) => ({ name: `issued-by-${role}`, role: 'host', csr }),
    status: 201,
  },
  'certificate.self': { roles: ROLES },
  'certificate.renew': { roles: ROLES, body: () => ({ csr }), status: 201 },
  'certificate.list': { roles: WATCHERS },
  'certificate.test': {
    roles: WATCHERS,
    body: () => ({ pem: readFileSync(clientOf('host').certificate, 'utf8') }),
  },
  'certificate.show': { roles: WATCHERS, path: () => ({ certificate: 'the-host' }) },
  'certificate.revoke': {
    roles: ADMIN,
    path: (role) => ({ certificate: `victim-of-${role}` }),
    body: () => ({ reason: 'superseded' }),
  },
  'authority.list': { roles: WATCHERS },
  'authority.rotate': { roles: ADMIN, path: () => ({ authority: 'server' }), body: () => ({}) },
  'authority.finish': {
    roles: ADMIN,
    path: () => ({ authority: 'server' }),
    body: () => ({ force: true }),
  },
  'crl.show': { roles: WATCHERS },
  'crl.refresh': { roles: ADMIN, body: () => ({}) },
  'crl.export': { roles: WATCHERS },
  'suite.create': {
    roles: ADMIN,
    body: (role) => ({ name: `made-by-${role}`, origin: 'Test', label: 'Test' }),
  },
  'suite.list': { roles: ALL_BUT_HOSTS },
  'suite.show': { roles: ALL_BUT_HOSTS, path: suite },
  'suite.set': { roles: ADMIN, path: suite, body: (role) => ({ description: `set by ${role}` }) },
  'suite.remove': { roles: ADMIN, path: (role) => ({ suite: `made-by-${role}` }) },
  'suite.publish': { roles: ADMIN, path: suite, body: () => ({}) },
  'suite.import': { roles: ADMIN, path: suite, body: () => ({ source: packages }) },
  'import.list': { roles: WATCHERS },
  'suite.export': { roles: ADMIN, body: () => ({ directory: `${data}-export` }) },
  'backup.snapshot': { roles: ADMIN, body: () => ({}) },
  'publication.list': { roles: ALL_BUT_HOSTS, path: suite },
  'publication.show': { roles: ALL_BUT_HOSTS, path: () => ({ suite: 'stable', number: '1' }) },
  'publication.diff': {
    roles: ALL_BUT_HOSTS,
    path: () => ({ suite: 'stable', from: '1', to: '2' }),
  },
  'package.list': { roles: ALL_BUT_HOSTS },
  'package.show': { roles: ALL_BUT_HOSTS, path: () => ({ package: 'shown' }) },
  'package.copy': {
    roles: ['uploader', 'admin'],
    path: () => ({ to: 'stable' }),
    body: () => ({ from: 'stable', packages: [{ package: 'shown' }] }),
  },
  'package.phase': {
    roles: ADMIN,
    path: suite,
    body: () => ({ packages: [{ package: 'shown', version: '1.0' }], percentage: 10 }),
  },
  'package.remove': {
    roles: ADMIN,
    path: suite,
    body: () => ({ packages: [{ package: 'shown', version: '1.0' }] }),
  },
  'publication.rollback': { roles: ADMIN, path: suite, body: () => ({ to: 2, reason: 'a test' }) },
  'signer.add': { roles: ADMIN, body: () => ({ keyring: signer.keyring }) },
  'signer.list': { roles: WATCHERS },
  'signer.remove': { roles: ADMIN, path: () => ({ signer: signer.fingerprint }) },
  'key.show': { roles: ALL_BUT_HOSTS },
  'key.export': { roles: ALL_BUT_HOSTS },
  'key.rotate': { roles: ADMIN, body: () => ({}) },
  'key.finish': { roles: ADMIN, body: () => ({ force: true }) },
  'key.package': { roles: ALL_BUT_HOSTS },
  'host.add': { roles: ADMIN, body: (role) => ({ host: `added-by-${role}` }) },
  'host.list': { roles: WATCHERS },
  'host.show': { roles: WATCHERS, path: () => ({ host: 'the-host' }) },
  'host.apt': { roles: ADMIN, path: () => ({ host: 'the-host' }) },
  'host.set': {
    roles: ADMIN,
    path: () => ({ host: 'the-host' }),
    body: () => ({ group: 'default' }),
  },
  'host.remove': { roles: ADMIN, path: (role) => ({ host: `gone-by-${role}` }) },
  'group.create': { roles: ADMIN, body: (role) => ({ group: `made-by-${role}` }) },
  'group.list': { roles: WATCHERS },
  'group.show': { roles: WATCHERS, path: () => ({ group: 'default' }) },
  'group.set': {
    roles: ADMIN,
    path: () => ({ group: 'default' }),
    body: (role) => ({ description: `set by ${role}` }),
  },
  'group.remove': { roles: ADMIN, path: (role) => ({ group: `gone-by-${role}` }) },
  // By a kit's certificate alone, which reaches nothing else: attack/enrolment.test.ts.
  'host.enrol': { roles: [], body: () => ({ csr }) },
  'host.report': {
    roles: ['host'],
    body: () => ({ serverCa: 'a'.repeat(64), keyring: 'b'.repeat(64), client: '0.1.0' }),
  },
  'server.renew': { roles: ADMIN, body: () => ({}) },
  'check.start': { roles: WATCHERS, body: () => ({}) },
  'check.repair': { roles: ADMIN, body: () => ({}) },
  'check.show': { roles: WATCHERS },
  'sweep.show': { roles: WATCHERS },
  'sweep.run': { roles: ADMIN, body: () => ({}) },
  'audit.list': { roles: WATCHERS },
  'audit.verify': { roles: WATCHERS },
};

/** All but those by which everybody keeps their own certificate and says what they have. */
const NOT_OF_ONESELF = (Object.keys(ATTEMPTS) as RoutedName[]).filter(
  (name) => !['certificate.renew', 'host.report'].includes(name),
);

const data = join(createScratch('api'), 'data');
/** What an import is pointed at. */
const packages = `${data}-packages`;
const clients = new Map<Role, IssuedClient>();
let site: Site;

function clientOf(role: Role): IssuedClient {
  const client = clients.get(role);
  if (!client) throw new Error(`no ${role} yet`);
  return client;
}

/** A request of supertest with a client's certificate. */
function api(role: Role, method: string, path: string): Test {
  const client = clientOf(role);
  const start = supertest(site.url)[method.toLowerCase() as 'get' | 'post' | 'delete'](path);
  return start
    .ca(readFileSync(site.ca, 'utf8'))
    .cert(readFileSync(client.certificate, 'utf8'))
    .key(readFileSync(client.key, 'utf8'));
}

function attempt(name: RoutedName, role: Role): Test {
  const { path, body } = ATTEMPTS[name];
  const { method, path: template } = ROUTES[name];
  const values = path?.(role) ?? {};
  const test = api(
    role,
    method,
    template.replace(/\{(\w+)\}/g, (_all, key) => values[key] ?? ''),
  );
  return body ? test.send(body(role)) : test;
}

beforeAll(async () => {
  const key = await readSigningKey(await generateSigningKey('Signer', new Date(0)));
  signer.keyring = exportKeyring([key]).armored;
  signer.fingerprint = key.getFingerprint();
  mkdirSync(packages);
  writeFileSync(join(packages, 'moved.deb'), buildDeb('moved'));
  site = await startSite(data);
  for (const role of ROLES) {
    clients.set(role, await site.issue(`the-${role}`, role));
    await site.issue(`victim-of-${role}`, 'host');
    await site.perform('host.add', { host: `gone-by-${role}` });
    await site.perform('group.create', { group: `gone-by-${role}` });
  }
  expect((await put(site, clientOf('uploader'), buildDeb('shown'))).status).toBe(201);
});

afterAll(() => site.daemon.stop());

describe('who may do what', () => {
  const cases = (Object.keys(ATTEMPTS) as RoutedName[]).flatMap((name) =>
    ROLES.map((role) => {
      const allowed = ATTEMPTS[name].roles.includes(role);
      return [name, role, allowed ? 'yes' : 'no'] as const;
    }),
  );

  it.each(cases)('%s by %s: %s', async (name, role, allowed) => {
    const answer = await attempt(name, role);
    // A kit holds the key that is good once.
    if (name !== 'host.add') expect(answer.text).not.toContain('PRIVATE KEY');
    if (allowed === 'yes') {
      expect(answer.status).toBe(ATTEMPTS[name].status ?? 200);
      expect(answer.type).toBe('application/json');
      return;
    }
    expect(answer.status).toBe(403);
    expect(answer.type).toBe('application/problem+json');
    const detail = `${name} needs the role ${OPERATIONS[name].roles.join(' or ')}; the-${role} is ${role}`;
    expect(answer.body).toMatchObject({ status: 403, code: 'ROLE_FORBIDDEN', detail });
  });

  it('leaves the refused ones without effect', async () => {
    const names = (await attempt('host.list', 'admin')).body.hosts.map(
      (host: { name: string }) => host.name,
    );
    expect(names).toEqual(expect.arrayContaining(['added-by-admin', 'gone-by-host']));
    expect(names).not.toContain('added-by-uploader');
    expect(names).not.toContain('gone-by-admin');
    const shown = await site.perform('certificate.show', { certificate: 'victim-of-uploader' });
    expect(shown.certificates.map((one) => one.status)).toEqual(['valid']);
  });

  /** Everything that is written down but who asked for it. */
  async function dumpCatalog(): Promise<string> {
    const { catalog } = site.parts.repository;
    const tables = await catalog.all<{ name: string }>(
      "select name from sqlite_schema where type = 'table' and name <> 'audit' order by name",
    );
    const rows = tables.map(({ name }) => catalog.all(`select * from ${name}`));
    return JSON.stringify([await Promise.all(rows), await listFiles(join(data, 'pool'))]);
  }

  it.each(['host', 'observer'] as const)(
    '%s changes nothing, whatever it asks for and wherever it uploads',
    async (role) => {
      const before = await dumpCatalog();
      for (const name of NOT_OF_ONESELF) await attempt(name, role);
      for (const prefix of ['', '/v1']) {
        for (const place of ['stable/x.deb', 'stable/main/x.deb']) {
          const path = `${prefix}/upload/${place}`;
          const body = buildDeb('by-a-reader');
          const answer = await ask(site, clientOf(role), path, { method: 'PUT', body });
          expect(JSON.parse(answer.text)).toMatchObject({
            ...{ status: 403, code: 'ROLE_FORBIDDEN' },
            detail: `package.add needs the role uploader or admin; the-${role} is ${role}`,
          });
        }
        for (const place of ['stable', 'stable/main']) {
          const { type, body } = buildForm([['package', buildDeb('by-a-reader')]]);
          const headers = { 'Content-Type': type };
          const question = { method: 'POST', body, headers };
          const answer = await ask(site, clientOf(role), `${prefix}/upload/${place}`, question);
          expect([answer.status, readCode(answer)]).toEqual([403, 'ROLE_FORBIDDEN']);
        }
      }
      expect(await dumpCatalog()).toBe(before);
    },
  );

  it('uploader changes nothing by any operation but the one that is its own', async () => {
    const before = await dumpCatalog();
    for (const name of NOT_OF_ONESELF) await attempt(name, 'uploader');
    expect(await dumpCatalog()).toBe(before);
  });

  it('is in the audit log, the refused attempts too', async () => {
    const { entries } = (await attempt('audit.list', 'observer')).body;
    expect(entries).toContainEqual(
      expect.objectContaining({
        actor: 'the-uploader',
        role: 'uploader',
        serial: clientOf('uploader').serial,
        address: '127.0.0.1',
        operation: 'certificate.revoke',
        outcome: 'refused ROLE_FORBIDDEN',
      }),
    );
  });

  it('does not depend on what a client says of itself', async () => {
    const answer = await api('host', 'GET', '/v1/certificates')
      .set('X-Client-Cert', readFileSync(clientOf('admin').certificate, 'utf8').replace(/\n/g, ' '))
      .set('X-SSL-Client-S-DN', 'OU=admin,CN=the-admin')
      .set('X-Forwarded-For', '127.0.0.1')
      .set('X-Forwarded-User', 'the-admin')
      .set('Forwarded', 'for=127.0.0.1')
      .set('Authorization', 'Basic dGhlLWFkbWluOg==');
    expect(answer.status).toBe(403);
  });
});

describe('what is sent', () => {
  const asked = (Object.keys(ATTEMPTS) as RoutedName[]).filter(
    (name) => ATTEMPTS[name].roles.length > 0,
  );
  it.each(asked)('%s refuses an unknown key', async (name) => {
    const { path, roles } = ATTEMPTS[name];
    const role = roles.at(-1) ?? 'admin';
    const { method, path: template } = ROUTES[name];
    const values = path?.(role) ?? {};
    const target = template.replace(/\{(\w+)\}/g, (_all, key) => values[key] ?? '');
    const test =
      method === 'POST'
        ? api(role, method, target).send({ ...ATTEMPTS[name].body?.(role), unheard: 'of' })
        : api(role, method, `${target}?unheard=of`);
    const answer = await test;
    expect([answer.status, answer.body.code]).toEqual([400, 'INPUT_INVALID']);
    expect(answer.body.detail).toContain('unheard');
  });

  const bodies: [string, string, string | undefined, number, string][] = [
    ['an array', 'application/json', '[]', 400, 'INPUT_INVALID'],
    ['a string', 'application/json', '"x"', 400, 'INPUT_INVALID'],
    ['null', 'application/json', 'null', 400, 'INPUT_INVALID'],
    ['half an object', 'application/json', '{"reason":', 400, 'INPUT_INVALID'],
    ['a form', 'application/x-www-form-urlencoded', 'reason=superseded', 400, 'INPUT_INVALID'],
    ['text', 'text/plain', '{"reason":"superseded"}', 400, 'INPUT_INVALID'],
    ['a charset nobody knows', 'application/json; charset=x-none', '{}', 400, 'INPUT_INVALID'],
    ['a prototype', 'application/json', '{"__proto__":{"x":1}}', 400, 'INPUT_INVALID'],
    [
      'the key of the path',
      'application/json',
      '{"certificate":"the-admin"}',
      400,
      'INPUT_INVALID',
    ],
    ['a reason that is none', 'application/json', '{"reason":"bored"}', 400, 'INPUT_INVALID'],
    ['a value of another type', 'application/json', '{"reason":{"$ne":1}}', 400, 'INPUT_INVALID'],
    ['2 MB', 'application/json', JSON.stringify({ reason: 'x'.repeat(2e6) }), 413, 'TOO_LARGE'],
    ['a bomb of brackets', 'application/json', '['.repeat(100_000), 400, 'INPUT_INVALID'],
  ];
  it.each(bodies)('%s is refused', async (_name, type, body, status, code) => {
    await site.issue('standing', 'observer');
    const answer = await api('admin', 'POST', '/v1/certificates/standing/revoke')
      .set('Content-Type', type)
      .send(body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    const { certificates } = await site.perform('certificate.show', { certificate: 'standing' });
    expect(certificates.every((one) => one.status === 'valid')).toBe(true);
  });

  it('a query key twice is refused', async () => {
    const answer = await api('admin', 'GET', '/v1/packages?query=a&query=b');
    expect(answer.status).toBe(400);
  });

  it('no body is an empty object', async () => {
    expect((await api('admin', 'POST', '/v1/crl/refresh')).status).toBe(200);
  });

  it('another method on a path that is there: 405 with Allow', async () => {
    const answer = await api('admin', 'DELETE', '/v1/status');
    expect([answer.status, answer.body.code]).toEqual([405, 'METHOD_NOT_ALLOWED']);
    expect(answer.headers.allow).toBe('GET, HEAD');
    expect((await api('admin', 'DELETE', '/v1/certificates')).headers.allow).toBe(
      'POST, GET, HEAD',
    );
  });

  it.each([
    '/v1',
    '/v1/',
    '/v1/nothing',
    '/v1/suites/',
    '/v1/certificates/',
    '/V1/suites',
    '/v2/status',
    '/',
    '/favicon.ico',
    '/certs/client-ca.key',
  ])('404 for %s', async (path) => {
    const answer = await api('admin', 'GET', path);
    expect([answer.status, answer.body.code]).toEqual([404, 'PATH_UNKNOWN']);
  });

  it('a write from another site is refused', async () => {
    const answer = await api('admin', 'POST', '/v1/hosts')
      .set('Origin', 'https://evil.example')
      .send({ host: 'by-a-page' });
    expect([answer.status, answer.body.code]).toEqual([403, 'ORIGIN_FORBIDDEN']);
    const deletion = await api('admin', 'DELETE', '/v1/hosts/the-host').set(
      'Sec-Fetch-Site',
      'cross-site',
    );
    expect(deletion.status).toBe(403);
    const preflight = supertest(site.url)
      .options('/v1/hosts')
      .set('Origin', 'https://evil.example');
    const client = clientOf('admin');
    const asked = await preflight
      .ca(readFileSync(site.ca, 'utf8'))
      .cert(readFileSync(client.certificate, 'utf8'))
      .key(readFileSync(client.key, 'utf8'));
    expect(asked.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('public files', () => {
  it.each([
    ['/archive-keyring.gpg', 'application/pgp-keys'],
    ['/archive-keyring.asc', 'text/plain'],
    ['/archive-keyring.asc.sig', 'text/plain'],
    ['/ca.crt', 'application/x-pem-file'],
    ['/crl.pem', 'application/x-pem-file'],
  ])('%s for every role', async (path, type) => {
    for (const role of ROLES) {
      const answer = await api(role, 'GET', path);
      expect([answer.status, answer.type]).toEqual([200, type]);
    }
  });

  it('are those that were published', async () => {
    const crl = await api('host', 'GET', '/crl.pem').buffer(true);
    expect(String(crl.text ?? crl.body)).toBe(readFileSync(join(data, 'certs/crl.pem'), 'utf8'));
  });
});

describe('the OpenAPI document', () => {
  interface Document {
    paths: Record<string, Record<string, { operationId?: string; parameters: { name: string }[] }>>;
  }
  let document: Document;

  beforeAll(async () => {
    document = (await api('host', 'GET', '/v1/openapi.json')).body as Document;
  });

  it('is valid by the schema of OpenAPI 3.1', async () => {
    const result = await new Validator().validate(document as unknown as Record<string, unknown>);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  it('has every operation once', () => {
    const named = Object.values(document.paths)
      .flatMap((methods) => Object.values(methods).map((one) => one.operationId))
      .filter((one) => one !== undefined);
    expect(named.sort()).toEqual(Object.keys(ATTEMPTS).sort());
  });

  it('names nothing that is not answered', async () => {
    for (const [template, methods] of Object.entries(document.paths)) {
      for (const [method, { parameters }] of Object.entries(methods)) {
        const inPath = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        expect(parameters.map((one) => one.name)).toEqual(expect.arrayContaining(inPath));
        const target = template.replace(/\{\w+\}/g, 'nobody');
        const client = clientOf('observer');
        const answer = await supertest(site.url)
          [method as 'get'](target)
          .ca(readFileSync(site.ca, 'utf8'))
          .cert(readFileSync(client.certificate, 'utf8'))
          .key(readFileSync(client.key, 'utf8'));
        expect([template, answer.body.code]).not.toEqual([template, 'PATH_UNKNOWN']);
        expect([template, answer.status]).not.toEqual([template, 405]);
        expect(answer.status).toBeLessThan(500);
      }
    }
  });
});
