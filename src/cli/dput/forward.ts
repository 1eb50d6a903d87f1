/**
 * A listener on the loopback address that passes uploads on with the uploader's certificate, for
 * programs that have none: one file after another, held by the server until the .changes comes. Every
 * user of this machine can connect, so the path begins with a secret. Source: RFC 9110. Floor 9.
 */
import type { ClientRequest, IncomingMessage, Server, ServerResponse } from 'node:http';
import { type Agent, request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { createServer } from '../../plain-http.ts';
import { isSameSecret } from '../../secret.ts';

/** Where uploads go, and how they are meant there. */
export interface Destination {
  url: URL;
  /** With the uploader's certificate as it is now, for one connection. */
  openAgent: () => Promise<Agent>;
  component: string | undefined;
  anyDistribution: boolean;
}

export interface ForwardParts {
  token: string;
  suites: readonly string[];
  destination: Destination;
  /** Told of every file and what became of it. */
  report: (line: string) => void;
}

interface Verdict {
  status: number;
  reason: string;
  detail: string;
}

/** dput shows no more of a refusal than its first line. */
const MAX_REASON_CHARACTERS = 300;
const asReason = (sentence: string): string =>
  sentence.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_REASON_CHARACTERS);

const refuse = (status: number, reason: string, detail = reason): Verdict => ({
  status,
  reason,
  detail,
});

/** The suite and the file that are asked for, or why not; a wrong secret is told nothing. */
function readPlace(
  { method, url = '', headers }: IncomingMessage,
  { token, suites }: ForwardParts,
): { suite: string; file: string } | Verdict {
  const [, shown = '', suite = '', file = '', ...rest] = url.split('/');
  if (!isSameSecret(shown, token)) return refuse(404, 'Not found');
  // What a page in a browser sends has one of these; no program for uploads does.
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return refuse(403, 'An upload must not come from a page');
  }
  if (method !== 'PUT') return refuse(405, 'PUT is allowed here');
  if (file === '' || rest.length > 0 || file.includes('?')) return refuse(404, 'Not found');
  if (suites.includes(suite)) return { suite, file };
  return refuse(400, `This proxy uploads to ${suites.join(', ')} alone`);
}

function openOnward(
  { url, component, anyDistribution }: Destination,
  agent: Agent,
  { suite, file }: { suite: string; file: string },
  { headers }: IncomingMessage,
): ClientRequest {
  const place = [suite, component].filter((one) => one !== undefined).map(encodeURIComponent);
  const query = `publish=changes${anyDistribution ? '&distribution=any' : ''}`;
  const length = headers['content-length'];
  return httpsRequest({
    agent,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || 443,
    method: 'PUT',
    path: `/upload/${place.join('/')}/${file}?${query}`,
    headers: {
      'Content-Type': 'application/octet-stream',
      ...(length === undefined ? {} : { 'Content-Length': length }),
    },
  });
}

async function readVerdict(answer: IncomingMessage): Promise<Verdict> {
  const { statusCode: status = 502, statusMessage = '' } = answer;
  const body = await text(answer);
  if (status < 300) return { status, reason: statusMessage, detail: body };
  try {
    const { title, detail } = JSON.parse(body) as { title: string; detail: string };
    // dput-ng takes 403 for something to go on after, and ends as if all were well.
    const shown = status === 403 ? 400 : status;
    return refuse(shown, asReason(`${title}: ${detail}`), `${title}: ${detail}`);
  } catch {
    return refuse(status, statusMessage, body.trim() || statusMessage);
  }
}

/** Sends the body on, and resolves with what the server says, however early it says so. */
function passOn(request: IncomingMessage, onward: ClientRequest): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    onward.once('response', (answer) => {
      request.unpipe(onward);
      readVerdict(answer).then(resolve, reject);
    });
    onward.on('error', (error) => {
      request.unpipe(onward);
      reject(error);
    });
    // Half a file must not look like a whole one.
    request.once('close', () => {
      if (!request.complete) onward.destroy(new Error('the upload was broken off'));
    });
    request.pipe(onward);
  });
}

/** These programs read an answer only when they have sent everything. */
async function readToItsEnd(request: IncomingMessage): Promise<void> {
  if (request.complete) return;
  request.resume();
  await new Promise<void>((resolve) => {
    request.once('end', resolve);
    request.once('close', resolve);
  });
}

async function forward(
  { destination, report }: ForwardParts,
  place: { suite: string; file: string },
  request: IncomingMessage,
): Promise<Verdict> {
  let agent: Agent | undefined;
  let verdict: Verdict;
  try {
    agent = await destination.openAgent();
    verdict = await passOn(request, openOnward(destination, agent, place, request));
  } catch (error) {
    verdict = refuse(502, asReason(`Server unreachable: ${(error as Error).message}`));
  } finally {
    agent?.destroy();
  }
  report(`${place.file}: ${describe(verdict)}`);
  return verdict;
}

async function answer(
  parts: ForwardParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const place = readPlace(request, parts);
  const verdict = 'status' in place ? place : await forward(parts, place, request);
  await readToItsEnd(request);
  const body = `${verdict.detail.trimEnd()}\n`;
  response.writeHead(verdict.status, verdict.reason, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  });
  response.end(body);
}

function describe({ status, detail }: Verdict): string {
  if (status === 202) return 'waits for its .changes';
  return status < 300 ? 'published' : detail;
}

/** The listener, not yet listening. */
export function createForwarder(parts: ForwardParts): Server {
  const server = createServer((request, response) => {
    answer(parts, request, response).catch(() => response.destroy());
  });
  // A large package takes as long as the network does.
  server.requestTimeout = 0;
  return server;
}
