/**
 * The load: full mutual TLS 1.3 handshakes with one request each, from a loop of node:tls in this
 * process. It is slower than the servers it asks, so their CPU time is what is compared. X25519 is
 * asked for, because OpenSSL 3.5 would agree on more with itself than with the 3.0 of Debian's nginx.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createSecureContext, type SecureContext } from 'node:tls';

export interface Bearer {
  context: SecureContext;
}

/** A client whose files `aptkeep cert issue NAME --out FOLDER` wrote. */
export function loadBearer(folder: string, name: string): Bearer {
  const read = (file: string): Buffer => readFileSync(join(folder, file));
  const identity = { cert: read(`${name}.crt`), key: read(`${name}.key`), ca: read('ca.crt') };
  return { context: createSecureContext({ ...identity, ecdhCurve: 'X25519' }) };
}

const REQUEST = 'HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

/** A new connection, one GET, to its end: the status, 0 where the peer hung up. */
export function askOnce({ context }: Bearer, port: number, path: string): Promise<number> {
  return new Promise((resolve) => {
    let head = '';
    const socket = connect({
      ...{ host: '127.0.0.1', port, servername: 'localhost', secureContext: context },
      ...{ minVersion: 'TLSv1.3' as const },
    });
    socket.once('secureConnect', () => socket.write(`GET ${path} ${REQUEST}`));
    socket.on('data', (chunk: Buffer) => {
      if (head.length < 20) head += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.once('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)));
  });
}

/** So many connections, a few at a time; each must end with 200. */
export async function askMany(
  bearer: Bearer,
  port: number,
  path: string,
  count: number,
): Promise<void> {
  let left = count;
  const ask = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const status = await askOnce(bearer, port, path);
      if (status !== 200) throw new Error(`status ${status}`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, ask));
}
