/**
 * A certificate and its key, two files that are replaced together. No call renames two files at
 * once, so the new ones lie beside the old first, and a crash between the two renames is ended by
 * whoever comes next. Source of truth: rename(2). Floor 9.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { chmod, chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';

/** Paths as they were given; both may name one file that holds the certificate and the key. */
export interface PairPaths {
  cert: string;
  key: string;
}

const aside = (path: string): string => `${path}.new`;

/** Whether a certificate and a key, PEM, are of one pair. */
function belongTogether(certificate: string, key: string): boolean {
  try {
    const { publicKey } = new X509Certificate(certificate);
    return createPublicKey(createPrivateKey(key)).equals(publicKey);
  } catch {
    return false;
  }
}

const readIfThere = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });

/** A link is followed, so that it stays one. */
async function resolvePair({ cert, key }: PairPaths): Promise<PairPaths> {
  return { cert: await realpath(cert), key: await realpath(key) };
}

/**
 * End what a crash left between the two renames: the key is the new one, the certificate the old.
 * Does nothing where the pair is whole, and nothing to files that it cannot read or replace.
 */
export async function repairPair(given: PairPaths): Promise<void> {
  const paths = await resolvePair(given).catch(() => undefined);
  if (!paths || paths.cert === paths.key) return;
  const next = await readIfThere(aside(paths.cert)).catch(() => undefined);
  if (next === undefined) return;
  const key = await readFile(paths.key, 'utf8');
  if (!belongTogether(await readFile(paths.cert, 'utf8'), key) && belongTogether(next, key)) {
    await rename(aside(paths.cert), paths.cert);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

/** An empty file beside `path`, with its mode and owner, durable and open for the new content. */
async function reserve(path: string): Promise<void> {
  const { mode, uid, gid } = await stat(path);
  await rm(aside(path), { force: true });
  const handle = await open(aside(path), 'wx', 0o600);
  await handle.close();
  if (process.getuid?.() === 0) await chown(aside(path), uid, gid);
  await chmod(aside(path), mode & 0o777);
}

async function fill(path: string, content: string): Promise<void> {
  const handle = await open(aside(path), 'r+');
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Replace both files by what `make` answers, or neither. The room is taken before it is asked, so
 * that nothing is issued that has nowhere to go.
 * @throws RefusalError FILE_UNREADABLE
 */
export async function replacePair<Result extends { certificate: string; key: string }>(
  given: PairPaths,
  make: () => Promise<Result>,
): Promise<Result> {
  const refuse = (error: unknown): never => {
    const where = `${given.cert}, ${given.key}`;
    throw new RefusalError('FILE_UNREADABLE', `${where}: ${systemCode(error) || String(error)}`);
  };
  const paths = await resolvePair(given).catch(refuse);
  const each = [...new Set([paths.key, paths.cert])];
  const abandon = async (): Promise<void> => {
    for (const path of each) await rm(aside(path), { force: true }).catch(() => {});
  };
  try {
    for (const path of each) await reserve(path);
  } catch (error) {
    await abandon();
    refuse(error);
  }
  let made: Result;
  try {
    made = await make();
  } catch (error) {
    await abandon();
    throw error;
  }
  try {
    if (each.length === 1) await fill(paths.cert, made.certificate + made.key);
    else {
      await fill(paths.cert, made.certificate);
      await fill(paths.key, made.key);
    }
  } catch (error) {
    await abandon();
    refuse(error);
  }
  try {
    // The key first: repairPair() knows the certificate that belongs to it.
    for (const path of each) await rename(aside(path), path);
    for (const path of each) await syncFolder(path);
  } catch (error) {
    refuse(error);
  }
  return made;
}
