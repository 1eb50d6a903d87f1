/**
 * What serving costs beside Debian's nginx: the same keys, list and files, one process each. The
 * measure is nginx as Debian ships it, which also stands here a second time, as a control. Without
 * session tickets, as it has to be where certificates are revoked, and with open_file_cache it is
 * at its best for this purpose.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askMany, loadBearer } from '../handshakes.ts';
import { findNginx, type NginxServer, startNginx } from '../nginx.ts';
import { openCorpus } from '../publish/corpus.ts';
import { readThreadsCpu } from '../publish/cost.ts';
import { renderDeb } from '../publish/deb.ts';
import { importFolder, prepareOwn } from '../publish/own.ts';
import { ARCHITECTURE, SUITE } from '../publish/peer.ts';
import { type BenchServer, makeDataDirectory, startServer } from '../server.ts';
import { ask, type Wanted } from './load.ts';
import { compare, type Peer, type Row } from './rounds.ts';
import { compareApt } from './updates.ts';

const ROUNDS = 7;
const PACKAGES = 2000;
const MEGABYTE = 1_000_000;
const STOCK = 'nginx';
/** Name -> bytes of data that does not compress. */
const LARGE = { 'of-ten': 10 * MEGABYTE, 'of-eighty': 80 * MEGABYTE };

interface Field {
  server: BenchServer;
  data: string;
  tree: string;
  peers: Peer[];
  nginx: NginxServer[];
}

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' });

/** A data directory with an index of some hundred KB, and packages of 10 and 80 MB. */
async function prepare(data: string): Promise<void> {
  prepareOwn(data);
  const folder = join(data, 'large');
  mkdirSync(folder);
  for (const [name, size] of Object.entries(LARGE)) {
    const lines = [`Package: ${name}`, 'Version: 1', 'Architecture: all', 'Maintainer: B <b@b>'];
    const control = [...lines, 'Description: much', ''].join('\n');
    const content = { path: `/usr/share/${name}`, content: randomBytes(size) };
    writeFileSync(join(folder, `${name}_1_all.deb`), renderDeb(control, [content], 1));
  }
  await importFolder(data, openCorpus(PACKAGES).root);
  await importFolder(data, folder);
  rmSync(folder, { recursive: true });
}

async function open(data: string, tree: string): Promise<Field> {
  const server = await startServer(data);
  server.run('cert', 'issue', 'web', '--role', 'host', '--out', join(data, 'web'));
  server.run('export', tree);
  const [best, control, stock] = await Promise.all([
    startNginx(data, 18_463, { root: tree, isTuned: true }),
    startNginx(data, 18_464, { root: tree, isStock: true }),
    startNginx(data, 18_465, { root: tree, isStock: true }),
  ]);
  const asPeer = (name: string, { port, pid }: { port: number; pid: number }): Peer => ({
    ...{ name, port },
    cpu: () => readThreadsCpu(pid),
  });
  const own = { port: Number(new URL(server.url).port), pid: server.pid };
  return {
    ...{ server, data, tree, nginx: [best, control, stock] },
    peers: [
      asPeer('aptkeep', own),
      asPeer(STOCK, stock),
      asPeer('nginx, no tickets, file cache', best),
      asPeer('nginx, control', control),
    ],
  };
}

function describeRows({ data, tree }: Field): Row[] {
  const bearer = loadBearer(join(data, 'web'), 'web');
  const release = `/dists/${SUITE}/InRelease`;
  const index = files(join(tree, 'dists', SUITE))
    .filter((path) => path.startsWith(`main/binary-${ARCHITECTURE}/by-hash/SHA256/`))
    .map((path) => ({ path, size: statSync(join(tree, 'dists', SUITE, path)).size }))
    .filter(({ path }) => readFileSync(join(tree, 'dists', SUITE, path))[0] === 0x1f)
    .sort((a, b) => b.size - a.size)[0];
  const pooled = (least: number, most: number): string => {
    const path = files(join(tree, 'pool')).find((one) => {
      const { size } = statSync(join(tree, 'pool', one));
      return size >= least && size < most && one.endsWith('.deb');
    });
    return `/pool/${path}`;
  };
  // What each server says of its own file is what it is asked by.
  const conditions = new Map<number, string>();
  const readDate = (port: number): string => {
    const known = conditions.get(port);
    if (known !== undefined) return known;
    const web = join(data, 'web');
    const flags = ['-sS', '--cacert', `${web}/ca.crt`, '--cert', `${web}/web.crt`];
    const url = `https://localhost:${port}${release}`;
    const head = execFileSync('curl', [...flags, '--key', `${web}/web.key`, '--head', url], {
      encoding: 'utf8',
    });
    const date = /^Last-Modified: (.*)\r$/im.exec(head)?.[1] ?? '';
    conditions.set(port, date);
    return date;
  };
  const small = (what: string, wanted: Wanted, count: number, atMost: number): Row => ({
    ...{ what, count, unit: 'requests', per: 1000, atMost },
    run: ({ port }) => ask(bearer, port, wanted, count),
  });
  const large = (what: string, path: string, times: number, megabytes: number): Row => ({
    ...{ what, count: times * megabytes, unit: 'MB', per: 1000, atMost: 0.95, atLeastSpeed: 1 },
    run: ({ port }) => ask(bearer, port, { path, status: 200 }, times),
  });
  const size = statSync(join(tree, release)).size;
  const whole = { path: release, status: 200 };
  return [
    small(`InRelease, ${size} bytes`, whole, 8000, 1.05),
    {
      ...small('304', whole, 8000, 1.1),
      run: ({ port }) => {
        const headers = [`If-Modified-Since: ${readDate(port)}`];
        return ask(bearer, port, { path: release, status: 304, headers }, 8000);
      },
    },
    small('InRelease, ten at once', { ...whole, depth: 10 }, 8000, 1.05),
    small(
      `Packages by hash, ${((index?.size ?? 0) / 1000).toFixed(0)} KB`,
      { path: `/dists/${SUITE}/${index?.path}`, status: 200 },
      400,
      1.05,
    ),
    large('a package of 10 MB', pooled(9 * MEGABYTE, 12 * MEGABYTE), 20, 10),
    large('a package of 80 MB', pooled(70 * MEGABYTE, 90 * MEGABYTE), 4, 80),
    {
      ...{ what: 'a full handshake, one request', count: 300, unit: 'handshakes', per: 1000 },
      atMost: 0.95,
      run: ({ port }) => askMany(bearer, port, release, 300),
    },
  ];
}

export async function measureServing(words: readonly string[]): Promise<void> {
  const version = findNginx();
  if (version === undefined) {
    console.log('nginx is not there: apt-get install nginx');
    return;
  }
  console.log(`nginx ${version}; ratios are to nginx as Debian ships it, medians of ${ROUNDS}`);
  const data = makeDataDirectory();
  await prepare(data);
  const field = await open(data, `${data}-tree`);
  try {
    const rows = describeRows(field).filter(
      ({ what }) => words.length === 0 || words.some((word) => what.includes(word)),
    );
    await compare(field.peers, STOCK, rows, ROUNDS);
    if (words.length === 0 || words.includes('apt')) await compareApt(field, STOCK);
  } finally {
    for (const one of field.nginx) await one.stop();
    await field.server.stop();
    rmSync(field.tree, { recursive: true, force: true });
  }
}
