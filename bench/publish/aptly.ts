/** Debian's aptly at its fastest: no Contents, no bzip2, no cleanup; by its command line, by its API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openAsBlob, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Facts } from './corpus.ts';
import { type Cost, inOrder, runCommand, watchServer } from './cost.ts';
import { ARCHITECTURE, type Peer, type SigningKey, SUITE } from './peer.ts';

const REPOSITORY = 'bench';
const FASTEST = ['-skip-contents', '-skip-bz2'];

interface Home {
  root: string;
  config: string;
  env: NodeJS.ProcessEnv;
  key: SigningKey;
}

function createHome(root: string, key: SigningKey): Home {
  mkdirSync(root, { recursive: true });
  const config = join(root, 'aptly.conf');
  const settings = {
    ...{ rootDir: root, architectures: [ARCHITECTURE], gpgProvider: 'gpg' },
    ...{ skipContentsPublishing: true, skipBz2Publishing: true },
  };
  writeFileSync(config, JSON.stringify(settings));
  return { root, config, key, env: { ...process.env, GNUPGHOME: key.home } };
}

/** aptly's own query language. */
const queryOf = (old: Facts): string =>
  `Name (= ${old.name}), $Version (= ${old.version}), $Architecture (= ${old.architecture})`;

function readPublished({ root }: Home, path: string): Buffer {
  return readFileSync(join(root, 'public/dists', SUITE, path));
}

const readers = (home: Home): Pick<Peer, 'readInRelease' | 'readPackages'> => ({
  readInRelease: async () => readPublished(home, 'InRelease').toString(),
  readPackages: async () => readPublished(home, `main/binary-${ARCHITECTURE}/Packages.gz`),
});

function createRunner({ config, env }: Home): (...words: string[]) => Promise<Cost> {
  return (...words) =>
    runCommand({ command: 'aptly', args: [`-config=${config}`, ...words], options: { env } });
}

export function openAptly(root: string, key: SigningKey): Peer {
  const home = createHome(root, key);
  const run = createRunner(home);
  const signing = [`-gpg-key=${key.fingerprint}`, '-batch', ...FASTEST];
  const update = (): Promise<Cost> => run('publish', 'update', '-skip-cleanup', ...signing, SUITE);
  const add = (paths: readonly string[]) => (): Promise<Cost> =>
    run('repo', 'add', REPOSITORY, ...paths);
  const drop = (old: Facts) => (): Promise<Cost> => run('repo', 'remove', REPOSITORY, queryOf(old));
  return {
    name: 'aptly',
    keyring: key.keyring,
    listed: new Set(),
    import: ({ folders }) =>
      inOrder([
        () => run('repo', 'create', `-distribution=${SUITE}`, '-component=main', REPOSITORY),
        add(folders),
        () => run('publish', 'repo', '-origin=Bench', '-label=Bench', ...signing, REPOSITORY),
      ]),
    add: ({ path }) => inOrder([add([path]), update]),
    replace: ({ path }, old) => inOrder([drop(old), add([path]), update]),
    remove: (old) => inOrder([drop(old), update]),
    burst: (files) => inOrder([add(files.map(({ path }) => path)), update]),
    ...readers(home),
    stop: async () => {},
  };
}

/** The API of one server process, over HTTP in the clear on this machine. */
class AptlyApi {
  readonly #url: string;

  constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}/api`;
  }

  async ask(method: string, path: string, body?: object): Promise<string> {
    const form = body instanceof FormData;
    const response = await fetch(this.#url + path, {
      method,
      ...(body ? { body: form ? body : JSON.stringify(body) } : {}),
      ...(body && !form ? { headers: { 'Content-Type': 'application/json' } } : {}),
    });
    const said = await response.text();
    if (!response.ok) throw new Error(`aptly: ${method} ${path}: ${response.status} ${said}`);
    return said;
  }

  async upload(paths: readonly string[]): Promise<void> {
    const form = new FormData();
    for (const path of paths) form.append('file', await openAsBlob(path), basename(path));
    await this.ask('POST', '/files/incoming', form);
    await this.ask('POST', `/repos/${REPOSITORY}/file/incoming`);
  }

  /** What aptly calls a package by itself. */
  async findReference({ name, version, architecture }: Facts): Promise<string> {
    const query = encodeURIComponent(name);
    const found = JSON.parse(await this.ask('GET', `/repos/${REPOSITORY}/packages?q=${query}`));
    const begin = `P${architecture} ${name} ${version} `;
    const reference = (found as string[]).find((one) => one.startsWith(begin));
    if (reference === undefined) throw new Error(`aptly: no ${begin}`);
    return reference;
  }

  async drop(reference: string): Promise<void> {
    await this.ask('DELETE', `/repos/${REPOSITORY}/packages`, { PackageRefs: [reference] });
  }
}

async function startApi(home: Home, port: number): Promise<ChildProcess> {
  const args = [`-config=${home.config}`, 'api', 'serve', `-listen=127.0.0.1:${port}`];
  const child = spawn('aptly', args, { env: home.env, stdio: 'ignore' });
  for (;;) {
    const found = await fetch(`http://127.0.0.1:${port}/api/version`).catch(() => undefined);
    if (found?.ok) return child;
    if (child.exitCode !== null) throw new Error(`aptly api serve ended with ${child.exitCode}`);
    await delay(20);
  }
}

async function stopApi(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await ended;
}

export async function openAptlyApi(root: string, key: SigningKey, port: number): Promise<Peer> {
  const home = createHome(root, key);
  const api = new AptlyApi(port);
  let child = await startApi(home, port);
  const signing = {
    ...{ Signing: { Batch: true, GpgKey: key.fingerprint } },
    ...{ SkipContents: true, SkipBz2: true, SkipCleanup: true },
  };
  const watch = (step: () => Promise<unknown>): Promise<Cost> => watchServer(child.pid ?? 0, step);
  const update = (): Promise<string> => api.ask('PUT', `/publish/:./${SUITE}`, signing);
  return {
    name: 'aptly API',
    keyring: key.keyring,
    listed: new Set(),
    import: (corpus) =>
      watch(async () => {
        await api.ask('POST', '/repos', { Name: REPOSITORY, DefaultComponent: 'main' });
        for (const folder of corpus.folders) {
          await api.upload(readdirSync(folder).map((file) => join(folder, file)));
        }
        await api.ask('POST', '/publish/:.', {
          ...{ SourceKind: 'local', Sources: [{ Name: REPOSITORY }], Distribution: SUITE },
          ...{ Origin: 'Bench', Label: 'Bench', ...signing },
        });
      }),
    async begin() {
      await stopApi(child);
      child = await startApi(home, port);
    },
    add: ({ path }) =>
      watch(async () => {
        await api.upload([path]);
        await update();
      }),
    async replace({ path }, old) {
      const reference = await api.findReference(old);
      return watch(async () => {
        await api.drop(reference);
        await api.upload([path]);
        await update();
      });
    },
    async remove(old) {
      const reference = await api.findReference(old);
      return watch(async () => {
        await api.drop(reference);
        await update();
      });
    },
    burst: (files) =>
      watch(async () => {
        await api.upload(files.map(({ path }) => path));
        await update();
      }),
    ...readers(home),
    stop: () => stopApi(child),
  };
}
