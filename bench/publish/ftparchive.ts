/**
 * Debian's apt-ftparchive over a folder, with its cache of what the packages say, and gpg: the
 * script that many a site runs. SHA-256 alone, as the others.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from './corpus.ts';
import { type Cost, runCommand } from './cost.ts';
import { ARCHITECTURE, type Peer, type SigningKey, SUITE } from './peer.ts';

const PUBLISH = `
index=dists/${SUITE}/main/binary-${ARCHITECTURE}
apt-ftparchive --no-md5 --no-sha1 --no-sha512 --db cache.db packages pool > $index/Packages
gzip --keep --force --no-name $index/Packages
apt-ftparchive --no-md5 --no-sha1 --no-sha512 \\
  -o APT::FTPArchive::Release::Suite=${SUITE} -o APT::FTPArchive::Release::Codename=${SUITE} \\
  -o APT::FTPArchive::Release::Architectures=${ARCHITECTURE} \\
  -o APT::FTPArchive::Release::Components=main release dists/${SUITE} > Release
mv Release dists/${SUITE}/Release
gpg --batch --yes --quiet --armor --output dists/${SUITE}/Release.gpg --detach-sign dists/${SUITE}/Release
gpg --batch --yes --quiet --output InRelease --clear-sign dists/${SUITE}/Release
mv InRelease dists/${SUITE}/InRelease
`;

export function openFtparchive(base: string, key: SigningKey): Peer {
  const index = join(base, 'dists', SUITE, `main/binary-${ARCHITECTURE}`);
  mkdirSync(index, { recursive: true });
  mkdirSync(join(base, 'pool'));
  const options = { cwd: base, env: { ...process.env, GNUPGHOME: key.home } };
  /** `change` is a line of shell; "$@" are the words. */
  const publish = (change: string, words: readonly string[]): Promise<Cost> => {
    const args = ['-c', `set -e\n${change}\n${PUBLISH}`, 'sh', ...words];
    return runCommand({ command: 'sh', args, options });
  };
  const stored = (old: Facts): string => {
    const version = old.version.replace(/^\d+:/, '');
    return `${old.name}_${version}_${old.architecture}.deb`;
  };
  const remove = 'find pool -name "$1" -delete; shift';
  return {
    name: 'apt-ftparchive + gpg',
    keyring: key.keyring,
    listed: new Set(),
    import: ({ folders }) => publish('cp -r "$@" pool/', folders),
    add: ({ path }) => publish('cp "$@" pool/', [path]),
    replace: ({ path }, old) => publish(`${remove}; cp "$@" pool/`, [stored(old), path]),
    remove: (old) => publish(remove, [stored(old)]),
    burst: (files) =>
      publish(
        'cp "$@" pool/',
        files.map(({ path }) => path),
      ),
    readInRelease: async () => readFileSync(join(base, 'dists', SUITE, 'InRelease'), 'utf8'),
    readPackages: async () => readFileSync(join(index, 'Packages.gz')),
    stop: async () => {},
  };
}
