/**
 * The real nginx in front, as `aptkeep config nginx` sets it up: what apt, curl and build jobs do
 * through it, that it sends the packages itself, and that what was revoked is refused before nginx
 * knows of it.
 */
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDeb } from '../http/packages.ts';
import { createScratch, run, succeed, waitFor } from './command.ts';
import {
  getRequest,
  lastRequest,
  openConnection,
  readStatusLines,
  sessionFlags,
} from './connection.ts';
import { chooseFront, type Nginx, printConfiguration, startNginx } from './nginx-program.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import {
  type Client,
  curl,
  curlFlags,
  enrolHost,
  issueClient,
  listFiles,
  putFile,
} from './site.ts';

const RELEASE = '/dists/stable/InRelease';
const PAYLOAD_BYTES = 3 * 1024 * 1024;

const scratch = createScratch('nginx');
const data = join(scratch, 'data');
let server: Server;
let nginx: Nginx;
let env: NodeJS.ProcessEnv = {};
let uploader: Client;
let host: Client;
let deb: Buffer = Buffer.alloc(0);
let pooled = '';

const revoke = (name: string): Promise<string> => aptkeep('cert', 'revoke', name, '--data', data);
const head = async (client: Client, url: string, ...flags: string[]): Promise<string> =>
  succeed('curl', [...curlFlags(client), '--include', '--output', '-', '--head', ...flags, url]);

beforeAll(async () => {
  const front = await chooseFront();
  env = front.env;
  server = await startServer({ data, env });
  const text = await printConfiguration(data, env);
  nginx = await startNginx(join(scratch, 'nginx'), text, front.port);
  uploader = await issueClient(data, 'build-server', 'uploader');
  host = await issueClient(data, 'reader', 'host');
  deb = buildDeb('proxied', { payload: randomBytes(PAYLOAD_BYTES) });
  const file = join(scratch, 'proxied.deb');
  await writeFile(file, deb);
  expect((await putFile(uploader, nginx.url, file)).status).toBe(201);
  const [path] = (await listFiles(join(data, 'pool'))).filter((one) => one.endsWith('.deb'));
  pooled = `/pool/${path}`;
});

afterAll(async () => {
  await nginx.stop();
  await server.stop();
});

describe('a host behind nginx', () => {
  it('is told the address of nginx, updates, installs and is written down by its own address', async () => {
    const directory = join(scratch, 'root');
    const { root } = await enrolHost(data, 'moodle-web0', directory);
    const sources = await listFiles(join(directory, 'etc/apt/sources.list.d'));
    const source = await root.read(`etc/apt/sources.list.d/${sources[0]}`);
    expect(source).toContain(`URIs: ${nginx.url}`);
    const update = await root.aptGet('update');
    expect(update.status, update.stdout + update.stderr).toBe(0);
    const install = await root.aptGet('install', 'proxied');
    expect(install.status, install.stdout + install.stderr).toBe(0);
    expect((await root.listInstalled()).get('proxied')).toBe('1.0');
    const again = await root.aptGet('update');
    expect(again.status).toBe(0);
    expect(again.stdout).toMatch(/^Hit:/m);
  });

  it('is sent packages by nginx, whole, in part, and not again when unchanged', async () => {
    const target = join(scratch, 'fetched.deb');
    const whole = await curl(host, nginx.url + pooled, '--output', target);
    expect(whole.status).toBe(200);
    expect(deb.equals(await readFile(target))).toBe(true);
    const part = await curl(host, nginx.url + pooled, '--range', '1000-1999', '--output', target);
    expect(part.status).toBe(206);
    expect(deb.subarray(1000, 2000).equals(await readFile(target))).toBe(true);
    const beyond = await curl(host, nginx.url + pooled, '--range', '9999999-');
    expect(beyond.status).toBe(416);
    const said = await head(host, nginx.url + pooled);
    expect(said).toContain(`Content-Length: ${deb.length}`);
    expect(said).toContain('Content-Type: application/vnd.debian.binary-package');
    const date = /^Last-Modified: (.*)\r$/m.exec(said)?.[1] ?? '';
    const since = await head(host, nginx.url + pooled, '--header', `If-Modified-Since: ${date}`);
    expect(since).toMatch(/^HTTP\/1.1 304 /);
    const log = await nginx.readAccess();
    // aptkeep answered 200 with no body; the bytes came out of the pool.
    expect(log).toContain(`GET ${pooled} 200 ${deb.length} 200 ${join(data, pooled)}`);
    expect(log).toContain(`GET ${pooled} 206 1000 200 ${join(data, pooled)}`);
  });

  it('has indexes from aptkeep, with ranges and conditions as without nginx', async () => {
    const [direct, proxied] = await Promise.all(
      [server.url, nginx.url].map((url) => head(host, url + RELEASE)),
    );
    const only = (text = '') => text.match(/^(Last-Modified|ETag|Content-Length): .*$/gm)?.sort();
    expect(only(proxied)).toEqual(only(direct));
    const etag = /^ETag: (.*)\r$/m.exec(proxied ?? '')?.[1] ?? '';
    const same = await curl(host, nginx.url + RELEASE, '--header', `If-None-Match: ${etag}`);
    expect(same.status).toBe(304);
    expect((await curl(host, nginx.url + RELEASE, '--range', '0-9')).body).toBe('-----BEGIN');
  });

  it('reads the reason of a refusal', async () => {
    const unknown = await curl(host, `${nginx.url}/pool/main/n/none/none_1_all.deb`);
    expect([unknown.status, unknown.reason]).toEqual([404, 'Not found']);
    const upload = await putFile(host, nginx.url, join(scratch, 'proxied.deb'));
    expect(upload.status).toBe(403);
  });
});

describe('nobody gets in by nginx who would not without', () => {
  it('without a certificate, or with one of another authority', async () => {
    const none = await run('curl', [
      '--disable',
      '--silent',
      '--cacert',
      host.ca,
      nginx.url + RELEASE,
    ]);
    expect(none.stdout).toBe('client certificate: NONE\n');
    const [key, certificate] = [join(scratch, 'other.key'), join(scratch, 'other.crt')];
    const subject = ['-subj', '/OU=host/CN=reader', '-keyout', key, '-out', certificate];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '5'];
    await succeed('openssl', ['req', '-x509', ...kind, ...subject]);
    const other = await curl({ ...host, certificate, key }, nginx.url + RELEASE);
    expect(other.status).toBe(403);
    expect(other.body).toMatch(/^client certificate: FAILED:/);
  });

  it('by asking for where nginx keeps the packages', async () => {
    const place = pooled.replace('/pool/', '/.aptkeep-pool/');
    expect((await curl(host, nginx.url + place)).status).toBe(404);
    expect((await curl(host, `${nginx.url}/dists/..${place}`, '--path-as-is')).status).toBe(404);
    const sent = ['--header', `X-Accel-Redirect: ${place}`];
    const asked = await curl(host, nginx.url + RELEASE, ...sent);
    expect(asked.body).toMatch(/^-----BEGIN PGP/);
    expect((await curl(host, `${nginx.url}/.aptkeep-refused`)).status).toBe(404);
  });

  it('by a package that its suite is closed to', async () => {
    const place = ['--origin', 'T', '--label', 'T', '--data', data];
    await aptkeep('suite', 'create', 'closed', ...place);
    const file = join(scratch, 'closed.deb');
    await writeFile(file, buildDeb('secret-thing'));
    expect((await putFile(uploader, nginx.url, file, 'closed/')).status).toBe(201);
    await aptkeep('group', 'create', 'few', '--suites', 'closed', '--data', data);
    const all = await listFiles(join(data, 'pool'));
    const path = all.find((one) => one.includes('secret-thing'));
    const answers = await Promise.all(
      [server.url, nginx.url].map((url) => curl(host, `${url}/pool/${path}`)),
    );
    expect(answers[1]?.status).toBe(answers[0]?.status);
    expect(answers[1]?.body.startsWith('!<arch>')).toBe(answers[0]?.body.startsWith('!<arch>'));
  });

  it('by saying itself what nginx says of a client', async () => {
    const thief = await issueClient(data, 'thief', 'host');
    const pem = encodeURIComponent(await readFile(uploader.certificate, 'utf8'));
    const secret = /"([0-9a-f]{64})"/.exec(
      await readFile(join(data, 'proxy/secret.conf'), 'utf8'),
    )?.[1];
    const forged = [
      ...['--header', `Aptkeep-Proxy-Secret: ${secret}`],
      ...['--header', 'Aptkeep-Client-Verify: SUCCESS'],
      ...['--header', `Aptkeep-Client-Certificate: ${pem}`],
      ...['--header', `aptkeep_client_certificate: ${pem}`],
      ...['--header', 'Aptkeep-Client-Address: 192.0.2.1'],
      ...['--header', 'X-Forwarded-For: 192.0.2.1'],
    ];
    for (const url of [nginx.url, server.url]) {
      const put = await curl(
        thief,
        `${url}/upload/stable/`,
        '-T',
        join(scratch, 'proxied.deb'),
        ...forged,
      );
      expect(put.status, url).toBe(403);
      const own = await curl(thief, url + RELEASE, ...forged);
      expect(own.status, url).toBe(200);
    }
    const refused = await aptkeep('audit', '--json', '--data', data);
    expect(refused).not.toContain('192.0.2.1');
    expect(refused).toContain('thief');
  });
});

describe('a revocation', () => {
  it('is in force when it returns, though nginx has read nothing again', async () => {
    const client = await issueClient(data, 'leaving', 'host');
    const open = await openConnection({ port: nginx.port, client, ca: client.ca });
    open.send(getRequest(RELEASE));
    await waitFor('the first answer', () =>
      open.received().includes('-----END PGP SIGNATURE-----') ? true : undefined,
    );
    await revoke('leaving');
    open.send(getRequest(RELEASE));
    await waitFor('the second answer', () => readStatusLines(open.received())[1]);
    expect(readStatusLines(open.received())).toEqual([
      'HTTP/1.1 200 OK',
      'HTTP/1.1 403 Certificate revoked',
    ]);
    open.send(getRequest(pooled));
    await waitFor('the third answer', () => readStatusLines(open.received())[2]);
    expect(readStatusLines(open.received())[2]).toBe('HTTP/1.1 403 Certificate revoked');
    open.socket.destroy();
    const fresh = await curl(client, nginx.url + RELEASE);
    expect([fresh.status, fresh.reason]).toEqual([403, 'Certificate revoked']);
  });

  it('is told by nginx itself once that was reloaded, in what it has been given meanwhile', async () => {
    const client = await issueClient(data, 'gone', 'host');
    await revoke('gone');
    await nginx.reload();
    const answer = await curl(client, nginx.url + RELEASE);
    expect(answer.body).toBe('client certificate: FAILED:certificate revoked\n');
    expect((await curl(host, nginx.url + RELEASE)).status).toBe(200);
  });

  it('leaves nobody a session to resume', async () => {
    const client = await issueClient(data, 'resuming', 'host');
    const files = ['-cert', client.certificate, '-key', client.key, '-CAfile', client.ca];
    for (const version of ['-tls1_2', '-tls1_3']) {
      const session = join(scratch, `session${version}`);
      // Whatever nginx hands out has come when its answer ends; nothing handed out, nothing written.
      const connect = () => {
        const place = ['-connect', `localhost:${nginx.port}`, version];
        const flags = ['s_client', ...place, ...files, '-ign_eof', ...sessionFlags(session)];
        return run('openssl', flags, { input: lastRequest(RELEASE) });
      };
      for (const { stdout } of [await connect(), await connect()]) {
        expect(stdout).toMatch(/^New, TLSv1\.[23]/m);
        expect(stdout).not.toMatch(/^Reused/m);
        expect(readStatusLines(stdout)).toEqual(['HTTP/1.1 200 OK']);
      }
    }
  });

  it('cuts an upload that nginx is passing on', async () => {
    const client = await issueClient(data, 'stopped', 'uploader');
    const open = await openConnection({ port: nginx.port, client, ca: client.ca });
    open.send(
      'PUT /upload/stable/cut.deb HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n',
    );
    open.send('x'.repeat(200_000));
    await waitFor('the upload to begin', async () =>
      (await listFiles(join(data, 'pool/.staging'))).length > 0 ? true : undefined,
    );
    await revoke('stopped');
    await waitFor('nothing of it', async () =>
      (await listFiles(join(data, 'pool/.staging'))).length === 0 ? true : undefined,
    );
    open.socket.destroy();
  });
});

describe('the list out of date', () => {
  it('shuts the door behind nginx too, until the next', async () => {
    const place = join(scratch, 'lapsing');
    const front = await chooseFront();
    const short = { ...front.env, APTKEEP_CRL_LIFETIME: '4s', APTKEEP_CRL_REFRESH: '1h' };
    const lapsing = await startServer({ data: place, env: short });
    const text = await printConfiguration(place, short);
    const before = await startNginx(join(scratch, 'nginx-lapsing'), text, front.port);
    const client = await issueClient(place, 'reader', 'host');
    const refused = await waitFor('the end of the list', async () => {
      const answer = await curl(client, before.url + RELEASE);
      return answer.status === 200 ? undefined : answer;
    });
    // nginx and aptkeep have read the same list; either may be the first to say so.
    expect([403, 503]).toContain(refused.status);
    await runAptkeep(['crl', 'refresh', '--data', place], {
      ...short,
      APTKEEP_CRL_LIFETIME: '24h',
    });
    await before.stop();
    await lapsing.stop();
  });
});

describe('the socket and what lies beside it', () => {
  it('is open to the group alone, the secret to its owner alone', async () => {
    const mode = async (file: string): Promise<string> =>
      ((await stat(join(data, 'proxy', file))).mode & 0o777).toString(8);
    expect(await mode('aptkeep.sock')).toBe(process.getuid?.() === 0 ? '660' : '600');
    expect(await mode('secret.conf')).toBe('600');
    expect(await mode('crl.pem')).toBe('644');
    const text = await printConfiguration(data, env);
    const [, secret = ''] =
      /"([0-9a-f]{64})"/.exec(await readFile(join(data, 'proxy/secret.conf'), 'utf8')) ?? [];
    expect(secret).toHaveLength(64);
    expect(text).not.toContain(secret);
  });

  it('is not there where nobody asked for it', async () => {
    const place = join(scratch, 'alone');
    const alone = await startServer({ data: place });
    expect(await listFiles(join(place, 'proxy'))).toEqual([]);
    await alone.stop();
  });

  it.each([
    ['a group', 'proxy.group', { APTKEEP_PROXY_GROUP: 'no-such-group' }, 'there is no such group'],
    [
      'a file',
      'proxy.socket',
      { APTKEEP_PROXY_SOCKET: 'aptkeep.yaml' },
      'is there and is no socket',
    ],
    [
      'a path',
      'proxy.socket',
      { APTKEEP_PROXY_SOCKET: `/tmp/${'s'.repeat(120)}` },
      'longer than the 107',
    ],
    [
      'a folder',
      'proxy.socket',
      { APTKEEP_PROXY_SOCKET: '/nonexistent/aptkeep.sock' },
      'does its folder exist',
    ],
  ])('is refused with a sentence: %s', async (_what, key, wrong, why) => {
    const place = join(scratch, 'wrong');
    await succeed('mkdir', ['-p', place]);
    await writeFile(join(place, 'aptkeep.yaml'), 'log.level: info\n');
    const flags = ['serve', '--data', place, '--listen', '127.0.0.1:0', '--trust-proxy'];
    const outcome = await runAptkeep(flags, { APTKEEP_HEALTH_LISTEN: 'off', ...wrong });
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain(`${key}: `);
    expect(outcome.stderr).toContain(why);
  });

  it('is refused where nginx could not be told its path', async () => {
    const place = join(scratch, 'a "quoted" place');
    const outcome = await runAptkeep(['config', 'nginx', '--data', place]);
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('nginx');
  });
});
