/**
 * The socket on which nginx hands requests over, attacked by whoever may open it: nothing counts
 * without the secret, and with it a certificate is judged as if it had been shown to us.
 */
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, succeed, waitFor } from '../e2e/command.ts';
import { readStatusLines } from '../e2e/connection.ts';
import { proxyEnvironment } from '../e2e/nginx-program.ts';
import { askPrivately, issuePrivately, revokePrivately } from '../e2e/private-socket.ts';
import { type Server, startServer } from '../e2e/program.ts';
import { type Client, listFiles } from '../e2e/site.ts';

const RELEASE = '/dists/stable/InRelease';

const scratch = createScratch('proxy-attack');
const data = join(scratch, 'data');
const socketPath = join(data, 'proxy/aptkeep.sock');
let server: Server;
let reader: Client;
let secret = '';

const escapePem = async (client: Pick<Client, 'certificate'>): Promise<string> =>
  encodeURIComponent(await readFile(client.certificate, 'utf8'));

type Make = () => Promise<string>;

/** Everything that comes back until the server hangs up. */
function say(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(socketPath, () => socket.write(bytes, 'latin1'));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined); // how it ends is what is looked at
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

interface Said {
  secret?: string | undefined;
  verify?: string | undefined;
  certificate?: string | undefined;
  address?: string;
  more?: string[];
  path?: string;
}

/** What nginx would say, but for what the attacker says instead; undefined leaves a line out. */
function spell(said: Said): string {
  const { verify = 'SUCCESS', address = '192.0.2.7', more = [], path = RELEASE } = said;
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    ...('secret' in said && said.secret === undefined
      ? []
      : [`Aptkeep-Proxy-Secret: ${said.secret ?? secret}`]),
    `Aptkeep-Client-Verify: ${verify}`,
    ...(said.certificate === undefined ? [] : [`Aptkeep-Client-Certificate: ${said.certificate}`]),
    `Aptkeep-Client-Address: ${address}`,
    ...more,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

beforeAll(async () => {
  server = await startServer({ data, env: proxyEnvironment(9) });
  reader = await issuePrivately(data, 'reader', 'host');
  const text = await readFile(join(data, 'proxy/secret.conf'), 'utf8');
  secret = /"([0-9a-f]{64})"/.exec(text)?.[1] ?? '';
});

afterAll(() => server.stop());

describe('without the secret', () => {
  it('is hung up on without a word, whatever else is said', async () => {
    const certificate = await escapePem(reader);
    const wrong = [
      undefined,
      '',
      '0'.repeat(64),
      secret.slice(1),
      secret.toUpperCase(),
      `${secret} x`,
    ];
    for (const one of wrong) {
      if (one === secret) continue; // a secret of digits alone
      expect(await say(spell({ secret: one, certificate })), String(one)).toBe('');
    }
    const twice = [`Aptkeep-Proxy-Secret: ${secret}`];
    expect(await say(spell({ certificate, more: twice }))).toBe('');
    expect(
      await say(spell({ secret: undefined, certificate, more: ['Aptkeep_Proxy_Secret: x'] })),
    ).toBe('');
  });
});

describe('with the secret', () => {
  it('is served what its certificate may have, and hung up on after one answer', async () => {
    const certificate = await escapePem(reader);
    const one = spell({ certificate });
    const heard = await say(one + one);
    expect(readStatusLines(heard)).toEqual(['HTTP/1.1 200 OK']);
    expect(heard).toContain('Connection: close');
    expect(readStatusLines(await say(spell({ certificate, path: '/v1/status' })))).toEqual([
      'HTTP/1.1 403 Role not allowed',
    ]);
  });

  it.each([
    ['nothing', async () => ''],
    ['no PEM', async () => 'hello'],
    ['a broken escape', async () => '%E0%A4%A'],
    ['a certificate twice', async () => (await escapePem(reader)).repeat(2)],
    ['text before it', async () => `x%0A${await escapePem(reader)}`],
    ['text after it', async () => `${await escapePem(reader)}x`],
    ['a private key', async () => encodeURIComponent(await readFile(reader.key, 'utf8'))],
    ['noise in a frame', async () => escapeNoise()],
    ['a byte changed', async () => changeByte(await readFile(reader.certificate, 'utf8'))],
    ['the client CA', () => escapePem({ certificate: join(data, 'certs/client-ca.crt') })],
    ['the server', async () => escapePem({ certificate: join(data, 'certs/server.crt') })],
    ['one of its own making', async () => escapePem({ certificate: await forgeCertificate() })],
  ] as [string, Make][])('is a stranger with %s', async (_what, make) => {
    const heard = await say(spell({ certificate: await make() }));
    expect(readStatusLines(heard)).toEqual(['HTTP/1.1 403 Certificate unknown to this server']);
    expect(heard).not.toContain('PGP');
  });

  it('is a stranger where nginx has not verified, or says so twice', async () => {
    const certificate = await escapePem(reader);
    for (const verify of ['NONE', 'FAILED:certificate revoked', '', 'success']) {
      const heard = await say(spell({ certificate, verify }));
      expect(readStatusLines(heard), verify).toEqual([
        'HTTP/1.1 403 Certificate unknown to this server',
      ]);
    }
    const more = ['Aptkeep-Client-Verify: SUCCESS', `Aptkeep-Client-Certificate: ${certificate}`];
    expect(readStatusLines(await say(spell({ certificate, more })))).toEqual([
      'HTTP/1.1 403 Certificate unknown to this server',
    ]);
  });

  it('is refused when revoked, and cut in the middle', async () => {
    const leaving = await issuePrivately(data, 'leaving', 'uploader');
    const certificate = await escapePem(leaving);
    const begun = spell({ certificate, more: ['Content-Length: 9000000'] })
      .replace(`GET ${RELEASE}`, 'PUT /upload/stable/cut.deb')
      .concat('x'.repeat(100_000));
    const uploading = say(begun);
    const staging = join(data, 'pool/.staging');
    await waitFor('the upload', async () =>
      (await listFiles(staging)).length > 0 ? true : undefined,
    );
    await revokePrivately(data, 'leaving');
    expect(readStatusLines(await uploading)).toEqual([]);
    await waitFor('nothing of it', async () =>
      (await listFiles(staging)).length === 0 ? true : undefined,
    );
    const later = await say(spell({ certificate }));
    expect(readStatusLines(later)).toEqual(['HTTP/1.1 403 Certificate revoked']);
  });

  it('is written down by the address that nginx saw, if it is one', async () => {
    const gone = await issuePrivately(data, 'gone', 'host');
    await revokePrivately(data, 'gone');
    const certificate = await escapePem(gone);
    await say(spell({ certificate, address: '198.51.100.9' }));
    await say(spell({ certificate, address: '198.51.100.9, 203.0.113.5"}{' }));
    const written = await waitFor('the audit log', async () => {
      const { entries } = await askPrivately(data, '/v1/audit?limit=100');
      const text = JSON.stringify(entries);
      return text.includes('198.51.100.9') ? text : undefined;
    });
    expect(written).not.toContain('203.0.113.5');
    expect(server.output()).not.toContain('203.0.113.5');
  });

  it('reads no more of a head than it must', async () => {
    const heard = await say(spell({ certificate: 'A'.repeat(200_000) }));
    expect(readStatusLines(heard)[0] ?? 'HTTP/1.1 431').toMatch(/^HTTP\/1.1 431/);
    const honest = await say(spell({ certificate: await escapePem(reader) }));
    expect(readStatusLines(honest)).toEqual(['HTTP/1.1 200 OK']);
  });
});

describe('the headers of the socket', () => {
  it('mean nothing on the port that everybody reaches', async () => {
    const uploader = await issuePrivately(data, 'builder', 'uploader');
    const lines = spell({ certificate: await escapePem(uploader) })
      .split('\r\n')
      .filter(Boolean);
    const flags = lines.slice(2).flatMap((line) => ['--header', line]);
    const files = ['--cert', reader.certificate, '--key', reader.key, '--cacert', reader.ca];
    const deb = join(scratch, 'any.deb');
    await writeFile(deb, randomBytes(100));
    const url = `${server.url}/upload/stable/`;
    const args = ['--disable', '--silent', ...files, ...flags, '--upload-file', deb, url];
    expect(await succeed('curl', args)).toContain('"code":"ROLE_FORBIDDEN"');
  });

  it('are behind a socket that others may not open', async () => {
    const { mode } = await stat(socketPath);
    expect(mode & 0o007).toBe(0);
  });
});

function escapeNoise(): string {
  const body = randomBytes(300)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n');
  return encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`);
}

/** Another letter in the middle of the signature. */
function changeByte(pem: string): string {
  const at = pem.indexOf('\n-----END') - 12;
  const letter = pem[at] === 'A' ? 'B' : 'A';
  return encodeURIComponent(pem.slice(0, at) + letter + pem.slice(at + 1));
}

async function forgeCertificate(): Promise<string> {
  const certificate = join(scratch, 'forged.crt');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '5'];
  const files = ['-keyout', join(scratch, 'forged.key'), '-out', certificate];
  await succeed('openssl', ['req', '-x509', ...kind, '-subj', '/OU=host/CN=reader', ...files]);
  return certificate;
}
