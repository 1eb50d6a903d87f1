/**
 * The door as openssl s_client, curl and gnutls-cli find it, each with TLS 1.2 and 1.3: three
 * implementations of the other side, none of them ours. Source: openssl-s_client(1), curl(1),
 * gnutls-cli(1), RFC 5746, RFC 8446 section 4.6.1.
 */
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, run, startProcess } from '../e2e/command.ts';
import { lastRequest, readStatusLines, sessionFlags } from '../e2e/connection.ts';
import type { Client } from '../e2e/site.ts';
import { createClock, type IssuedClient, type Site, startSite } from '../http/start.ts';
import { CLIENT, forge, forgeAuthority, forgeSelfSigned, serverCa } from './forge.ts';

const RELEASE = '/dists/stable/InRelease';
const scratch = createScratch('clients');
const data = join(scratch, 'data');
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
});

afterAll(() => site.daemon.stop());

type Version = '1.2' | '1.3';

const opensslFlags = (client: Client | undefined): string[] => [
  ...['s_client', '-connect', `127.0.0.1:${site.port}`, '-servername', 'localhost'],
  ...['-CAfile', site.ca, '-verify_return_error'],
  ...(client ? ['-cert', client.certificate, '-key', client.key] : []),
];

const gnutlsFlags = (client: Client | undefined, priority: string): string[] => [
  ...['--priority', priority, '--x509cafile', site.ca, '--port', String(site.port)],
  ...(client ? ['--x509certfile', client.certificate, '--x509keyfile', client.key] : []),
];

const only = (version: Version): string => `NORMAL:-VERS-ALL:+VERS-TLS${version}`;

/** How each asks once; resolves with everything that it printed of an answer. */
const ASK: Record<string, (client: Client | undefined, version: Version) => Promise<string>> = {
  'openssl s_client': async (client, version) => {
    const flags = [...opensslFlags(client), `-tls${version.replace('.', '_')}`, '-ign_eof'];
    const said = await run('openssl', flags, { input: lastRequest(RELEASE) });
    return said.stdout;
  },
  curl: async (client, version) => {
    const flags = ['-qsS', '--include', '--cacert', site.ca, '--http1.1'];
    const versions = version === '1.2' ? ['--tls-max', '1.2'] : ['--tlsv1.3'];
    const identity = client ? ['--cert', client.certificate, '--key', client.key] : [];
    const said = await run('curl', [...flags, ...versions, ...identity, `${site.url}${RELEASE}`]);
    return said.stdout;
  },
  'gnutls-cli': async (client, version) => {
    const flags = [...gnutlsFlags(client, only(version)), 'localhost'];
    const said = await run('gnutls-cli', flags, { input: lastRequest(RELEASE) });
    return said.stdout;
  },
};

const withUsage = (usage: string): string[] => [...CLIENT.slice(0, 2), `extendedKeyUsage=${usage}`];

/** What is shown, and the one status line that is heard; undefined for not a byte. */
const CASES: [string, string | undefined, () => Promise<Client | undefined>][] = [
  ['a valid certificate', '200 OK', async () => host],
  [
    'a revoked one',
    '403 Certificate revoked',
    async () => {
      const client = await site.issue('gone', 'host');
      await site.perform('certificate.revoke', { certificate: client.serial });
      return client;
    },
  ],
  ['an expired one', '403 Certificate expired', () => forge(site, { from: -9, to: -1 })],
  ['one not yet valid', '403 Certificate not yet valid', () => forge(site, { from: 1, to: 9 })],
  ['no certificate', undefined, async () => undefined],
  [
    'one of another CA',
    undefined,
    async () => {
      const issuer = await forgeSelfSigned(site, '/CN=x', ['basicConstraints=critical,CA:TRUE']);
      return forge(site, { issuer });
    },
  ],
  [
    'one of a CA of the same name, with a cloned serial',
    undefined,
    async () => forge(site, { issuer: await forgeAuthority(site), serial: host.serial }),
  ],
  ['a self-signed one', undefined, () => forgeSelfSigned(site, '/OU=host/CN=web', CLIENT)],
  ['one for servers only', undefined, () => forge(site, { extensions: withUsage('serverAuth') })],
  ['one of the server CA', undefined, () => forge(site, { issuer: serverCa(site) })],
];

describe.each(Object.keys(ASK))('%s', (program) => {
  it.each(CASES)('shows %s and hears %s', async (_name, heard, make) => {
    const client = await make();
    for (const version of ['1.2', '1.3'] as const) {
      const said = (await ASK[program]?.(client, version)) ?? '';
      const lines = heard === undefined ? [] : [`HTTP/1.1 ${heard}`];
      expect([version, readStatusLines(said)]).toEqual([version, lines]);
      expect(said.includes('-----BEGIN PGP SIGNED MESSAGE-----')).toBe(heard === '200 OK');
    }
  });

  it('hears that the list is out of date, whichever version it speaks', async () => {
    const clock = createClock();
    const honest = site;
    site = await startSite(join(scratch, `stale-${program.replace(' ', '-')}`), {
      ...{ clock, settings: { 'crl.refresh': '3650d' } },
    });
    try {
      const client = await site.issue('web', 'host');
      clock.advance(2 * 86_400_000);
      for (const version of ['1.2', '1.3'] as const) {
        const said = (await ASK[program]?.(client, version)) ?? '';
        expect(readStatusLines(said)).toEqual(['HTTP/1.1 503 Revocation list out of date']);
      }
    } finally {
      await site.daemon.stop();
      site = honest;
    }
  });
});

describe('renegotiation is refused to', () => {
  it('openssl s_client, whose connection is over', async () => {
    const child = startProcess('openssl', [...opensslFlags(host), '-tls1_2'], { stdio: 'pipe' });
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => stream && text(stream));
    child.stdin?.on('error', () => undefined); // it may end before it has read everything
    child.stdin?.write('R\n');
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    expect(await ended).not.toBe(0);
    expect(await stderr).toMatch(/RENEGOTIATING.*no renegotiation/s);
    expect(await stdout).toContain('New, TLSv1.2');
  });

  it('gnutls-cli, whose connection is over', async () => {
    const flags = [...gnutlsFlags(host, only('1.2')), '--rehandshake', 'localhost'];
    const said = await run('gnutls-cli', flags, { input: lastRequest(RELEASE) });
    expect(said.status).not.toBe(0);
    expect(`${said.stdout}${said.stderr}`).toMatch(/ReHandshake|renegotiation/i);
    expect(readStatusLines(said.stdout)).toEqual([]);
  });
});

/** A server that does hand out sessions, for what these programs say then. */
async function startResuming(): Promise<{ port: number; close(): void }> {
  const [cert, key] = await Promise.all(
    ['server.crt', 'server.key'].map((file) => readFile(join(data, 'certs', file))),
  );
  const server = createServer({ cert: cert ?? '', key: key ?? '' }, (socket) => {
    socket.on('error', () => undefined); // how a client ends does not matter here
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  });
  const sessions = new Map<string, Buffer>();
  server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
    sessions.set(id.toString('hex'), session);
    done();
  });
  server.on('resumeSession', (id: Buffer, done: (error: null, session: Buffer | null) => void) =>
    done(null, sessions.get(id.toString('hex')) ?? null),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const WAYS: [string, Version, string[]][] = [
  ['TLS 1.2 by its ticket', '1.2', []],
  ['TLS 1.2 by its number', '1.2', ['-no_ticket']],
  ['TLS 1.3 by a shared key', '1.3', []],
];

describe('no session is resumed', () => {
  it.each(WAYS)('by openssl s_client, %s, and who was revoked is refused', async (...way) => {
    const [name, version, more] = way;
    const client = await site.issue(`resuming-${name.replaceAll(/\W/g, '-')}`, 'host');
    const connect = (session: string, port = site.port) => {
      const place = ['-connect', `127.0.0.1:${port}`, `-tls${version.replace('.', '_')}`];
      const flags = [
        ...opensslFlags(client),
        ...place,
        ...more,
        '-ign_eof',
        ...sessionFlags(session),
      ];
      return run('openssl', flags, { input: lastRequest(RELEASE) });
    };
    const [ours, theirs] = ['ours.pem', 'theirs.pem'].map((file) => join(client.folder, file));
    const first = await connect(ours ?? '');
    expect(readStatusLines(first.stdout)).toEqual(['HTTP/1.1 200 OK']);
    await site.perform('certificate.revoke', { certificate: client.serial });
    // Where nothing was handed out there is nothing to come back with.
    const again = await connect(ours ?? '');
    expect(again.stdout).toMatch(/^New, TLSv1\.[23]/m);
    expect(again.stdout).not.toMatch(/^Reused/m);
    expect(readStatusLines(again.stdout)).toEqual(['HTTP/1.1 403 Certificate revoked']);
    const other = await startResuming();
    await connect(theirs ?? '', other.port);
    expect((await connect(theirs ?? '', other.port)).stdout).toMatch(/^Reused, TLSv1\.[23]/m);
    other.close();
  });

  it.each(['1.2', '1.3'] as const)('by gnutls-cli --resume, TLS %s', async (version) => {
    const resume = (port: number) => {
      const flags = [...gnutlsFlags(host, only(version)), '--port', String(port), '--resume'];
      return run('gnutls-cli', [...flags, 'localhost'], { input: lastRequest(RELEASE) });
    };
    const { stdout } = await resume(site.port);
    expect(stdout).toContain('Connecting again- trying to resume previous session');
    expect(stdout).not.toContain('This is a resumed session');
    expect(readStatusLines(stdout)).toEqual(['HTTP/1.1 200 OK']);
    const other = await startResuming();
    expect((await resume(other.port)).stdout).toContain('This is a resumed session');
    other.close();
  });
});

describe('a client of an older or a broken kind', () => {
  it.each(['-tls1', '-tls1_1', '-tls1_2', '-tls1_3'])(
    'that speaks %s with no cipher that is left gets no session',
    async (version) => {
      const weak = ['-cipher', 'NULL:EXPORT:LOW:RC4:3DES:aNULL:@SECLEVEL=0'];
      const suites = version === '-tls1_3' ? ['-ciphersuites', 'TLS_AES_128_CCM_8_SHA256'] : weak;
      const flags = [...opensslFlags(host), version, ...suites];
      const said = await run('openssl', flags, { input: lastRequest(RELEASE) });
      expect(said.status).not.toBe(0);
      expect(readStatusLines(said.stdout)).toEqual([]);
    },
  );

  it('that sends nothing but rubbish gets no byte of HTTP, and the next one is served', async () => {
    const socket = connectTcp(site.port, '127.0.0.1');
    socket.on('error', () => undefined); // a reset is an end too
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.write(Buffer.alloc(70_000, 0x16));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(Buffer.concat(chunks).toString('latin1')).not.toContain('HTTP');
    expect(await ASK.curl?.(host, '1.3')).toContain('HTTP/1.1 200 OK');
  });
});
