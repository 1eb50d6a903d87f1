/**
 * The processes of a server that serves from several, seen from outside: who they are, and which of
 * them holds a connection. Source of truth: proc(5).
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { waitFor } from './command.ts';
import { type Connection, type ConnectOptions, openConnection } from './connection.ts';

/** The children of a process. */
export async function listChildren(pid: number): Promise<number[]> {
  const listed = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return listed.split(' ').filter(Boolean).map(Number);
}

/** Whether a process is there and not only waited for. */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !/\) [ZX] /.test(stat);
}

const inHex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');

/** The inode of the server's end of a connection from `clientPort` of this machine. */
async function findInode(port: number, clientPort: number): Promise<string | undefined> {
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n');
  const fields = lines.map((line) => line.trim().split(/\s+/));
  const [near, far] = [`:${inHex(port)}`, `:${inHex(clientPort)}`];
  return fields.find(([, local, remote]) => local?.endsWith(near) && remote?.endsWith(far))?.[9];
}

async function holds(pid: number, link: string): Promise<boolean> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const name of names) {
    if ((await readlink(`/proc/${pid}/fd/${name}`).catch(() => '')) === link) return true;
  }
  return false;
}

/** The child of `server` that holds the other end of a connection. */
export async function findWorker(
  server: number,
  port: number,
  { socket }: Connection,
): Promise<number> {
  const clientPort = socket.localPort ?? 0;
  return waitFor('the worker of a connection', async () => {
    const link = `socket:[${await findInode(port, clientPort)}]`;
    for (const pid of await listChildren(server)) if (await holds(pid, link)) return pid;
    return undefined;
  });
}

/** Connections, at least one in each worker; by the process id of the worker. */
export async function connectToEach(
  server: number,
  workers: number,
  options: ConnectOptions,
): Promise<Map<number, Connection>> {
  const found = new Map<number, Connection>();
  const others: Connection[] = [];
  await waitFor('a connection in every worker', async () => {
    const connections = await Promise.all(
      Array.from({ length: workers }, () => openConnection(options)),
    );
    for (const connection of connections) {
      const pid = await findWorker(server, options.port, connection);
      if (found.has(pid)) others.push(connection);
      else found.set(pid, connection);
    }
    return found.size === workers ? true : undefined;
  });
  for (const { socket } of others) socket.destroy();
  return found;
}
