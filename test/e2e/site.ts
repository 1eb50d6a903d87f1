/**
 * A site under test: a data directory, its clients with certificates of their own, and what they
 * do with curl and apt-get. Everything goes through the program's own commands.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type AptRoot, createAptRoot } from './apt-root.ts';
import { cleanEnvironment, run, succeed } from './command.ts';
import { aptkeep } from './program.ts';

/** What `aptkeep cert issue` wrote for a client. */
export interface Client {
  name: string;
  folder: string;
  certificate: string;
  key: string;
  ca: string;
}

export interface Answer {
  /** 0 where there was no answer. */
  status: number;
  reason: string;
  body: string;
  /** curl's own exit status. */
  exit: number | null;
}

/** `aptkeep cert issue`; the files go to a folder of that client beside the data directory. */
export async function issueClient(
  data: string,
  name: string,
  role: string,
  ...flags: string[]
): Promise<Client> {
  const folder = join(`${data}-clients`, name);
  await mkdir(folder, { recursive: true });
  const args = ['cert', 'issue', name, '--role', role, '--out', folder, '--data', data];
  await aptkeep(...args, ...flags);
  return {
    name,
    folder,
    certificate: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
    ca: join(folder, 'ca.crt'),
  };
}

/** The flags with which `aptkeep` and its roles work from anywhere. */
export function remoteFlags(client: Client, url: string): string[] {
  const files = ['--cert', client.certificate, '--key', client.key, '--ca', client.ca];
  return ['--server', url, ...files];
}

/** The flags with which curl shows a client's certificate and knows the server's. */
export function curlFlags(client: Client): string[] {
  const { certificate, key, ca } = client;
  return ['--disable', '--silent', '--cert', certificate, '--key', key, '--cacert', ca];
}

/** One request with the real curl. */
export async function curl(client: Client, url: string, ...flags: string[]): Promise<Answer> {
  const head = join(client.folder, `head-${randomUUID()}`);
  const args = [...curlFlags(client), '--dump-header', head, ...flags, url];
  const outcome = await run('curl', args);
  const lines = (await readFile(head, 'latin1').catch(() => '')).split('\r\n');
  await rm(head, { force: true });
  // Being told to go on with an upload (100) is no answer yet.
  const line = lines.filter((one) => /^HTTP\/[\d.]+ [2-5]\d\d/.test(one)).at(-1) ?? '';
  const [, status = '0', reason = ''] = /^HTTP\/[\d.]+ (\d{3}) ?(.*)$/.exec(line) ?? [];
  return { status: Number(status), reason, body: outcome.stdout, exit: outcome.status };
}

/** PUT of one file, with `curl -T`. */
export function putFile(
  client: Client,
  url: string,
  file: string,
  place = 'stable/',
): Promise<Answer> {
  return curl(client, `${url}/upload/${place}`, '--upload-file', file);
}

/**
 * A host: its certificate, and a private apt root with exactly the files that
 * `aptkeep host show NAME --apt` writes. `issueFlags` go to `aptkeep cert issue`. As root the key belongs to _apt, which fetches.
 */
export async function enrolHost(
  data: string,
  name: string,
  directory: string,
  ...issueFlags: string[]
): Promise<{ client: Client; root: AptRoot }> {
  const client = await issueClient(data, name, 'host', ...issueFlags);
  const root = await createAptRoot(directory);
  const flags = ['--apt', '--root', directory, '--data', data];
  const script = await aptkeep('host', 'show', name, ...flags);
  await succeed('sh', ['-s'], { cwd: client.folder, env: cleanEnvironment(), input: script });
  return { client, root };
}

/** Names of files below a folder, relative to it; nothing where there is no such folder. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** SHA-256 of every file below a folder, as one text; two are equal where nothing has changed. */
export async function fingerprintFolder(folder: string): Promise<string> {
  return succeed(
    'sh',
    [
      '-c',
      'find . -printf "%m %u %P\\n" | sort; find . -type f -print0 | sort -z | xargs -0 -r sha256sum',
    ],
    { cwd: folder },
  );
}
