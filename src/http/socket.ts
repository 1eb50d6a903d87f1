/**
 * The private socket in the data directory: the same operations for who owns the directory. The
 * operating system's permission is the gate, so it works while the door is shut. Floor 7.
 */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '../operations/operation.ts';
import { rememberActor } from './session.ts';

export const SOCKET_NAME = 'aptkeep.sock';

/** The kernel's limit on the path of a socket, less its end (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107;

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

/**
 * Calls `use` with a path to the socket that is short enough, however deep the directory lies.
 */
export async function withSocketPath<Result>(
  data: string,
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const path = join(data, SOCKET_NAME);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return use(path);
  const folder: FileHandle = await open(data, 'r');
  try {
    return await use(`/proc/self/fd/${folder.fd}/${SOCKET_NAME}`);
  } finally {
    await folder.close();
  }
}

/** Listens; the caller holds the directory's lock, so a socket that is there is a dead one. */
export async function listenLocally(data: string, app: RequestListener): Promise<Server> {
  const actor = createLocalActor();
  const server = createServer((request, response) => {
    rememberActor(request, actor);
    app(request, response);
  });
  server.requestTimeout = 0;
  await rm(join(data, SOCKET_NAME), { force: true });
  await withSocketPath(data, async (path) => {
    // Bound under this mask, the socket is never anyone else's for a moment.
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
    } finally {
      process.umask(mask);
    }
  });
  return server;
}
