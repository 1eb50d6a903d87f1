/**
 * Debian's nginx in front of a server under test, with what `aptkeep config nginx` prints and nothing
 * else that matters. As root its workers are www-data, as on a real host.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, startProcess, succeed, waitFor } from './command.ts';
import { APTKEEP, findFreePort, programEnvironment } from './program.ts';

const isRoot = process.getuid?.() === 0;

export interface Nginx {
  readonly url: string;
  readonly port: number;
  /** What it wrote down: one line a request, "METHOD URI STATUS BYTES UPSTREAM-STATUS FILE". */
  readAccess(): Promise<string>;
  /** Takes changed files over; resolves when no worker of before takes a connection. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** The environment in which aptkeep and nginx find each other. */
export const proxyEnvironment = (port: number): NodeJS.ProcessEnv => ({
  APTKEEP_PROXY_TRUST: 'true',
  APTKEEP_PROXY_LISTEN: `127.0.0.1:${port}`,
  ...(isRoot ? {} : { APTKEEP_PROXY_GROUP: '' }),
});

export const printConfiguration = (data: string, env: NodeJS.ProcessEnv): Promise<string> =>
  succeed(APTKEEP, ['config', 'nginx', '--data', data], { env: programEnvironment(env) });

async function writeMain(folder: string, text: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'aptkeep.conf'), text);
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const main = join(folder, 'nginx.conf');
  await writeFile(
    main,
    [
      isRoot ? 'user www-data;' : '',
      'daemon off; worker_processes 1;',
      `pid ${folder}/pid; error_log ${folder}/error.log info;`,
      'events { worker_connections 512; }',
      'http {',
      ...kinds.map((kind) => `  ${kind}_temp_path ${folder}/${kind};`),
      "  log_format told '$request_method $request_uri $status $body_bytes_sent $upstream_status $request_filename';",
      `  access_log ${folder}/access.log told;`,
      // As Debian has it in nginx.conf; what is printed has to hold against these.
      '  sendfile on; gzip on; include /etc/nginx/mime.types; default_type application/octet-stream;',
      '  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_session_cache shared:SSL:1m;',
      `  include ${folder}/aptkeep.conf;`,
      '}',
      '',
    ].join('\n'),
  );
  return main;
}

/** Starts nginx with a printed configuration, which nginx itself has found to be right. */
export async function startNginx(folder: string, text: string, port: number): Promise<Nginx> {
  const main = await writeMain(folder, text);
  await succeed('nginx', ['-t', '-q', '-p', folder, '-c', main, '-e', `${folder}/error.log`]);
  const child = startProcess('nginx', ['-p', folder, '-c', main, '-e', `${folder}/error.log`]);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const listWorkers = async (): Promise<string[]> =>
    (await run('pgrep', ['-P', String(child.pid)])).stdout.split('\n').filter(Boolean);
  const isOpen = async (): Promise<true | undefined> =>
    (await run('curl', ['--silent', '--insecure', `https://127.0.0.1:${port}/`])).status === 7
      ? undefined
      : true;
  await waitFor('nginx', isOpen);
  return {
    url: `https://localhost:${port}`,
    port,
    readAccess: () => readFile(`${folder}/access.log`, 'utf8'),
    async reload() {
      const before = new Set(await listWorkers());
      child.kill('SIGHUP');
      await waitFor('new workers of nginx alone', async () => {
        const now = await listWorkers();
        return now.length > 0 && now.every((pid) => !before.has(pid)) ? true : undefined;
      });
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** aptkeep's environment and nginx's port, chosen before either starts. */
export async function chooseFront(): Promise<{ port: number; env: NodeJS.ProcessEnv }> {
  const port = await findFreePort();
  return { port, env: proxyEnvironment(port) };
}
