/**
 * A server whose data directory is on a small disk of its own: a tmpfs in a mount namespace, as root
 * and, in a user namespace, as an ordinary user. Seen from outside through /proc/PID/root.
 * Source: unshare(1), mount_namespaces(7), proc(5).
 */
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKOUT, startProcess, waitFor } from './command.ts';
import { type Past, POINTS } from './killed-repository.ts';
import { APTKEEP, programEnvironment, type Server, watchServer } from './program.ts';

const NAMESPACE = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
const DISK_BYTES = 48 * 1024 * 1024;
const FILLER = 'filler';

const SCRIPT = `set -eu
mount -t tmpfs -o size=${DISK_BYTES} tmpfs "$1"
cp -a "$2" "$1/data"
shift 2
exec "$@"
`;

export interface SmallDisk {
  server: Server;
  /** The data directory, as seen from here; gone with the server. */
  data: string;
  /** To the last byte. */
  fill(): Promise<void>;
  /** Takes away what filled it. */
  empty(): Promise<void>;
}

async function fillDisk(path: string): Promise<void> {
  const handle = await open(path, 'a');
  try {
    for (const size of [65_536, 4096, 1]) {
      const bytes = Buffer.alloc(size, 1);
      for (let full = false; !full; ) full = await handle.write(bytes).then(refused, isFull);
    }
  } finally {
    await handle.close();
  }
}

const refused = (): boolean => false;

function isFull(error: NodeJS.ErrnoException): boolean {
  if (error.code === 'ENOSPC') return true;
  throw error;
}

/** A server on a copy of the past, on a disk that fills at that step. */
export async function startOnSmallDisk(
  past: Past,
  mountPoint: string,
  step: number,
): Promise<SmallDisk> {
  const filler = join(mountPoint, FILLER);
  const env = programEnvironment({
    DISK_POINT: `fill:${step}:${filler}`,
    NODE_OPTIONS: `--import=${POINTS}`,
  });
  const serve = ['serve', '--data', join(mountPoint, 'data')];
  const words = [APTKEEP, ...serve, '--listen', `127.0.0.1:${past.port}`];
  const script = ['sh', '-c', SCRIPT, 'sh', mountPoint, past.data, ...words];
  const child = startProcess('unshare', [...NAMESPACE, ...script], { env, cwd: CHECKOUT });
  const server = await watchServer(child);
  const seen = `/proc/${child.pid}/root${mountPoint}`;
  server.process.kill('SIGUSR2');
  await waitFor('the server to be armed', () => server.output().includes('armed') || undefined);
  return {
    server,
    data: join(seen, 'data'),
    fill: () => fillDisk(join(seen, FILLER)),
    empty: () => unlink(join(seen, FILLER)),
  };
}
