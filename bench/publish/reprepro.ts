/** Debian's reprepro: one process for every step. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cost, inOrder, runCommand } from './cost.ts';
import { ARCHITECTURE, type Peer, type SigningKey, SUITE } from './peer.ts';

const DISTRIBUTION = `Origin: Bench
Label: Bench
Suite: ${SUITE}
Codename: ${SUITE}
Architectures: ${ARCHITECTURE}
Components: main
`;

export function openReprepro(name: string, base: string, key: SigningKey): Peer {
  mkdirSync(join(base, 'conf'), { recursive: true });
  writeFileSync(join(base, 'conf/distributions'), `${DISTRIBUTION}SignWith: ${key.fingerprint}\n`);
  const options = { env: { ...process.env, GNUPGHOME: key.home } };
  const run = (...words: string[]): Promise<Cost> => {
    const args = ['--silent', '--silent', '--basedir', base, ...words];
    return runCommand({ command: 'reprepro', args, options });
  };
  const include = (paths: readonly string[]): Promise<Cost> => run('includedeb', SUITE, ...paths);
  const published = (path: string): Buffer => readFileSync(join(base, 'dists', SUITE, path));
  return {
    name,
    keyring: key.keyring,
    listed: new Set(),
    // A thousand names a call: the system bounds what a command is given.
    import: ({ folders }) =>
      inOrder(
        folders.map((folder) => () => {
          return include(readdirSync(folder).map((file) => join(folder, file)));
        }),
      ),
    add: ({ path }) => include([path]),
    // One version of a package is all it keeps.
    replace: ({ path }) => include([path]),
    remove: (old) => run('remove', SUITE, old.name),
    burst: (files) => include(files.map(({ path }) => path)),
    readInRelease: async () => published('InRelease').toString(),
    readPackages: async () => published(`main/binary-${ARCHITECTURE}/Packages.gz`),
    stop: async () => {},
  };
}
