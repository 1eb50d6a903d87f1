/**
 * What a shell sends and reads, with the real curl: a request as it lies on disk, the certificate as
 * PEM, lines, a form. RFC 5967, RFC 8555, RFC 9110 section 12.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, succeed } from '../e2e/command.ts';
import { type Answer, type Client, curl } from '../e2e/site.ts';
import { makeKit } from './kits.ts';
import { ask, type IssuedClient, type Site, startSite } from './start.ts';

const scratch = createScratch('representations');
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(join(scratch, 'data'));
  host = await site.issue('web', 'host');
});
afterAll(() => site.daemon.stop());

/** A request in a file, made by openssl; `form` is PEM or DER. */
async function writeRequest(form: 'PEM' | 'DER'): Promise<string> {
  const path = join(scratch, `request.${form.toLowerCase()}`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const out = ['-keyout', join(scratch, 'request.key'), '-outform', form, '-out', path];
  await succeed('openssl', ['req', '-new', ...key, '-subj', '/CN=x', ...out]);
  return path;
}

const PKCS10 = ['--header', 'Content-Type: application/pkcs10'];
const CHAIN = ['--header', 'Accept: application/pem-certificate-chain'];

const post = (client: Client, path: string, file: string, ...flags: string[]): Promise<Answer> =>
  curl(client, `${site.url}${path}`, '--data-binary', `@${file}`, ...flags);

/** openssl's subject of a certificate, and whether it is of the key that asked for it. */
async function readAnswer(pem: string): Promise<string> {
  const certificate = join(scratch, 'answer.pem');
  await writeFile(certificate, pem);
  const asked = await succeed('openssl', ['pkey', '-pubout', '-in', join(scratch, 'request.key')]);
  const given = await succeed('openssl', ['x509', '-noout', '-pubkey', '-in', certificate]);
  expect(given).toBe(asked);
  const named = ['-noout', '-subject', '-nameopt', 'RFC2253', '-in', certificate];
  return (await succeed('openssl', ['x509', ...named])).trim();
}

describe('a certificate', () => {
  it.each(['PEM', 'DER'] as const)('is asked for with %s and answered as PEM', async (form) => {
    const answer = await post(host, '/v1/renewal', await writeRequest(form), ...PKCS10, ...CHAIN);
    expect(answer.status).toBe(201);
    expect(await readAnswer(answer.body)).toMatch(/CN=web,OU=host|OU=host,CN=web/);
  });

  it('of a kit too', async () => {
    const kit = await makeKit(site, 'fresh');
    const answer = await post(kit, '/v1/enrolment', await writeRequest('PEM'), ...PKCS10, ...CHAIN);
    expect(answer.status).toBe(201);
    expect(await readAnswer(answer.body)).toMatch(/CN=fresh/);
  });

  it('is answered as JSON to who does not ask for another form', async () => {
    const answer = await post(host, '/v1/renewal', await writeRequest('PEM'), ...PKCS10);
    expect(answer.status).toBe(201);
    expect(await readAnswer(JSON.parse(answer.body).pem)).toMatch(/CN=web/);
  });

  it('is refused in the words of every refusal', async () => {
    const path = join(scratch, 'garbage');
    await writeFile(path, 'please');
    const answer = await post(host, '/v1/renewal', path, ...PKCS10, ...CHAIN);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'CSR_MALFORMED', status: 400 });
  });

  it('is not asked for with more than a megabyte', async () => {
    const path = join(scratch, 'large');
    await writeFile(path, 'x'.repeat(2_000_000));
    expect((await post(host, '/v1/renewal', path, ...PKCS10)).status).toBe(413);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream', ''])(
    'is not asked for with a body of type %j',
    async (type) => {
      const file = await writeRequest('PEM');
      const answer = await post(host, '/v1/renewal', file, '--header', `Content-Type: ${type}`);
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'INPUT_INVALID']);
    },
  );

  it('request is a body of its two routes alone', async () => {
    const admin = await site.issue('root', 'admin');
    const answer = await post(admin, '/v1/hosts', await writeRequest('PEM'), ...PKCS10);
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'INPUT_INVALID']);
  });
});

describe('who one is', () => {
  it('is answered as lines that a shell reads', async () => {
    const fresh = await site.issue('unrenewed', 'host');
    const answer = await curl(fresh, `${site.url}/v1/self`, '--header', 'Accept: text/plain');
    const script =
      'while IFS=\'=\' read -r key value; do printf \'%s:%s\\n\' "$key" "$value"; done';
    const lines = (await succeed('dash', ['-c', script], { input: answer.body })).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['name:unrenewed', 'role:host', 'renew:false']));
    const dates = ['-noout', '-enddate', '-dateopt', 'iso_8601', '-in', fresh.certificate];
    const until = (await succeed('openssl', ['x509', ...dates])).trim().replace('notAfter=', '');
    const ending = lines.find((line) => line.startsWith('notAfter:')) ?? '';
    expect(ending.replace('notAfter:', '').slice(0, 19)).toBe(until.replace(' ', 'T').slice(0, 19));
  });

  it('is answered as JSON otherwise', async () => {
    expect(JSON.parse((await ask(site, host, '/v1/self')).text)).toMatchObject({ name: 'web' });
  });
});

describe('a report', () => {
  const hash = 'a'.repeat(64);

  it('is taken as a form', async () => {
    const form = [
      '--data',
      `serverCa=${hash}&keyring=${hash}`,
      '--data-urlencode',
      'client=1.0+x~1',
    ];
    const answer = await curl(host, `${site.url}/v1/self/report`, ...form);
    expect(answer.status).toBe(200);
    const shown = await site.perform('host.show', { host: 'web' });
    expect(shown).toMatchObject({ serverCa: hash, keyring: hash, client: '1.0+x~1' });
  });

  it.each([
    ['a key twice', `serverCa=${hash}&serverCa=${hash}&keyring=${hash}&client=1`],
    ['an unknown key', `serverCa=${hash}&keyring=${hash}&client=1&host=other`],
    ['nothing in it', ''],
    ['a prototype', '__proto__=x'],
  ])('as a form with %s is refused', async (_what, form) => {
    const answer = await curl(host, `${site.url}/v1/self/report`, '--data', form);
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'INPUT_INVALID']);
  });
});

describe('the OpenAPI document', () => {
  it('has these forms beside JSON', async () => {
    const document = JSON.parse((await ask(site, host, '/v1/openapi.json')).text);
    const types = (content: object): string[] => Object.keys(content);
    const renewal = document.paths['/v1/renewal'].post;
    expect(types(renewal.requestBody.content)).toEqual(['application/json', 'application/pkcs10']);
    expect(types(renewal.responses['201'].content)).toEqual([
      'application/json',
      'application/pem-certificate-chain',
    ]);
    const self = document.paths['/v1/self'].get.responses['200'].content;
    expect(types(self)).toEqual(['application/json', 'text/plain']);
  });
});
