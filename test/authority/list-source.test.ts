/** Where lists are read: files that are none, servers that answer anything or nothing. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { nameSource, readSource, type SourceOptions } from '../../src/authority/list-source.ts';
import { createScratch, succeed } from '../e2e/command.ts';

const scratch = createScratch('source');
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const serve = async (answer: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer(answer))}`;

const read = (source: string, options: Partial<SourceOptions> = {}): Promise<string> =>
  readSource(source, { folder: scratch, ...options }).then(
    (bytes) => Buffer.from(bytes).toString(),
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );

describe('a file', () => {
  it('is read from the data directory, from anywhere, and as a URL', async () => {
    const path = join(scratch, 'a list.pem');
    await writeFile(path, 'content');
    for (const source of ['a list.pem', path, pathToFileURL(path).href]) {
      expect(await read(source)).toBe('content');
      expect(nameSource(source)).toMatch(/^a(%20| )list\.pem$/);
    }
  });

  it('is refused where it is none, or too large', async () => {
    expect(await read('nothing')).toBe('CRL_UNACCEPTABLE: there is no such file');
    await mkdir(join(scratch, 'folder'));
    expect(await read('folder')).toBe('CRL_UNACCEPTABLE: is not a regular file');
    await succeed('mkfifo', [join(scratch, 'pipe')]);
    expect(await read('pipe')).toBe('CRL_UNACCEPTABLE: is not a regular file');
    await writeFile(join(scratch, 'large'), '12345');
    const bound = { maxBytes: 4 };
    expect(await read('large', bound)).toBe('CRL_UNACCEPTABLE: is larger than 4 bytes');
  });
});

describe('a server', () => {
  it('is followed where it redirects, three times', async () => {
    const url = await serve(({ url: path = '' }, response) => {
      const left = Number(path.slice(1));
      if (left === 0) response.end('list');
      else response.writeHead(302, { Location: `/${left - 1}` }).end();
    });
    expect(await read(`${url}/3`)).toBe('list');
    expect(await read(`${url}/4`)).toBe('CRL_UNACCEPTABLE: redirects more than 3 times');
  });

  it('is not followed to a file, to nowhere, or out of TLS', async () => {
    const url = await serve((request, response) => {
      const target = decodeURIComponent(request.url?.slice(1) ?? '');
      response.writeHead(301, target ? { Location: target } : {}).end();
    });
    for (const target of ['file:///etc/hostname', 'ftp://127.0.0.1/', '', 'http://[']) {
      const source = `${url}/${encodeURIComponent(target)}`;
      const said = await read(source);
      // Without a target it leads to itself.
      expect(said).toMatch(/redirects (to where it is not followed|more than 3 times)/);
    }
  });

  it.each([404, 500, 204, 206])('that answers %i gives no list', async (status) => {
    const url = await serve((_request, response) => response.writeHead(status).end());
    expect(await read(url)).toBe(`CRL_UNACCEPTABLE: answers ${status}`);
  });

  it('that sends for ever is cut', async () => {
    const chunk = Buffer.alloc(65_536);
    const url = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    expect(await read(url, { maxBytes: 1_000_000 })).toBe(
      'CRL_UNACCEPTABLE: is larger than 1000000 bytes',
    );
  });

  it('that does not answer, or never ends, is not waited for', async () => {
    const silent = await serve(() => {});
    expect(await read(silent, { limitMs: 50 })).toBe('CRL_UNACCEPTABLE: did not answer in time');
    const slow = await serve((_request, response) => response.write('begun'));
    expect(await read(slow, { limitMs: 200 })).toBe('CRL_UNACCEPTABLE: did not answer in time');
  });

  it('that hangs up, or is not there, is said to be so', async () => {
    const rude = await serve((request) => request.socket.destroy());
    expect(await read(rude)).toBe('CRL_UNACCEPTABLE: cannot be fetched (ECONNRESET)');
    const halfway = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('begun', () => response.destroy());
    });
    expect(await read(halfway)).toMatch(/^CRL_UNACCEPTABLE: cannot be fetched/);
    expect(await read('http://127.0.0.1:1/')).toBe(
      'CRL_UNACCEPTABLE: cannot be fetched (ECONNREFUSED)',
    );
  });

  it('of another CA is believed where that CA is configured', async () => {
    const [key, cert] = [join(scratch, 'tls.key'), join(scratch, 'tls.crt')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    await succeed('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      ...names,
    ]);
    const pem = await readFile(cert, 'utf8');
    const server = createTlsServer(
      { key: await readFile(key), cert: pem },
      (_request, response) => {
        response.end('list');
      },
    );
    const url = `https://localhost:${await listen(server)}`;
    expect(await read(url, { ca: pem })).toBe('list');
    expect(await read(url)).toBe(
      'CRL_UNACCEPTABLE: cannot be fetched (DEPTH_ZERO_SELF_SIGNED_CERT)',
    );
  });
});
