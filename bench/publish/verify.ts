/** What was published, judged by other programs: gpgv, zcat, sha256sum, apt-ftparchive. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ARCHITECTURE, type Peer } from './peer.ts';

const MAX_OUTPUT_BYTES = 2 ** 30;
const INDEX = `main/binary-${ARCHITECTURE}/Packages`;

function readSum(inRelease: string, path: string): string {
  const sums = inRelease.split('\nSHA256:\n')[1] ?? '';
  const line = sums.split('\n').find((one) => one.endsWith(` ${path}`));
  return line?.trim().split(/\s+/)[0] ?? '';
}

/** gpgv accepts InRelease, and the index has the hash that stands there. @throws Error */
export async function checkSigned(peer: Peer, folder: string): Promise<void> {
  const inRelease = await peer.readInRelease();
  const file = join(folder, 'InRelease');
  writeFileSync(file, inRelease);
  execFileSync('gpgv', ['--quiet', '--keyring', peer.keyring, file], { stdio: 'ignore' });
  if (!peer.readPackages) return;
  const compressed = await peer.readPackages();
  const found = createHash('sha256').update(compressed).digest('hex');
  if (found !== readSum(inRelease, `${INDEX}.gz`)) {
    throw new Error(`${peer.name}: Packages.gz is not what InRelease says`);
  }
}

const readField = (stanza: string, name: string): string =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';

/** One line of facts for each stanza, sorted. */
function listStanzas(index: string, fields: readonly string[]): string[] {
  return index
    .split('\n\n')
    .filter((stanza) => stanza.trim() !== '')
    .map((stanza) => fields.map((name) => readField(stanza, name)).join(' '))
    .sort();
}

function expectSame(what: string, found: readonly string[], wanted: readonly string[]): void {
  const differing = found.findIndex((line, at) => line !== wanted[at]);
  if (differing < 0 && found.length === wanted.length) return;
  const at = Math.max(differing, 0);
  throw new Error(
    `${what}: ${found.length} stanzas where ${wanted.length} are expected; ${found[at]} is not ${wanted[at]}`,
  );
}

/** The index unpacked by zcat has its hash, and lists what was handed over. @throws Error */
export async function checkContents(peer: Peer, folder: string): Promise<string> {
  if (!peer.readPackages) return '';
  const file = join(folder, 'Packages.gz');
  writeFileSync(file, await peer.readPackages());
  const options = { maxBuffer: MAX_OUTPUT_BYTES } as const;
  const script = 'zcat "$1" | tee "$2" | sha256sum';
  const plain = join(folder, 'Packages');
  const sum = execFileSync('sh', ['-c', script, 'sh', file, plain], options).toString();
  if (sum.slice(0, 64) !== readSum(await peer.readInRelease(), INDEX)) {
    throw new Error(`${peer.name}: Packages is not what InRelease says`);
  }
  const index = execFileSync('cat', [plain], options).toString('latin1');
  const found = listStanzas(index, ['Package', 'Version', 'Architecture']);
  expectSame(peer.name, found, [...peer.listed].sort());
  return index;
}

/** Our stanzas say of our pool what apt-ftparchive says of it. @throws Error */
export async function checkPool(peer: Peer, data: string, folder: string): Promise<void> {
  const index = await checkContents(peer, folder);
  const args = ['--no-md5', '--no-sha1', '--no-sha512', 'packages', 'pool'];
  const options = { cwd: data, maxBuffer: MAX_OUTPUT_BYTES } as const;
  const scanned = execFileSync('apt-ftparchive', args, options).toString('latin1');
  const fields = ['Package', 'Version', 'Architecture', 'Size', 'SHA256', 'Filename', 'Depends'];
  // What was removed from the suite may be in the pool yet.
  const there = listStanzas(scanned, fields).filter((line) => {
    return peer.listed.has(line.split(' ').slice(0, 3).join(' '));
  });
  expectSame(`${peer.name}, apt-ftparchive`, listStanzas(index, fields), there);
}
