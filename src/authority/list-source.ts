/**
 * The bytes of a revocation list, from a file or over HTTP, with a bound on everything: what answers
 * there may be anything. Whether it is a list is judged by others. Source of truth: RFC 9110. Floor 3.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RefusalError, systemCode } from '../errors.ts';
import { get as getHttp } from '../plain-http.ts';

/** A list of a hundred thousand entries has four of them. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;
const FETCH_LIMIT_MS = 30_000;
const MAX_REDIRECTS = 3;

export interface SourceOptions {
  /** Paths that are not absolute begin here. */
  folder: string;
  /** The CA of https servers, PEM; the public ones without it. */
  ca?: string | undefined;
  maxBytes?: number;
  limitMs?: number;
}

const refuse = (why: string): RefusalError => new RefusalError('CRL_UNACCEPTABLE', why);

const isUrl = (source: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(source);

/** A source as it is named in messages: a URL, or the name of a file. */
export function nameSource(source: string): string {
  return isUrl(source) && !source.startsWith('file:') ? source : basename(source);
}

/** @throws RefusalError CRL_UNACCEPTABLE with the end of a sentence about the source. */
export async function readSource(source: string, options: SourceOptions): Promise<Uint8Array> {
  const url = isUrl(source) ? new URL(source) : undefined;
  if (url && url.protocol !== 'file:') {
    return download(url, options, AbortSignal.timeout(options.limitMs ?? FETCH_LIMIT_MS));
  }
  const path = url ? fileURLToPath(url) : resolve(options.folder, source);
  try {
    return await readRegularFile(path, options.maxBytes ?? MAX_LIST_BYTES);
  } catch (error) {
    if (error instanceof RefusalError) throw error;
    const code = systemCode(error);
    throw refuse(code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`);
  }
}

async function readRegularFile(path: string, maxBytes: number): Promise<Uint8Array> {
  // A pipe that nobody writes to would be waited for otherwise.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw refuse('is not a regular file');
    if (found.size > maxBytes) throw refuse(`is larger than ${maxBytes} bytes`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function ask(url: URL, options: SourceOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const shared = { signal, agent: false, headers: { 'User-Agent': 'aptkeep' } } as const;
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:'
        ? getHttps(url, { ...shared, ...(options.ca && { ca: options.ca }) }, resolve)
        : getHttp(url, shared, resolve);
    request.once('error', reject);
  });
}

function explain(error: unknown, signal: AbortSignal): RefusalError {
  if (error instanceof RefusalError) return error;
  if (signal.aborted) return refuse('did not answer in time');
  return refuse(`cannot be fetched (${systemCode(error) || String(error)})`);
}

async function download(
  first: URL,
  options: SourceOptions,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let url = first;
  try {
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await ask(url, options, signal);
      const target = findRedirect(response, url);
      if (target === undefined) return await readBody(response, options.maxBytes ?? MAX_LIST_BYTES);
      response.destroy();
      url = target;
    }
  } catch (error) {
    throw explain(error, signal);
  }
  throw refuse(`redirects more than ${MAX_REDIRECTS} times`);
}

function findRedirect(response: IncomingMessage, from: URL): URL | undefined {
  const { statusCode = 0, headers } = response;
  if (![301, 302, 303, 307, 308].includes(statusCode)) return undefined;
  const target = URL.parse(headers.location ?? '', from.href);
  const isAllowed =
    target?.protocol === 'https:' || (target?.protocol === 'http:' && from.protocol === 'http:');
  if (target && isAllowed) return target;
  response.destroy();
  throw refuse('redirects to where it is not followed');
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    if (response.statusCode !== 200) throw refuse(`answers ${response.statusCode}`);
    for await (const chunk of response) {
      length += (chunk as Buffer).length;
      if (length > maxBytes) throw refuse(`is larger than ${maxBytes} bytes`);
      chunks.push(chunk as Buffer);
    }
  } finally {
    response.destroy();
  }
  return Buffer.concat(chunks);
}
