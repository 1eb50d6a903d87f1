/**
 * Revocation in force when the command returns: on new, kept-alive and busy connections, under both
 * versions of TLS, for nobody but the one who was revoked.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch, startProcess, succeed, waitFor } from './command.ts';
import { getRequest, openConnection, readStatusLines } from './connection.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
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
/** Far more than the buffers between two processes hold. */
const LARGE_BYTES = 24 * 1024 * 1024;

const scratch = createScratch('revocation');
const data = join(scratch, 'data');
let server: Server;
let uploader: Client;
let witness: Client;
let large = '';
let largeUrl = '';

const revoke = (name: string, ...flags: string[]): Promise<string> =>
  aptkeep('cert', 'revoke', name, '--data', data, ...flags);

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  witness = await issueClient(data, 'witness', 'host');
  large = await buildSmall({ name: 'large', version: '1', payloadBytes: LARGE_BYTES }, scratch);
  expect((await putFile(uploader, server.url, large)).status).toBe(201);
  const [path] = (await listFiles(join(data, 'pool'))).filter((file) => file.endsWith('.deb'));
  largeUrl = `${server.url}/pool/${path}`;
});

describe('a revoked host', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is refused on its open %s connection',
    async (maxVersion) => {
      const name = `kept-alive-${maxVersion.slice(-1)}`;
      const client = await issueClient(data, name, 'host');
      const options = { port: server.port, ca: client.ca, maxVersion };
      const connection = await openConnection({ ...options, client });
      const other = await openConnection({ ...options, client: witness });
      connection.send(getRequest(RELEASE));
      await waitFor('the first answer', () =>
        connection.received().includes('-----END PGP SIGNATURE-----') ? true : undefined,
      );
      await revoke(name);
      connection.send(getRequest(RELEASE));
      const lines = readStatusLines(await connection.ended());
      expect(lines).toEqual(['HTTP/1.1 200 OK', 'HTTP/1.1 403 Certificate revoked']);
      other.send(getRequest(RELEASE));
      await waitFor('the answer to the other host', () =>
        readStatusLines(other.received()).includes('HTTP/1.1 200 OK') ? true : undefined,
      );
      other.socket.destroy();
      const flag = maxVersion === 'TLSv1.2' ? '--tls-max' : '--tlsv1.3';
      const version = maxVersion === 'TLSv1.2' ? ['1.2'] : [];
      const anew = await curl(client, `${server.url}${RELEASE}`, flag, ...version);
      expect([anew.status, anew.reason]).toEqual([403, 'Certificate revoked']);
    },
  );

  it('has its download cut, while the same download by another host ends well', async () => {
    const client = await issueClient(data, 'downloading', 'host');
    const fetchSlowly = (who: Client, file: string) => {
      const flags = [...curlFlags(who), '--limit-rate', '8M', '--output', join(scratch, file)];
      const child = startProcess('curl', [...flags, largeUrl]);
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      const begun = waitFor('the first bytes', async () =>
        (await stat(join(scratch, file)).catch(() => undefined))?.size ? true : undefined,
      );
      return { ended, begun };
    };
    const cut = fetchSlowly(client, 'cut');
    const whole = fetchSlowly(witness, 'whole');
    await Promise.all([cut.begun, whole.begun]);
    await revoke('downloading');
    expect(await cut.ended).not.toBe(0);
    expect((await stat(join(scratch, 'cut'))).size).toBeLessThan(LARGE_BYTES);
    expect(await whole.ended).toBe(0);
    await succeed('cmp', [join(scratch, 'whole'), large]);
  });

  it('stays refused when apt-get asks, which says why and exits 100', async () => {
    const { root } = await enrolHost(data, 'web', join(scratch, 'web'));
    expect((await root.aptGet('update')).status).toBe(0);
    await revoke('web', '--reason', 'cessationOfOperation');
    const refused = await root.aptGet('update');
    expect(refused.status).toBe(100);
    expect(refused.stderr).toMatch(/403\s+Certificate revoked/);
  });

  it('may be revoked again: nothing changes', async () => {
    const again = JSON.parse(await revoke('web', '--json'));
    expect(again.certificates).toHaveLength(1);
    expect(again.certificates[0].reason).toBe('cessationOfOperation');
  });

  it('comes back with a new certificate of the same name', async () => {
    const { root } = await enrolHost(data, 'web', join(scratch, 'web-again'), '--force');
    expect((await root.aptGet('update')).status).toBe(0);
  });

  it('stands in the revocation list, which openssl verifies', async () => {
    const file = join(scratch, 'crl.pem');
    const flags = ['--cert', witness.certificate, '--key', witness.key, '--cacert', witness.ca];
    await succeed('curl', ['-qsf', ...flags, '-o', file, `${server.url}/crl.pem`]);
    const ca = join(data, 'certs/client-ca.crt');
    const text = await succeed('openssl', [
      'crl',
      '-in',
      file,
      '-noout',
      '-text',
      '-verify',
      '-CAfile',
      ca,
    ]);
    expect(text).toContain('Cessation Of Operation');
    expect(text.match(/Serial Number:/g)).toHaveLength(4);
  });
});

describe('a revoked uploader', () => {
  it('publishes nothing of an upload that was under way', async () => {
    const client = await issueClient(data, 'uploading', 'uploader');
    const wanted = { name: 'never', version: '1', payloadBytes: LARGE_BYTES };
    const file = await buildSmall(wanted, join(scratch, 'never'));
    const { size } = await stat(file);
    const connection = await openConnection({ port: server.port, client, ca: client.ca });
    const head = ['Host: localhost', `Content-Length: ${size}`, '', ''].join('\r\n');
    connection.send(`PUT /upload/stable/never_1_all.deb HTTP/1.1\r\n${head}`);
    createReadStream(file, { end: size - 1000 }).on('data', (chunk) => {
      if (connection.socket.writable) connection.socket.write(chunk);
    });
    const staging = join(data, 'pool/.staging');
    await waitFor('the bytes in staging', async () => {
      const files = await listFiles(staging);
      const sizes = await Promise.all(files.map((name) => stat(join(staging, name))));
      return sizes.some((one) => one.size > 1_000_000) ? true : undefined;
    });
    await revoke('uploading');
    expect(readStatusLines(await connection.ended())).not.toContain('HTTP/1.1 201 Created');
    await waitFor('an empty staging folder', async () =>
      (await listFiles(staging)).length === 0 ? true : undefined,
    );
    expect((await listFiles(join(data, 'pool'))).join()).not.toContain('never');
  });
});

describe('a stranger', () => {
  const refuseHttp = async (client: Client | undefined): Promise<string> => {
    const options = { port: server.port, client, ca: witness.ca };
    // TLS 1.3 tells a client of its refusal only after the client's own handshake has ended.
    const connection = await openConnection(options);
    connection.send(getRequest(RELEASE));
    return connection.ended();
  };

  it('without a certificate gets no byte of HTTP', async () => {
    expect(await refuseHttp(undefined)).toBe('');
  });

  it('with a self-signed certificate of the same name and role gets no byte of HTTP', async () => {
    const certificate = join(scratch, 'forged.crt');
    const key = join(scratch, 'forged.key');
    const subject = await succeed('openssl', [
      ...['x509', '-in', witness.certificate, '-noout', '-subject', '-nameopt', 'RFC2253'],
    ]);
    expect(subject).toContain('CN=witness');
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const named = [
      '-subj',
      '/OU=host/CN=witness',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      certificate,
    ];
    await succeed('openssl', [...made, ...named, '-addext', 'extendedKeyUsage=clientAuth']);
    expect(await refuseHttp({ ...witness, certificate, key })).toBe('');
  });

  it('with the certificate of the server gets no byte of HTTP', async () => {
    const certificate = join(data, 'certs/server.crt');
    expect(await refuseHttp({ ...witness, certificate, key: join(data, 'certs/server.key') })).toBe(
      '',
    );
  });
});
