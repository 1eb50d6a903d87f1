/**
 * A repository on a server, over https. What comes from there counts only where a signature or a
 * hash vouches for it; here is a bound on everything. Source of truth: RFC 9110. Floor 2.
 */
import { type FileHandle, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, get, type RequestOptions } from 'node:https';
import { RefusalError, systemCode } from '../errors.ts';
import type { ForeignPlace } from './place.ts';

const IDLE_LIMIT_MS = 30_000;
const MAX_REDIRECTS = 5;
const CONNECTIONS = 8;
const ATTEMPTS = 3;

/** What the server is known by, and what we show it; PEM. */
export interface WebAccess {
  ca?: Buffer | undefined;
  cert?: Buffer | undefined;
  key?: Buffer | undefined;
}

const refuse = (url: URL, why: string): RefusalError =>
  new RefusalError('SOURCE_UNACCEPTABLE', `${url.href}: ${why}`);

function ask(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get(url, options, resolve);
    request.setTimeout(IDLE_LIMIT_MS, () => request.destroy(new Error('no answer in time')));
    request.once('error', reject);
  });
}

/** The answer, redirects followed; undefined where there is nothing. Only https is followed. */
async function open(first: URL, options: RequestOptions): Promise<IncomingMessage | undefined> {
  let url = first;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await ask(url, options);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) return response;
    response.resume();
    if (statusCode === 404) return undefined;
    if (![301, 302, 303, 307, 308].includes(statusCode)) throw refuse(url, `answers ${statusCode}`);
    const target = URL.parse(headers.location ?? '', url.href);
    if (target?.protocol !== 'https:') throw refuse(url, 'redirects to where it is not followed');
    url = target;
  }
  throw refuse(first, `redirects more than ${MAX_REDIRECTS} times`);
}

/** Hands every chunk on; one byte more than `maxBytes` ends it. */
async function receive(
  url: URL,
  response: IncomingMessage,
  maxBytes: number,
  take: (chunk: Buffer) => Promise<void> | void,
): Promise<void> {
  let received = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > maxBytes) throw refuse(url, `is larger than ${maxBytes} bytes`);
      await take(chunk);
    }
    if (!response.complete) throw new Error('the answer was cut off');
  } finally {
    response.destroy();
  }
}

/** A connection may break; what the server says itself is not asked for again. */
async function attempt<Result>(url: URL, work: () => Promise<Result>): Promise<Result> {
  for (let count = 1; ; count += 1) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RefusalError) throw error;
      if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(systemCode(error))) {
        throw new RefusalError('SPACE_EXHAUSTED', `${url.href} could not be stored: no room left`);
      }
      if (count === ATTEMPTS) throw refuse(url, (error as Error).message);
    }
  }
}

/** Makes an empty file for what is fetched. */
export type CreateFile = () => Promise<{ path: string; handle: FileHandle }>;

/**
 * The repository below a URL.
 * @param createFile for files that are brought; they are removed by `close`.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export function openWeb(base: string, createFile: CreateFile, access: WebAccess): ForeignPlace {
  const root = URL.parse(base.endsWith('/') ? base : `${base}/`);
  if (root?.protocol !== 'https:') {
    throw new RefusalError('SOURCE_UNACCEPTABLE', `${base}: only https is spoken`);
  }
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const options: RequestOptions = {
    agent,
    headers: { 'User-Agent': 'aptkeep' },
    ...(access.ca && { ca: access.ca }),
    ...(access.cert && { cert: access.cert }),
    ...(access.key && { key: access.key }),
  };
  const staged = new Set<string>();
  const locate = (path: string): URL =>
    new URL(path.split('/').map(encodeURIComponent).join('/'), root);
  return {
    name: root.href,
    async read(path, maxBytes) {
      const url = locate(path);
      return attempt(url, async () => {
        const response = await open(url, options);
        if (!response) return undefined;
        const chunks: Buffer[] = [];
        await receive(url, response, maxBytes, (chunk) => {
          chunks.push(chunk);
        });
        return Buffer.concat(chunks);
      });
    },
    async bring(path, size) {
      const url = locate(path);
      return attempt(url, async () => {
        const response = await open(url, options);
        if (!response) throw refuse(url, 'is listed, but not there');
        const { path: file, handle } = await createFile();
        staged.add(file);
        try {
          // Each from where the one before it ended.
          await receive(url, response, size, (chunk) => handle.writeFile(chunk));
          // As an object has it, so that it can be one without being copied.
          await handle.chmod(0o644);
        } finally {
          await handle.close();
        }
        return file;
      });
    },
    async close() {
      agent.destroy();
      for (const file of staged) await rm(file, { force: true });
    },
  };
}
