/**
 * From the first byte of an upload until apt can install it: a fresh curl PUT over mutual TLS, the
 * answer to which is that moment. Then a thousand uploads, and the memory they leave.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { buildPackage } from '../src/deb/build.ts';
import { buildSample } from './packages.ts';
import { type BenchServer, median, startServer } from './server.ts';

const ROUNDS = 7;
const MANY = 1000;

function putWithCurl(server: BenchServer, folder: string, file: string): number {
  const out = execFileSync(
    'curl',
    [
      ...['-sS', '--fail-with-body', '-o', '/dev/null', '-w', '%{time_total} %{time_appconnect}'],
      ...[
        '--cacert',
        `${folder}/ca.crt`,
        '--cert',
        `${folder}/up.crt`,
        '--key',
        `${folder}/up.key`,
      ],
      ...['-T', file, `${server.url}/upload/stable/`],
    ],
    { encoding: 'utf8' },
  );
  const [total = 0, connected = 0] = out.split(' ').map(Number);
  return (total - connected) * 1000;
}

function measureOne(
  server: BenchServer,
  folder: string,
  label: string,
  bytes: number,
  compression: string,
): void {
  const walls: number[] = [];
  const cpus: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = buildSample(`sample-${compression}-${bytes}`, `1.${round}`, bytes, compression);
    const before = server.cpu();
    walls.push(putWithCurl(server, folder, file));
    cpus.push(server.cpu() - before);
    rmSync(dirname(file), { recursive: true });
  }
  console.log(
    `${label}: wall ${median(walls).toFixed(0)} ms, CPU ${median(cpus).toFixed(0)} ms (median of ${ROUNDS})`,
  );
}

async function uploadMany(server: BenchServer, folder: string): Promise<void> {
  const agent = new Agent({
    keepAlive: true,
    ca: readFileSync(join(folder, 'ca.crt')),
    cert: readFileSync(join(folder, 'up.crt')),
    key: readFileSync(join(folder, 'up.key')),
  });
  const began = performance.now();
  const before = server.cpu();
  for (let i = 0; i < MANY; i += 1) {
    const fields = {
      Package: `many-${i}`,
      Version: '1',
      Architecture: 'all',
      Maintainer: 'B <b@x>',
      Description: 'x',
    };
    const body = await buildPackage(
      fields,
      [{ path: `/usr/share/many/${i}`, content: Buffer.from(`${i}`), mode: 0o644 }],
      1,
    );
    await new Promise<void>((done, fail) => {
      const put = request(
        `${server.url}/upload/stable/x.deb`,
        { method: 'PUT', agent },
        (response) => {
          response.resume();
          if (response.statusCode !== 201) fail(new Error(`status ${response.statusCode}`));
          response.once('end', done);
        },
      );
      put.once('error', fail);
      put.end(body);
    });
  }
  agent.destroy();
  const each = (total: number): string => (total / MANY).toFixed(1);
  console.log(
    `${MANY} small uploads one after another: wall ${each(performance.now() - began)} ms, CPU ${each(server.cpu() - before)} ms each; memory after them ${server.memory().toFixed(0)} MiB`,
  );
}

export async function measureUploads(): Promise<void> {
  const server = await startServer();
  const folder = join(server.data, 'uploader');
  server.run('cert', 'issue', 'up', '--role', 'uploader', '--out', folder);
  try {
    console.log(`memory at start ${server.memory().toFixed(0)} MiB`);
    measureOne(server, folder, '1 MB, gzip', 1_000_000, 'gzip');
    measureOne(server, folder, '1 MB, xz', 1_000_000, 'xz');
    measureOne(server, folder, '80 MB, gzip', 80_000_000, 'gzip');
    measureOne(server, folder, '80 MB, xz', 80_000_000, 'xz');
    await uploadMany(server, folder);
  } finally {
    await server.stop();
  }
}
