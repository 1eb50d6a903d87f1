/** A peer without scruples: any certificate, any key however weak, any version, any bytes. */
import { readFile } from 'node:fs/promises';
import { connect, type SecureVersion } from 'node:tls';
import type { Connection } from '../e2e/connection.ts';
import type { Client } from '../e2e/site.ts';
import type { Site } from '../http/start.ts';

export interface SpeakOptions {
  version?: SecureVersion;
  session?: Buffer;
}

export interface Heard {
  /** Every byte of HTTP that came back, one character a byte. */
  received: string;
  /** Whether the session given was resumed. */
  reused: boolean;
}

/** Connects, says these bytes, and listens until the server closes. */
export async function speak(
  site: Pick<Site, 'port' | 'ca'>,
  client: Client | undefined,
  bytes: string,
  { version, session }: SpeakOptions = {},
): Promise<Heard> {
  const identity = client && {
    cert: await readFile(client.certificate),
    key: await readFile(client.key),
  };
  const versions = version && { minVersion: version, maxVersion: version };
  const socket = connect({
    host: '127.0.0.1',
    servername: 'localhost',
    port: site.port,
    ca: await readFile(site.ca),
    // OpenSSL's own client would refuse to show a weak key.
    ciphers: 'DEFAULT@SECLEVEL=0',
    ...versions,
    ...identity,
    ...(session && { session }),
  });
  const chunks: Buffer[] = [];
  const heard = { reused: false };
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined); // how it ends is what is looked at
  socket.once('secureConnect', () => {
    heard.reused = socket.isSessionReused();
    socket.write(bytes, 'latin1');
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return { ...heard, received: Buffer.concat(chunks).toString('latin1') };
}

/** Sends a request and stops reading at the first bytes of its answer, so that the rest waits. */
export function stallAnswer({ socket, send }: Connection, request: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once('data', () => {
      socket.pause();
      resolve();
    });
    send(request);
  });
}
