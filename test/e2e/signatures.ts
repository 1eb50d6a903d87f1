/**
 * The served suite as a stranger to the program checks it: both signatures with gpgv and with sqv,
 * every checksum of Release from the bytes that are served. Source: DebianRepository/Format.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { succeed } from './command.ts';
import { type Client, curlFlags } from './site.ts';

/** Files of a suite by path below dists/SUITE/, from wherever they are. */
export type ReadFile = (path: string) => Promise<Buffer>;

export interface ListedFile {
  path: string;
  size: number;
  sha256: string;
}

/** Reads what a client is given, with curl, into `folder`. */
export function readServed(client: Client, base: string, folder: string): ReadFile {
  return async (path) => {
    const output = join(folder, path.replaceAll('/', '_'));
    await mkdir(folder, { recursive: true });
    const flags = [...curlFlags(client), '--fail', '--output', output];
    await succeed('curl', [...flags, `${base}/${path}`]);
    return readFile(output);
  };
}

/** The SHA256 section of a Release file. */
export function readListedFiles(release: string): ListedFile[] {
  const section = /^SHA256:\n((?: .*\n?)*)/m.exec(release)?.[1] ?? '';
  return section
    .split('\n')
    .filter((line) => line.trim())
    .map((line) => {
      const [sha256 = '', size = '', path = ''] = line.trim().split(/\s+/);
      return { path, size: Number(size), sha256 };
    });
}

/** One field of a Release file. */
export const readField = (release: string, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(release)?.[1];

/**
 * Verifies InRelease and Release.gpg in `folder` with gpgv and sqv.
 * @returns the fingerprint that gpgv names, in upper-case hex.
 */
export async function verifySignatures(folder: string, keyring: string): Promise<string> {
  const at = (name: string) => join(folder, name);
  const gpgv = ['--homedir', folder, '--status-fd', '1', '--keyring', keyring];
  const inline = await succeed('gpgv', [...gpgv, at('InRelease')]);
  const detached = await succeed('gpgv', [...gpgv, at('Release.gpg'), at('Release')]);
  await succeed('sqv', ['--keyring', keyring, at('Release.gpg'), at('Release')]);
  // The sqv of Debian 12 takes detached signatures only, so InRelease is taken apart for it.
  const [, body = '', signature = ''] =
    /^-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: .*\n)?\n([\s\S]*?\n)(-----BEGIN PGP SIGNATURE-----\n[\s\S]*)$/.exec(
      await readFile(at('InRelease'), 'utf8'),
    ) ?? [];
  if (body.replace(/^- /gm, '') !== (await readFile(at('Release'), 'utf8'))) {
    throw new Error(`InRelease and Release are not the same text:\n${body}`);
  }
  await writeFile(at('InRelease.asc'), signature);
  // The last line's end is not part of what is signed (RFC 9580, 7.1).
  await writeFile(at('InRelease.txt'), body.replace(/^- /gm, '').slice(0, -1));
  await succeed('sqv', ['--keyring', keyring, at('InRelease.asc'), at('InRelease.txt')]);
  const [first, second] = [inline, detached].map(
    (status) => /^\[GNUPG:\] VALIDSIG ([0-9A-F]{40}) /m.exec(status)?.[1],
  );
  if (!first || first !== second) throw new Error(`two signers: ${inline}\n${detached}`);
  return first;
}

/** Every difference between what Release lists and the bytes behind it, one line each. */
export async function checkListedFiles(files: ListedFile[], read: ReadFile): Promise<string[]> {
  const faults: string[] = [];
  for (const { path, size, sha256 } of files) {
    const bytes = await read(path);
    const found = createHash('sha256').update(bytes).digest('hex');
    if (bytes.length !== size || found !== sha256) faults.push(`${path}: ${bytes.length} ${found}`);
  }
  return faults;
}

/** The names by which apt asks for the same files. */
export const nameByHash = (files: ListedFile[]): ListedFile[] =>
  files.map((file) => {
    const folder = file.path.slice(0, file.path.lastIndexOf('/') + 1);
    return { ...file, path: `${folder}by-hash/SHA256/${file.sha256}` };
  });
