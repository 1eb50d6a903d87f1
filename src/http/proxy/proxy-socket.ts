/**
 * The socket on which nginx hands requests over: open to one group besides its owner. Source:
 * unix(7). Floor 7.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, lstat, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { promisify } from 'node:util';
import { RefusalError, systemCode } from '../../errors.ts';

const MODE = 0o660;
/** What only its owner may use until the group is set. */
const NARROW_MASK = 0o177;
const BACKLOG = 4096;
/** The kernel's limit, less the end of the text. */
const MAX_PATH_BYTES = 107;

const refuse = (key: string, why: string): RefusalError =>
  new RefusalError('CONFIG_INVALID', `${key}: ${why}`);

/** @throws RefusalError CONFIG_INVALID */
async function findGroup(name: string): Promise<number> {
  if (/^\d+$/.test(name)) return Number(name);
  try {
    const { stdout } = await promisify(execFile)('getent', ['group', '--', name]);
    return Number(stdout.split(':')[2]);
  } catch {
    throw refuse('proxy.group', `found ${JSON.stringify(name)}; there is no such group`);
  }
}

/** The caller holds the lock of the data directory; a socket that is left there is a dead one. */
async function removeLeftover(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw refuse('proxy.socket', `${path} is there and is no socket`);
  await rm(path);
}

async function giveToGroup(path: string, group: string): Promise<void> {
  const id = await findGroup(group);
  try {
    await chown(path, process.getuid?.() ?? 0, id);
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    throw refuse('proxy.group', `this user is not in the group ${group} and cannot let it in`);
  }
  await chmod(path, MODE);
}

/**
 * @param group a name or a number; null leaves the socket to its owner alone.
 * @throws RefusalError CONFIG_INVALID
 */
export async function listenForProxy(
  server: Server,
  path: string,
  group: string | null,
): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw refuse('proxy.socket', `${path} is longer than the ${MAX_PATH_BYTES} bytes of a socket`);
  }
  await removeLeftover(path);
  const mask = process.umask(NARROW_MASK);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        // libuv says EACCES where there is no folder, too.
        reject(
          refuse(
            'proxy.socket',
            `${path}: ${systemCode(error)}; does its folder exist, and is it ours?`,
          ),
        ),
      );
      server.listen({ path, backlog: BACKLOG }, resolve);
    });
  } finally {
    process.umask(mask);
  }
  if (group !== null) await giveToGroup(path, group);
}
