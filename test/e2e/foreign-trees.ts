/**
 * Repositories of others, made by their own programs: reprepro, aptly, apt-ftparchive with gpg. What
 * an import is fed with. Source: reprepro(1), aptly(1), apt-ftparchive(1).
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { join, normalize } from 'node:path';
import { cleanEnvironment, succeed } from './command.ts';

/** The key that signs a tree, in a gpg home of its own. */
export interface ForeignKey {
  home: string;
  fingerprint: string;
  /** Files: the public key, binary, and the secret one, armoured. */
  keyring: string;
  secret: string;
}

export async function createForeignKey(folder: string): Promise<ForeignKey> {
  const home = join(folder, 'gpg');
  await mkdir(home, { recursive: true, mode: 0o700 });
  const gpg = (...words: string[]): Promise<string> =>
    succeed('gpg', ['--homedir', home, '--batch', '--no-tty', ...words]);
  const words = ['--pinentry-mode', 'loopback', '--passphrase', ''];
  await gpg(...words, '--quick-generate-key', 'Old Uni archive', 'ed25519', 'sign', 'never');
  const listed = await gpg('--with-colons', '--list-keys');
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
  const keyring = join(folder, 'old.gpg');
  const secret = join(folder, 'old-secret.asc');
  await gpg('--output', keyring, '--export', fingerprint);
  await gpg(...words, '--output', secret, '--armor', '--export-secret-keys', fingerprint);
  await succeed('gpgconf', ['--homedir', home, '--kill', 'gpg-agent']);
  return { home, fingerprint, keyring, secret };
}

const withKey = (key: ForeignKey): NodeJS.ProcessEnv => ({
  ...cleanEnvironment(),
  GNUPGHOME: key.home,
});

const endAgent = (key: ForeignKey): Promise<string> =>
  succeed('gpgconf', ['--homedir', key.home, '--kill', 'gpg-agent']);

/** What these trees say of themselves. */
export const OLD_UNI = {
  origin: 'Old Uni',
  label: 'Old Uni packages',
  codename: 'bookworm',
  suite: 'oldstable',
};

/** Packages into a reprepro tree; the first call makes it. */
export async function fillReprepro(
  folder: string,
  key: ForeignKey,
  component: string,
  files: readonly string[],
): Promise<void> {
  await mkdir(join(folder, 'conf'), { recursive: true });
  const { origin, label, codename, suite } = OLD_UNI;
  const fields = [
    `Origin: ${origin}`,
    `Label: ${label}`,
    `Codename: ${codename}`,
    `Suite: ${suite}`,
    'Architectures: amd64 arm64 source',
    'Components: main contrib',
    'UDebComponents: main',
    'Description: what the old server had',
    `SignWith: ${key.fingerprint}`,
  ];
  await writeFile(join(folder, 'conf/distributions'), `${fields.join('\n')}\n`);
  const base = ['--basedir', folder, '--section', 'misc', '--priority', 'optional'];
  const args = [...base, '--component', component, 'includedeb', codename, ...files];
  await succeed('reprepro', args, { env: withKey(key) });
  await endAgent(key);
}

/** An upload, sources and all, into a reprepro tree that is there. */
export async function includeChanges(
  folder: string,
  key: ForeignKey,
  changes: string,
): Promise<void> {
  const args = ['--basedir', folder, '--ignore=wrongdistribution', '--ignore=surprisingarch'];
  await succeed('reprepro', [...args, 'include', OLD_UNI.codename, changes], { env: withKey(key) });
  await endAgent(key);
}

/** An aptly root whose `public` holds these packages. */
export async function fillAptly(
  folder: string,
  key: ForeignKey,
  files: readonly string[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'aptly.conf');
  await writeFile(config, JSON.stringify({ rootDir: folder, gpgProvider: 'gpg' }));
  const aptly = (...words: string[]): Promise<string> =>
    succeed('aptly', [`-config=${config}`, ...words], { env: withKey(key) });
  const { origin, label, codename } = OLD_UNI;
  await aptly('repo', 'create', `-distribution=${codename}`, '-component=main', 'uni');
  await aptly('repo', 'add', 'uni', ...files);
  const identity = [`-origin=${origin}`, `-label=${label}`, '-architectures=amd64,arm64'];
  const signing = [`-gpg-key=${key.fingerprint}`, '-batch'];
  await aptly('publish', 'repo', ...identity, ...signing, 'uni');
  await endAgent(key);
}

/** A folder over https without a client certificate, as any web server has it; every path asked. */
export async function serveFolder(
  folder: string,
  pair: { cert: string; key: string },
  port: number,
): Promise<{ server: Server; asked: string[]; close(): Promise<void> }> {
  const asked: string[] = [];
  const identity = { cert: await readFile(pair.cert), key: await readFile(pair.key) };
  const server = createServer(identity, (request, response) => {
    const path = normalize(decodeURIComponent(request.url ?? '/'));
    asked.push(path);
    readFile(join(folder, path)).then(
      (bytes) => response.writeHead(200, { 'Content-Length': bytes.length }).end(bytes),
      () => response.writeHead(404, { 'Content-Length': 9 }).end('not here\n'),
    );
  });
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    server,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
