/**
 * Operations over HTTP: through mutual TLS to a server anywhere, or through the private socket of
 * the server that runs on this data directory. Floor 9.
 */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { REFUSALS, type RefusalCode, RefusalError, systemCode } from '../errors.ts';
import { pathKeys, ROUTES } from '../http/routes.ts';
import { withSocketPath } from '../http/socket.ts';
import type { AddedPackage } from '../operations/packages.ts';
import { Agent as HttpAgent, request as httpRequest } from '../plain-http.ts';
import { repairPair } from './pair.ts';
import type { Performer, UploadPlace } from './performer.ts';
import { openForm, openRaw } from './upload-file.ts';
import { isPaper } from './upload-group.ts';

/** Sends one request; `body` is JSON text or a stream of known length. */
type Send = (
  method: string,
  path: string,
  body?: { content: string | Readable; type: string; size: number },
) => Promise<IncomingMessage>;

export interface RemoteOptions {
  server: string;
  cert: string;
  key: string;
  ca: string;
}

async function readPem(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new RefusalError(
      'FILE_UNREADABLE',
      `--${option} ${path}: ${systemCode(error) || 'cannot be read'}`,
    );
  }
}

function start(
  open: (options: RequestOptions) => ReturnType<typeof httpRequest>,
  options: RequestOptions,
  body: { content: string | Readable; type: string; size: number } | undefined,
  where: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'Content-Type': body.type, 'Content-Length': body.size } : {};
    const request = open({ ...options, headers });
    let answered = false;
    request.once('response', (response) => {
      answered = true;
      resolve(response);
    });
    request.on('error', (error) => {
      // A refusal may come while the body is still on its way: then it is what counts.
      if (answered) return;
      reject(new RefusalError('SERVER_UNREACHABLE', `${where}: ${explainConnection(error)}`));
    });
    if (body === undefined || typeof body.content === 'string') request.end(body?.content);
    else pipeline(body.content, request).catch(() => {});
  });
}

function explainConnection(error: Error): string {
  const code = systemCode(error);
  if (code === 'ECONNRESET') return 'the server hung up: is the certificate one of its CA?';
  return code && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
}

/** @throws RefusalError USAGE_INVALID */
export function readServerUrl(server: string): URL {
  const url = URL.parse(server);
  if (!url) {
    throw new RefusalError('USAGE_INVALID', `--server ${server}: not a URL like https://HOST:8443`);
  }
  if (url.protocol !== 'https:') {
    throw new RefusalError('USAGE_INVALID', `--server ${server}: only https is spoken`);
  }
  return url;
}

/** What TLS needs of the files that the options name. @throws RefusalError FILE_UNREADABLE */
export async function readCredentials(
  options: Partial<RemoteOptions>,
): Promise<{ cert: Buffer; key: Buffer; ca: Buffer }> {
  const { cert = '', key = '', ca = '' } = options;
  await repairPair({ cert, key });
  return {
    cert: await readPem('cert', cert),
    key: await readPem('key', key),
    ca: await readPem('ca', ca),
  };
}

/** Connects to a server over mutual TLS with the role of that certificate. */
export async function connectServer(options: RemoteOptions): Promise<Performer> {
  const url = readServerUrl(options.server);
  const agent = new HttpsAgent({ keepAlive: true, ...(await readCredentials(options)) });
  const target = { hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 443, agent };
  const send: Send = (method, path, body) =>
    start(httpsRequest, { ...target, method, path }, body, url.origin);
  return createPerformer(send, () => agent.destroy());
}

/** The server on this data directory, or undefined where none runs. */
export async function connectSocket(data: string): Promise<Performer | undefined> {
  const agent = new HttpAgent({ keepAlive: false });
  const send: Send = (method, path, body) =>
    withSocketPath(data, (socketPath) =>
      start(httpRequest, { socketPath, agent, method, path }, body, 'aptkeep.sock'),
    );
  const runs = await withSocketPath(data, (socketPath) => probe(socketPath)).catch(() => false);
  return runs ? createPerformer(send, () => agent.destroy()) : undefined;
}

function probe(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, path: '/ca.crt' });
    request.once('response', (response) => {
      response.resume();
      resolve(true);
    });
    request.once('error', (error) => {
      const code = systemCode(error);
      if (code === 'EACCES') {
        reject(
          new RefusalError(
            'DIRECTORY_IN_USE',
            'a server runs here as another user; run this as its user',
          ),
        );
      } else resolve(false);
    });
    request.end();
  });
}

async function readAnswer(response: IncomingMessage): Promise<unknown> {
  const body = await text(response);
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = undefined;
  }
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300 && parsed !== undefined) return parsed;
  const problem = (parsed ?? {}) as { code?: string; detail?: string };
  if (problem.code !== undefined && problem.code in REFUSALS) {
    throw new RefusalError(problem.code as RefusalCode, problem.detail ?? '');
  }
  const detail = problem.detail ?? `status ${status} ${response.statusMessage ?? ''}`;
  throw new RefusalError('SERVER_UNREACHABLE', `the server answered: ${detail}`);
}

function createPerformer(send: Send, close: () => void): Performer {
  return {
    isServer: true,
    async perform(name, input) {
      const { method, path } = ROUTES[name];
      const values = input as Record<string, unknown>;
      const inPath = pathKeys(path);
      const filled = path.replace(/\{(\w+)\}/g, (_, key: string) =>
        encodeURIComponent(String(values[key])),
      );
      const rest = Object.entries(values).filter(
        ([key, value]) => !inPath.includes(key) && value !== undefined,
      );
      if (method === 'POST') {
        const content = JSON.stringify(Object.fromEntries(rest));
        const size = Buffer.byteLength(content);
        const body = { content, type: 'application/json', size };
        return (await readAnswer(await send(method, filled, body))) as never;
      }
      const query = new URLSearchParams(
        rest.map(([key, value]) => [key, String(value)]),
      ).toString();
      return (await readAnswer(await send(method, query ? `${filled}?${query}` : filled))) as never;
    },
    async upload(files, place, progress) {
      const [only = ''] = files;
      const isForm = files.length > 1 || isPaper(only);
      const body = isForm ? await openForm(files, progress) : await openRaw(only, progress);
      const path = uploadPath(isForm ? undefined : only, place);
      const response = await send(isForm ? 'POST' : 'PUT', path, body);
      const added = (await readAnswer(response)) as AddedPackage | { packages: AddedPackage[] };
      const packages = 'packages' in added ? added.packages : [added];
      return { packages, created: response.statusCode === 201 };
    },
    async close() {
      close();
    },
  };
}

function uploadPath(
  file: string | undefined,
  { suite, component, anyDistribution }: UploadPlace,
): string {
  const segments = [suite, component, file === undefined ? undefined : basename(file)];
  const path = segments.filter((segment) => segment !== undefined).map(encodeURIComponent);
  return `/upload/${path.join('/')}${anyDistribution ? '?distribution=any' : ''}`;
}
