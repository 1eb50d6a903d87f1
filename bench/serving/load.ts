/**
 * The load: one connection of node:tls in this process, with a client certificate, one request after
 * another or ten at once. Answers are told apart by their length alone, which is that of the first, so
 * that the load is cheap. It has a core of its own and its CPU time is not counted.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { Bearer } from '../handshakes.ts';

/** Both servers close a connection after a thousand. */
const MOST_ON_ONE = 999;

export interface Wanted {
  path: string;
  headers?: readonly string[];
  /** What the status line of each server has to say. */
  status: number;
  /** How many requests are sent at once. */
  depth?: number;
}

function open({ context }: Bearer, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host: '127.0.0.1', port, servername: 'localhost', secureContext: context },
      minVersion: 'TLSv1.3',
    });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

/** The bytes of an answer, head and body, by its head; undefined while that is not whole. */
function measureAnswer(head: string, status: number): number | undefined {
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  if (!head.startsWith(`HTTP/1.1 ${status} `)) throw new Error(`answered: ${head.slice(0, 200)}`);
  const body = status === 304 ? 0 : Number(/^Content-Length: (\d+)/im.exec(head)?.[1]);
  return end + 4 + body;
}

/** Sends so many requests on one connection, and resolves when all of them are answered. */
async function askOnOne(
  bearer: Bearer,
  port: number,
  { path, headers = [], status, depth = 1 }: Wanted,
  count: number,
): Promise<void> {
  const socket = await open(bearer, port);
  const request = `${[`GET ${path} HTTP/1.1`, 'Host: localhost', ...headers].join('\r\n')}\r\n\r\n`;
  const batch = Buffer.from(request.repeat(depth));
  await new Promise<void>((resolve, reject) => {
    let size: number | undefined;
    let first = '';
    let received = 0;
    let left = Math.ceil(count / depth);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the server hung up')));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (size === undefined) {
        first += chunk.toString('latin1');
        size = measureAnswer(first, status);
        if (size === undefined) return;
      }
      if (received < size * depth) return;
      received -= size * depth;
      left -= 1;
      if (left > 0) socket.write(batch);
      else {
        socket.removeAllListeners('close');
        resolve();
      }
    });
    socket.write(batch);
  });
  socket.destroy();
}

export async function ask(
  bearer: Bearer,
  port: number,
  wanted: Wanted,
  count: number,
): Promise<void> {
  for (let done = 0; done < count; done += MOST_ON_ONE - 9) {
    await askOnOne(bearer, port, wanted, Math.min(MOST_ON_ONE - 9, count - done));
  }
}
