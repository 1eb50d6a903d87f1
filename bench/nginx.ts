/** Debian's nginx as a peer: the same keys, CAs and revocation list, one file, no resumption. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readCpu } from './server.ts';

export interface NginxServer {
  port: number;
  pid: number;
  cpu(): number;
  stop(): Promise<void>;
}

/** nginx's own version, or undefined where it is not installed. */
export function findNginx(): string | undefined {
  const { stderr, error } = spawnSync('nginx', ['-v'], { encoding: 'utf8' });
  return error === undefined ? /nginx\/(\S+)/.exec(stderr)?.[1] : undefined;
}

/** `root` is what it serves; tuned is with what it has for files that do not change; stock lets clients resume. */
export interface NginxOptions {
  root?: string;
  isTuned?: boolean;
  isStock?: boolean;
  /** Takes PUT. */
  isDav?: boolean;
}

/** One process and one thread, as aptkeep is. `certs` are those of the data directory. */
function writeSettings(
  folder: string,
  data: string,
  port: number,
  { root = data, isTuned = false, isStock = false, isDav = false }: NginxOptions,
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${folder}/${name};`,
  );
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `${user}
daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 512; }
http {
${temporary.join('\n')}
  access_log off;
  sendfile on;
  server {
    listen 127.0.0.1:${port} ssl;
    root ${root};
    ${isDav ? 'dav_methods PUT; client_max_body_size 0;' : ''}
    ${isTuned ? 'open_file_cache max=1000 inactive=600s; open_file_cache_valid 600s; tcp_nopush on;' : ''}
    ssl_certificate ${data}/certs/server.crt;
    ssl_certificate_key ${data}/certs/server.key;
    ssl_client_certificate ${data}/certs/client-ca.crt;
    ssl_crl ${data}/certs/crl.pem;
    ssl_verify_client on;
    ssl_protocols TLSv1.2 TLSv1.3;
    ${isStock ? '' : 'ssl_session_cache off; ssl_session_tickets off;'}
  }
}
`;
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

export async function startNginx(
  data: string,
  port: number,
  options: NginxOptions = {},
): Promise<NginxServer> {
  const folder = mkdtempSync(join(tmpdir(), 'aptkeep-nginx-'));
  writeFileSync(join(folder, 'nginx.conf'), writeSettings(folder, data, port, options));
  const words = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'];
  const child: ChildProcess = spawn('nginx', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${readLast(said)}`);
    await delay(20);
  }
  return {
    port,
    pid: child.pid ?? 0,
    cpu: () => readCpu(child.pid),
    async stop() {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGQUIT');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

const readLast = (text: string): string => text.trim().split('\n').at(-1) ?? '';
