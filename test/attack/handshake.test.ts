/**
 * Who gets past the handshake, under TLS 1.2 and 1.3. Strangers are closed without a byte of HTTP;
 * a certificate of ours that may not enter is told why. Forged certificates come from openssl.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch, run, waitFor } from '../e2e/command.ts';
import { lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { type Client, curl } from '../e2e/site.ts';
import { mirrorSignature } from '../fuzz/signature.ts';
import { ask, createClock, type IssuedClient, type Site, startSite } from '../http/start.ts';
import {
  CLIENT,
  clientCa,
  forge,
  forgeAuthority,
  forgeSelfSigned,
  RSA_1024,
  record,
  serverCa,
} from './forge.ts';
import { speak } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const scratch = createScratch('handshake');
const data = join(scratch, 'data');
let site: Site;
let host: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
});

afterAll(() => site.daemon.stop());

/** A leaf under an honest leaf, which is sent along as if it were an authority. */
async function forgeUnderLeaf(): Promise<Client> {
  const forged = await forge(site, { issuer: host });
  const chain = [await readFile(forged.certificate), await readFile(host.certificate)];
  await writeFile(forged.certificate, Buffer.concat(chain));
  return forged;
}

const withUsage = (usage: string[]): string[] => [...CLIENT.slice(0, 2), ...usage];

const strangers: [string, () => Promise<Client | undefined>][] = [
  ['no certificate', async () => undefined],
  [
    'another CA',
    async () =>
      forge(site, {
        issuer: await forgeSelfSigned(site, '/CN=other', ['basicConstraints=critical,CA:TRUE']),
      }),
  ],
  [
    'a CA of the same name with another key, the serial of an honest certificate',
    async () => forge(site, { issuer: await forgeAuthority(site), serial: host.serial }),
  ],
  ['self-signed, of the same name', () => forgeSelfSigned(site, '/OU=host/CN=web', CLIENT)],
  [
    'for servers only',
    () => forge(site, { extensions: withUsage(['extendedKeyUsage=serverAuth']) }),
  ],
  [
    'for any purpose',
    () => forge(site, { extensions: withUsage(['extendedKeyUsage=anyExtendedKeyUsage']) }),
  ],
  [
    'for code signing',
    () => forge(site, { extensions: withUsage(['extendedKeyUsage=codeSigning']) }),
  ],
  ['for no purpose at all', () => forge(site, { extensions: withUsage([]) })],
  ['a leaf as its issuer', forgeUnderLeaf],
  ['the client CA itself', async () => ({ ...host, ...clientCa(site) })],
  [
    'CA:TRUE',
    () => forge(site, { extensions: ['basicConstraints=critical,CA:TRUE', ...CLIENT.slice(1)] }),
  ],
  [
    'a key usage without signatures',
    () =>
      forge(site, {
        extensions: [CLIENT[0] ?? '', 'keyUsage=critical,keyEncipherment', CLIENT[2] ?? ''],
      }),
  ],
  ['RSA of 1024 bits', () => forge(site, { key: RSA_1024 })],
  ['a signature with SHA-1', () => forge(site, { digest: 'sha1' })],
  [
    'an unknown critical extension',
    () => forge(site, { extensions: [...CLIENT, '1.2.3.4.5=critical,ASN1:NULL'] }),
  ],
  [
    'the certificate of the server',
    async () => ({
      ...host,
      certificate: join(data, 'certs/server.crt'),
      key: join(data, 'certs/server.key'),
    }),
  ],
  ['a client certificate of the server CA', () => forge(site, { issuer: serverCa(site) })],
  [
    'expired, of another CA of the same name',
    async () => forge(site, { issuer: await forgeAuthority(site), from: -9, to: -1 }),
  ],
  [
    'expired, and for servers only',
    () => forge(site, { from: -9, to: -1, extensions: withUsage(['extendedKeyUsage=serverAuth']) }),
  ],
  [
    'not yet valid, with an unknown critical extension',
    () => forge(site, { from: 1, extensions: [...CLIENT, '1.2.3.4.5=critical,ASN1:NULL'] }),
  ],
  ['expired, RSA of 1024 bits', () => forge(site, { from: -9, to: -1, key: RSA_1024 })],
];

describe('a stranger gets no byte of HTTP', () => {
  it.each(strangers)('%s', async (_name, make) => {
    const client = await make();
    for (const version of VERSIONS) {
      const refusals = site.parts.activity.refusals;
      const heard = await speak(site, client, lastRequest(RELEASE), { version });
      expect([version, heard.received]).toEqual([version, '']);
      // The server has refused it at the gate: it is not this side that gave up.
      expect([version, site.parts.activity.refusals]).toEqual([version, refusals + 1]);
    }
  });
});

describe('a certificate of ours is told why it may not enter', () => {
  const revoke = async (client: IssuedClient): Promise<Client> => {
    await site.perform('certificate.revoke', { certificate: client.serial });
    return client;
  };
  const told: [string, string, () => Promise<Client>][] = [
    ['revoked', 'Certificate revoked', async () => revoke(await site.issue('gone', 'admin'))],
    ['expired', 'Certificate expired', () => forge(site, { from: -9, to: -1 })],
    ['not yet valid', 'Certificate not yet valid', () => forge(site, { from: 1, to: 9 })],
    ['not in the catalog', 'Certificate unknown to this server', () => forge(site)],
    [
      'the serial of an honest one, with other contents',
      'Certificate unknown to this server',
      () => forge(site, { serial: host.serial, subject: '/OU=admin/CN=web' }),
    ],
    // Found by the fuzz: whoever has a certificate has a second one, with another fingerprint.
    [
      'an honest one under the other of its two ECDSA signatures',
      'Certificate unknown to this server',
      async () => {
        const { raw } = new X509Certificate(await readFile(host.certificate));
        const certificate = join(host.folder, 'mirrored.crt');
        const pem = new X509Certificate(mirrorSignature(raw)).toString();
        await writeFile(certificate, pem);
        const flags = ['-CAfile', clientCa(site).certificate, certificate];
        expect((await run('openssl', ['verify', ...flags])).stdout).toContain('OK');
        expect(pem).not.toBe(new X509Certificate(raw).toString());
        return { ...host, certificate };
      },
    ],
    [
      'expired and revoked: revoked',
      'Certificate revoked',
      async () => {
        const client = await forge(site, { from: -9, to: -0.001 });
        await record(site, client, 'host');
        const row = await site.perform('certificate.revoke', { certificate: 'web' });
        expect(row.certificates.length).toBeGreaterThan(0);
        host = await site.issue('web', 'host');
        return client;
      },
    ],
  ];
  it.each(told)('%s: 403 %s', async (_name, reason, make) => {
    const client = await make();
    for (const version of VERSIONS) {
      for (const path of [RELEASE, '/pool/x/y', '/v1/status', '/crl.pem', '/nothing']) {
        const { received } = await speak(site, client, lastRequest(path), { version });
        expect(readStatusLines(received)).toEqual([`HTTP/1.1 403 ${reason}`]);
      }
    }
  });
});

describe('an honest certificate', () => {
  it.each(VERSIONS)('is let in under %s', async (version) => {
    const { received } = await speak(site, host, lastRequest(RELEASE), { version });
    expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
  });

  it('made by openssl and recorded is let in: the forger of these tests is able', async () => {
    const client = await forge(site);
    await record(site, client, 'host');
    expect((await ask(site, client, RELEASE)).status).toBe(200);
  });

  it.each([
    ['leading zeros', '00000000000000000000000000000a01'],
    ['half a leading byte', '0abcdef0123456789abcdef012345601'],
    ['the top bit set', 'ff00000000000000000000000000aa01'],
    ['twenty bytes', '7fffffffffffffffffffffffffffffffffffff01'],
    ['one byte', '05'],
  ])('whose serial has %s is let in, and refused once revoked', async (_name, serial) => {
    const client = { ...(await forge(site, { serial })), name: `serial-${serial}` };
    expect(await record(site, client, 'host')).toBe(serial.replace(/^0+/, ''));
    for (const version of VERSIONS) {
      const { received } = await speak(site, client, lastRequest(RELEASE), { version });
      expect(readStatusLines(received)).toEqual(['HTTP/1.1 200 OK']);
    }
    await site.perform('certificate.revoke', { certificate: client.name });
    for (const version of VERSIONS) {
      const { received } = await speak(site, client, lastRequest(RELEASE), { version });
      expect(readStatusLines(received)).toEqual(['HTTP/1.1 403 Certificate revoked']);
    }
  });

  it('with a long chain of strangers sent along is judged by itself', async () => {
    const stranger = await forgeSelfSigned(site, '/CN=other', ['basicConstraints=CA:TRUE']);
    const pem = await readFile(stranger.certificate, 'utf8');
    const certificate = join(host.folder, 'with-strangers.crt');
    await writeFile(certificate, (await readFile(host.certificate, 'utf8')) + pem.repeat(5));
    expect((await curl({ ...host, certificate }, `${site.url}${RELEASE}`)).status).toBe(200);
  });
});

describe('the protocol', () => {
  const connectFlags = (client: Client): string[] => [
    ...['s_client', '-connect', `127.0.0.1:${site.port}`, '-servername', 'localhost'],
    ...['-cert', client.certificate, '-key', client.key, '-CAfile', site.ca],
  ];

  it.each(['-tls1', '-tls1_1'])('openssl s_client %s is refused by an alert', async (version) => {
    const flags = [...connectFlags(host), version, '-cipher', 'DEFAULT@SECLEVEL=0'];
    const { stdout, stderr } = await run('openssl', flags, { input: lastRequest(RELEASE) });
    expect(stderr).toContain('alert protocol version');
    expect(stdout).not.toContain('HTTP/1.1');
  });

  it('GnuTLS is refused TLS 1.1 and let in with TLS 1.2', async () => {
    const flags = ['--x509cafile', site.ca, '--x509certfile', host.certificate];
    const target = ['--x509keyfile', host.key, '--port', String(site.port), 'localhost'];
    const connectWith = (priority: string) =>
      run('gnutls-cli', ['--priority', priority, ...flags, ...target], {
        input: lastRequest(RELEASE),
      });
    const old = await connectWith('NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT');
    expect(old.stdout).toContain('Received alert [70]');
    expect(old.stdout).not.toContain('HTTP/1.1 200');
    const current = await connectWith('NORMAL:-VERS-ALL:+VERS-TLS1.2');
    expect(current.stdout).toContain('HTTP/1.1 200 OK');
  });

  it('refuses renegotiation, and the connection is gone', async () => {
    const connection = await openConnection({
      port: site.port,
      client: host,
      ca: site.ca,
      maxVersion: 'TLSv1.2',
    });
    const refused = await new Promise<Error | null>((resolve) => {
      connection.socket.once('error', resolve);
      connection.socket.renegotiate({ rejectUnauthorized: true }, resolve);
    });
    expect(refused).toBeInstanceOf(Error);
    connection.socket.destroy();
  });

  it.each(VERSIONS)(
    'resumes no session under %s, so that each handshake is judged',
    async (version) => {
      const client = await site.issue(`resuming-${version.slice(-1)}`, 'host');
      const first = connect({
        host: '127.0.0.1',
        port: site.port,
        ca: await readFile(site.ca),
        cert: await readFile(client.certificate),
        key: await readFile(client.key),
        minVersion: version,
        maxVersion: version,
      });
      const sessions: Buffer[] = [];
      first.on('session', (session: Buffer) => sessions.push(session));
      first.write(lastRequest(RELEASE));
      await new Promise((resolve) => first.resume().once('close', resolve));
      const session = sessions.at(-1) ?? first.getSession();
      const again = await speak(site, client, lastRequest(RELEASE), {
        version,
        ...(session ? { session } : {}),
      });
      expect([again.reused, readStatusLines(again.received)]).toEqual([false, ['HTTP/1.1 200 OK']]);
      await site.perform('certificate.revoke', { certificate: client.serial });
      const after = await speak(site, client, lastRequest(RELEASE), {
        version,
        ...(session ? { session } : {}),
      });
      expect([after.reused, readStatusLines(after.received)]).toEqual([
        false,
        ['HTTP/1.1 403 Certificate revoked'],
      ]);
    },
  );

  it('plain HTTP on the port gets nothing of HTTP', async () => {
    const outcome = await run('curl', ['-qsS', `http://127.0.0.1:${site.port}${RELEASE}`]);
    expect(outcome.status).not.toBe(0);
    expect(outcome.stdout).toBe('');
  });

  it('three thousand half-open handshakes hinder nobody', async () => {
    const sockets: Socket[] = [];
    const hello = Buffer.from('1603010200010001fc0303', 'hex');
    // As many at a time as the queue of a listening socket holds.
    for (let batch = 0; batch < 10; batch += 1) {
      for (let count = 0; count < 300; count += 1) {
        const socket = connectTcp(site.port, '127.0.0.1', () => {
          if (count % 2) socket.write(hello);
        });
        socket.on('error', () => undefined); // the server may close it at any time
        sockets.push(socket);
      }
      await waitFor('three hundred connections more', () =>
        sockets.every((socket) => !socket.connecting) ? true : undefined,
      );
    }
    expect(sockets.filter((socket) => !socket.destroyed).length).toBeGreaterThan(2000);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(site, host, RELEASE)));
    expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(200));
    for (const socket of sockets) socket.destroy();
  });
});

describe('with tls.strictHandshake', () => {
  it('a certificate of ours that may not enter gets silence too', async () => {
    const clock = createClock();
    const settings = { 'tls.strictHandshake': 'true', 'crl.refresh': '3650d' };
    const strict = await startSite(join(scratch, 'strict'), { clock, settings });
    try {
      const [client, gone] = [
        await strict.issue('web', 'host'),
        await strict.issue('gone', 'host'),
      ];
      await strict.perform('certificate.revoke', { certificate: 'gone' });
      const expired = await forge(strict, { from: -9, to: -1 });
      const hear = async (who: Client): Promise<string[]> =>
        readStatusLines((await speak(strict, who, lastRequest(RELEASE))).received);
      expect(await hear(client)).toEqual(['HTTP/1.1 200 OK']);
      expect([await hear(gone), await hear(expired)]).toEqual([[], []]);
      clock.advance(2 * 86_400_000);
      expect(await hear(client)).toEqual([]);
      await strict.perform('crl.refresh', {});
      expect(await hear(client)).toEqual(['HTTP/1.1 200 OK']);
    } finally {
      await strict.daemon.stop();
    }
  });
});
