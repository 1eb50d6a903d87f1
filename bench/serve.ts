/** A 2 KB InRelease over one kept-alive mutual-TLS connection: requests a second, server CPU. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type BenchServer, median, startServer } from './server.ts';

const REQUESTS = 20_000;
const ROUNDS = 5;

/** One request after the other, as a host asks; answers are counted by their length. */
function askInTurn(
  server: BenchServer,
  folder: string,
  path: string,
  count: number,
): Promise<number> {
  const { hostname, port } = new URL(server.url);
  const began = performance.now();
  return new Promise((done, fail) => {
    let answerBytes = 0;
    let received = 0;
    let left = count;
    const ask = `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`;
    const socket = connect({
      host: '127.0.0.1',
      port: Number(port),
      servername: hostname,
      ca: readFileSync(join(folder, 'ca.crt')),
      cert: readFileSync(join(folder, 'web.crt')),
      key: readFileSync(join(folder, 'web.key')),
    });
    socket.once('secureConnect', () => socket.write(ask));
    socket.once('error', fail);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (answerBytes === 0) {
        const text = chunk.toString('latin1');
        answerBytes =
          text.indexOf('\r\n\r\n') + 4 + Number(/Content-Length: (\d+)/.exec(text)?.[1]);
      }
      if (received < answerBytes) return;
      received -= answerBytes;
      left -= 1;
      if (left > 0) socket.write(ask);
      else {
        socket.end();
        done(performance.now() - began);
      }
    });
  });
}

export async function measureServing(): Promise<void> {
  const server = await startServer();
  const folder = join(server.data, 'web');
  try {
    for (const [name, architectures] of [
      ['two-kb', 'amd64,arm64,armhf,i386,ppc64el,riscv64,s390x'],
    ] as const) {
      server.run(
        'suite',
        'create',
        name,
        '--origin',
        'Bench',
        '--label',
        'Bench',
        '--architectures',
        architectures,
      );
    }
    server.run('cert', 'issue', 'web', '--role', 'host', '--out', folder);
    const rates: number[] = [];
    const cpus: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = server.cpu();
      // A connection is good for a thousand requests; ask on as many as that needs.
      let wall = 0;
      for (let at = 0; at < REQUESTS; at += 999) {
        wall += await askInTurn(
          server,
          folder,
          '/dists/two-kb/InRelease',
          Math.min(999, REQUESTS - at),
        );
      }
      rates.push((REQUESTS / wall) * 1000);
      cpus.push(((server.cpu() - before) / REQUESTS) * 1000);
    }
    const size = readFileSync(join(server.data, 'dists/two-kb/InRelease')).length;
    console.log(
      `InRelease of ${size} bytes: ${median(rates).toFixed(0)} requests/s on one connection, server CPU ${median(cpus).toFixed(0)} ms per 1,000 (median of ${ROUNDS} × ${REQUESTS})`,
    );
  } finally {
    await server.stop();
  }
}
