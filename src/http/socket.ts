/**
 * The private socket in the data directory: the same operations for who owns the directory. The
 * operating system's permission is the gate, so it works while the door is shut. Floor 7.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { RequestListener, Server } from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '../operations/operation.ts';
import { createServer } from '../plain-http.ts';
import { rememberActor } from './session.ts';

export const SOCKET_NAME = 'aptkeep.sock';

/** The kernel's limit on the path of a socket, less its end (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

/** A full queue refuses at once on a socket of this kind, where TCP would wait (unix(7)). */
const BACKLOG = 4096;

/** The local command line acts for the directory's owner. */
export function createLocalActor(): Actor {
  let name = 'local';
  try {
    name = `local:${userInfo().username}`;
  } catch {
    // A user without a name in the password file.
  }
  const limits = { suites: null, packages: null };
  return { name, role: 'admin', serial: null, ...limits, address: null, confirm: () => {} };
}

/** A path to a socket of the data directory that is short enough, however deep that lies. */
export interface SocketPath {
  path: string;
  /** The path holds until then. */
  close(): Promise<void>;
}

export async function openSocketPath(data: string, name = SOCKET_NAME): Promise<SocketPath> {
  const path = join(data, name);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, close: async () => {} };
  const folder: FileHandle = await open(data, 'r');
  return { path: `/proc/self/fd/${folder.fd}/${name}`, close: () => folder.close() };
}

/** Calls `use` with a path to the private socket. */
export async function withSocketPath<Result>(
  data: string,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const { path, close } = await openSocketPath(data);
  return use(path).finally(close);
}

/**
 * Makes a server listen on a socket of the data directory that is its owner's alone; the caller
 * holds the directory's lock, so a socket that is there is a dead one.
 */
export async function listenPrivately(server: Server, data: string, name: string): Promise<void> {
  await rm(join(data, name), { force: true });
  const { path, close } = await openSocketPath(data, name);
  // Bound under this mask, the socket is never anyone else's for a moment.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path, backlog: BACKLOG }, resolve);
    });
  } finally {
    process.umask(mask);
    await close();
  }
}

/** The private socket of the local command line. */
export async function listenLocally(data: string, app: RequestListener): Promise<Server> {
  const actor = createLocalActor();
  const server = createServer((request, response) => {
    rememberActor(request, actor);
    app(request, response);
  });
  server.requestTimeout = 0;
  await listenPrivately(server, data, SOCKET_NAME);
  return server;
}
