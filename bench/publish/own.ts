/**
 * aptkeep as the others see it: the real server, a package handed over by a fresh curl or by a
 * client that has its connection already, over mutual TLS.
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type BenchServer, PROGRAM, runProgram, startServer } from '../server.ts';
import type { Facts } from './corpus.ts';
import { type Cost, readThreadsCpu, readWritten, runCommand, watchServer } from './cost.ts';
import { ARCHITECTURE, type Peer, SUITE } from './peer.ts';

/** Of the warm client: a burst is a hundred uploads at once. */
const CONNECTIONS = 100;

/** A data directory with the suite; nothing runs. */
export function prepareOwn(data: string): void {
  runProgram('init', '--data', data);
  const words = ['--origin', 'Bench', '--label', 'Bench', '--architectures', ARCHITECTURE];
  runProgram('suite', 'create', SUITE, ...words, '--data', data);
  const issue = ['--role', 'admin', '--out', join(data, 'admin'), '--data', data];
  runProgram('cert', 'issue', 'admin', ...issue);
}

/** A repository and, once it has begun, its server. */
export class OwnRepository {
  readonly data: string;
  readonly listed = new Set<string>();
  #server: BenchServer | undefined;
  #agent: Agent | undefined;

  readonly #settings: Record<string, string>;

  /** @param settings by their variables. */
  constructor(data: string, settings: Record<string, string> = {}) {
    this.data = data;
    this.#settings = settings;
  }

  get server(): BenchServer {
    if (this.#server === undefined) throw new Error('the server has not begun');
    return this.#server;
  }

  async begin(): Promise<void> {
    this.#server ??= await startServer(this.data, this.#settings);
    const [ca, cert, key] = ['ca.crt', 'admin.crt', 'admin.key'].map((file) =>
      readFileSync(join(this.data, 'admin', file)),
    );
    this.#agent ??= new Agent({ keepAlive: true, maxSockets: CONNECTIONS, ca, cert, key });
    await Promise.all(Array.from({ length: CONNECTIONS }, () => this.get('InRelease')));
  }

  async halt(): Promise<void> {
    this.#agent?.destroy();
    this.#agent = undefined;
    await this.#server?.halt();
    this.#server = undefined;
  }

  /** Resolves with the milliseconds from the last byte sent to the answer. */
  put(path: string): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const body = readFileSync(path);
    const headers = { 'Content-Length': body.length };
    const url = `${this.server.url}/upload/${SUITE}/x.deb`;
    let sent = 0;
    const put = request(url, { method: 'PUT', agent: this.#agent, headers }, (response) => {
      buffer(response).then((said) => {
        if (response.statusCode === 201) resolve(performance.now() - sent);
        else reject(new Error(`PUT: ${response.statusCode} ${said}`));
      }, reject);
    });
    put.once('finish', () => {
      sent = performance.now();
    });
    put.once('error', reject);
    put.end(body);
    return promise;
  }

  remove({ name, ...rest }: Facts): Promise<void> {
    const { version, architecture } = rest;
    const body = JSON.stringify({ packages: [{ package: name, version, architecture }] });
    const headers = { 'Content-Type': 'application/json', 'Content-Length': body.length };
    const url = `${this.server.url}/v1/suites/${SUITE}/packages/remove`;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const post = request(url, { method: 'POST', agent: this.#agent, headers }, (response) => {
      buffer(response).then((said) => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`remove: ${response.statusCode} ${said}`));
      }, reject);
    });
    post.once('error', reject);
    post.end(body);
    return promise;
  }

  get(path: string): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const url = `${this.server.url}/dists/${SUITE}/${path}`;
    request(url, { agent: this.#agent }, (response) => buffer(response).then(resolve, reject))
      .once('error', reject)
      .end();
    return promise;
  }

  /** A fresh curl; what it costs itself is counted apart. */
  async curl(words: readonly string[]): Promise<Cost> {
    const { pid, url } = this.server;
    const file = (name: string): string => join(this.data, 'admin', name);
    const args = [
      ...['--silent', '--show-error', '--fail-with-body', '--cacert', file('ca.crt')],
      ...['--cert', file('admin.crt'), '--key', file('admin.key'), ...words],
    ];
    const [cpu, written] = [readThreadsCpu(pid), readWritten(pid)];
    const cost = await runCommand({ command: 'curl', args: [...args, `${url}/upload/${SUITE}/`] });
    const used = { cpu: readThreadsCpu(pid) - cpu, written: readWritten(pid) - written };
    return { ...cost, ...used, client: cost.cpu };
  }
}

/** By a process of its own, as the others do it; the server is not running. */
export function importFolder(data: string, root: string, ...flags: string[]): Promise<Cost> {
  const args = ['import', root, '--suite', SUITE, '--data', data, ...flags];
  return runCommand({ command: PROGRAM, args });
}

const shared = (own: OwnRepository) => ({
  keyring: join(own.data, 'certs/archive-keyring.gpg'),
  listed: own.listed,
  readInRelease: async () => (await own.get('InRelease')).toString(),
  readPackages: () => own.get(`main/binary-${ARCHITECTURE}/Packages.gz`),
});

/** Through a connection that stands. */
export function openWarm(name: string, own: OwnRepository): Peer {
  const watch = (step: () => Promise<unknown>): Promise<Cost> => watchServer(own.server.pid, step);
  return {
    name,
    ...shared(own),
    pool: own.data,
    import: ({ root }) => importFolder(own.data, root),
    async begin() {
      await own.halt();
      await own.begin();
    },
    add: ({ path }) => watch(() => own.put(path)),
    remove: (old) => watch(() => own.remove(old)),
    burst: (files) => watch(() => Promise.all(files.map(({ path }) => own.put(path)))),
    async addLarge({ path }) {
      let after = 0;
      const cost = await watch(async () => {
        after = await own.put(path);
      });
      return { ...cost, after };
    },
    stop: () => own.halt(),
  };
}

/** The same server, by a curl for each package. */
export function openCurl(name: string, own: OwnRepository): Peer {
  return {
    name,
    variant: 1,
    ...shared(own),
    add: ({ path }) => own.curl(['--upload-file', path]),
    stop: async () => {},
  };
}
