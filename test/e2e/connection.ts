/**
 * One mutual-TLS connection, byte by byte: what curl cannot do, such as asking again on the same
 * connection after something has happened elsewhere. Source: RFC 9112.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { waitFor } from './command.ts';
import type { Client } from './site.ts';

export interface Connection {
  readonly socket: TLSSocket;
  /** Writes bytes as they are; what the peer has closed takes them in silence. */
  send(text: string): void;
  /** Everything received so far, one character a byte. */
  received(): string;
  /** Resolves with everything received once the peer has closed the connection. */
  ended(): Promise<string>;
}

export interface ConnectOptions {
  port: number;
  /** Undefined: no certificate is shown. */
  client: Client | undefined;
  /** The CA of the server's certificate. */
  ca: string;
  maxVersion?: SecureVersion;
}

/** Resolves when the handshake is done as far as this side can tell. */
export async function openConnection(options: ConnectOptions): Promise<Connection> {
  const { client, port, ca, maxVersion = 'TLSv1.3' } = options;
  const identity = client && {
    cert: await readFile(client.certificate),
    key: await readFile(client.key),
  };
  const socket = connect({
    host: '127.0.0.1',
    servername: 'localhost',
    port,
    ca: await readFile(ca),
    maxVersion,
    ...identity,
  });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'secureConnect');
  let closed = false;
  socket.on('close', () => {
    closed = true;
  });
  socket.on('error', () => undefined); // the end of the connection is what is looked at
  const received = () => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    received,
    send: (text) => {
      if (socket.writable) socket.write(text, 'latin1');
    },
    ended: () => waitFor('the end of the connection', () => (closed ? received() : undefined)),
  };
}

/** A GET as apt writes it. */
export const getRequest = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Debian APT-HTTP/1.3\r\n\r\n`;

/** A GET that asks for the connection to be closed. */
export const lastRequest = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;

/** Of openssl s_client: comes back with the session that was kept, or keeps what is handed out. */
export const sessionFlags = (session: string): string[] =>
  existsSync(session) ? ['-sess_in', session] : ['-sess_out', session];

/** The status lines received so far, in order. */
export const readStatusLines = (received: string): string[] =>
  received.match(/HTTP\/1\.1 \d{3} [^\r]*/g) ?? [];
