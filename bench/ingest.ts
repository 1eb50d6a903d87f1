/**
 * 80 MB over mutual TLS: a PUT to aptkeep, which hashes it, proves it and publishes it, beside a PUT to
 * Debian's nginx, which writes it to a file. The same curl, keys and list; CPU is the server's. nginx
 * runs twice, as its own control. Then twenty at once, and the time from the last byte to the answer.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { findNginx, type NginxServer, startNginx } from './nginx.ts';
import { readThreadsCpu } from './publish/cost.ts';
import { renderDeb } from './publish/deb.ts';
import { OwnRepository, prepareOwn } from './publish/own.ts';
import { SUITE } from './publish/peer.ts';
import { makeDataDirectory, median } from './server.ts';

const ROUNDS = 7;
const MEGABYTE = 1_000_000;
const LARGE = 80 * MEGABYTE;
const AT_ONCE = 20;
const EACH = 20 * MEGABYTE;

/** Of data that does not compress, in gzip at its fastest. */
function makePackage(folder: string, name: string, bytes: number): string {
  const lines = [`Package: ${name}`, 'Version: 1', 'Architecture: all', 'Maintainer: B <b@b>'];
  const control = [...lines, 'Description: much', ''].join('\n');
  const content = { path: `/usr/share/${name}`, content: randomBytes(bytes) };
  const file = join(folder, `${name}_1_all.deb`);
  writeFileSync(file, renderDeb(control, [content], 1));
  return file;
}

interface Server {
  name: string;
  pid: number;
  /** Where curl puts files; ends in a slash. */
  place: string;
}

function curlArguments(data: string, place: string, file: string): string[] {
  const folder = join(data, 'admin');
  return [
    ...['-sS', '--fail-with-body', '-o', '/dev/null', '--cacert', `${folder}/ca.crt`],
    ...['--cert', `${folder}/admin.crt`, '--key', `${folder}/admin.key`],
    ...['--curves', 'X25519', '-T', file, place],
  ];
}

interface Taken {
  wall: number;
  cpu: number;
}

/**
 * On a virtual machine the first write to memory that nobody has touched yet costs several times the
 * write itself, and whoever comes first pays for it: here nobody who is measured.
 */
function touchMemory(folder: string, bytes: number): void {
  const path = join(folder, 'touched');
  const piece = Buffer.alloc(MEGABYTE, 1);
  const file = openSync(path, 'w');
  for (let at = 0; at < bytes; at += piece.length) writeSync(file, piece);
  closeSync(file);
  rmSync(path);
}

async function take({ pid }: Server, run: () => unknown): Promise<Taken> {
  const before = readThreadsCpu(pid);
  const began = performance.now();
  await run();
  return { wall: performance.now() - began, cpu: readThreadsCpu(pid) - before };
}

const putAtOnce = (data: string, place: string, files: readonly string[]): Promise<unknown> =>
  Promise.all(
    files.map(
      (file) =>
        new Promise<void>((resolve, reject) => {
          const curl = spawn('curl', curlArguments(data, place, file), { stdio: 'inherit' });
          curl.once('exit', (status) =>
            status === 0 ? resolve() : reject(new Error(`curl ended with ${status}`)),
          );
        }),
    ),
  );

type Run = (server: Server, round: number) => Promise<unknown> | unknown;

interface Field {
  folder: string;
  servers: readonly Server[];
  /** What one run sends. */
  bytes: number;
}

/** Prints a line for each server, its ratio to nginx's CPU and time beside it. */
async function compare(what: string, { folder, servers, bytes }: Field, run: Run): Promise<void> {
  const all = new Map(servers.map(({ name }) => [name, [] as Taken[]]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let turn = 0; turn < servers.length; turn += 1) {
      const server = servers[(round + turn) % servers.length];
      touchMemory(folder, 3 * bytes);
      if (server) all.get(server.name)?.push(await take(server, () => run(server, round)));
    }
  }
  console.log(
    `\n${what.padEnd(34)}${['CPU ms', 'CPU ratio', 'wall ms', 'wall ratio'].map((one) => one.padStart(12)).join('')}`,
  );
  const theirs = all.get('nginx') ?? [];
  for (const [name, taken] of all) {
    const ratio = (pick: (one: Taken) => number): string =>
      median(
        taken.map((one, round) => pick(one) / pick(theirs[round] ?? { wall: 1, cpu: 1 })),
      ).toFixed(2);
    const cells = [
      median(taken.map(({ cpu }) => cpu)).toFixed(0),
      ratio(({ cpu }) => cpu),
      median(taken.map(({ wall }) => wall)).toFixed(0),
      ratio(({ wall }) => wall),
    ];
    console.log(`  ${name.padEnd(32)}${cells.map((cell) => cell.padStart(12)).join('')}`);
  }
}

/** Made before anything is measured. */
const prepareRounds = (make: (round: number) => string[]): string[][] =>
  Array.from({ length: ROUNDS }, (_, round) => make(round));

export async function measureIngest(): Promise<void> {
  const version = findNginx();
  if (version === undefined) {
    console.log('nginx is not there: apt-get install nginx');
    return;
  }
  const data = makeDataDirectory();
  prepareOwn(data);
  const own = new OwnRepository(data);
  const nginx: NginxServer[] = [];
  const folder = join(data, 'made');
  mkdirSync(folder);
  try {
    await own.begin();
    const servers: Server[] = [
      { name: 'aptkeep', pid: own.server.pid, place: `${own.server.url}/upload/${SUITE}/` },
    ];
    for (const [at, name] of ['nginx', 'nginx, control'].entries()) {
      const root = join(data, `dav-${at}`);
      mkdirSync(root);
      const one = await startNginx(data, 18_470 + at, { root, isDav: true });
      nginx.push(one);
      servers.push({ name, pid: one.pid, place: `https://localhost:${one.port}/` });
    }
    console.log(`nginx ${version}; medians of ${ROUNDS}; at most 1.35 of nginx's CPU is aimed at`);
    // Another package in every round: what is there already would not be written.
    const large = prepareRounds((round) => [makePackage(folder, `large-${round}`, LARGE)]);
    await compare('80 MB', { folder, servers, bytes: LARGE }, ({ place }, round) =>
      execFileSync('curl', curlArguments(data, place, large[round]?.[0] ?? ''), {
        stdio: 'inherit',
      }),
    );
    const many = prepareRounds((round) =>
      Array.from({ length: AT_ONCE }, (_, at) => makePackage(folder, `many-${round}-${at}`, EACH)),
    );
    const field = { folder, servers, bytes: AT_ONCE * EACH };
    await compare(`${AT_ONCE} of ${EACH / MEGABYTE} MB at once`, field, ({ place }, round) =>
      putAtOnce(data, place, many[round] ?? []),
    );
    const after: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      after.push(await own.put(makePackage(folder, `after-${round}`, LARGE)));
    }
    console.log(
      `\nfrom the last byte of 80 MB to the signed InRelease: ${median(after).toFixed(0)} ms (median of ${ROUNDS})`,
    );
  } finally {
    for (const one of nginx) await one.stop();
    await own.halt();
    rmSync(data, { recursive: true });
  }
}
