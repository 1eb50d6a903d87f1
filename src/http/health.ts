/**
 * Health for load balancers and metrics for Prometheus, in the clear, on their own listener and
 * nothing else there. Source: the Prometheus text exposition format. Floor 7.
 */
import type { IncomingMessage, Server } from 'node:http';
import { nameAuthority } from '../authority/foreign-lists.ts';
import type { CurrentCrl } from '../authority/trust.ts';
import { readClocks } from '../operations/clocks.ts';
import type { Parts } from '../operations/operation.ts';
import { createServer } from '../plain-http.ts';

const quote = (label: string): string =>
  label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function metric(
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  samples: [string, number][],
): string {
  const lines = samples.map(([labels, value]) => `aptkeep_${name}${labels} ${value}`);
  return [`# HELP aptkeep_${name} ${help}`, `# TYPE aptkeep_${name} ${type}`, ...lines].join('\n');
}

/** One sample, or one for each of a site's own authorities. */
function sampleLists(parts: Parts, read: (list: CurrentCrl) => number): [string, number][] {
  const { trust, foreign } = parts.authority;
  const [first] = trust.crls;
  if (!foreign) return [['', first ? read(first) : 0]];
  return trust.authorities.flatMap((authority): [string, number][] => {
    const list = trust.listOf(authority.fingerprint);
    return list ? [[`{authority="${quote(nameAuthority(authority))}"}`, read(list)]] : [];
  });
}

/** Every number an operator may want an alarm on. */
export async function renderMetrics(parts: Parts): Promise<string> {
  const { activity, authority, repository } = parts;
  const now = parts.now();
  const clocks = await readClocks(parts);
  const one = (value: number): [string, number][] => [['', value]];
  return `${[
    metric(
      'door_open',
      'gauge',
      'Whether the revocation list is fresh.',
      one(authority.trust.isFresh(now) ? 1 : 0),
    ),
    metric(
      'clock_seconds_left',
      'gauge',
      'Seconds until this clock runs out.',
      clocks
        .filter((clock) => clock.secondsLeft !== null)
        .map((clock) => [`{clock="${quote(clock.name)}"}`, clock.secondsLeft ?? 0]),
    ),
    metric(
      'crl_number',
      'counter',
      'Number of the revocation list in force.',
      sampleLists(parts, (list) => list.number),
    ),
    metric(
      'crl_entries',
      'gauge',
      'Certificates it names.',
      sampleLists(parts, (list) => list.serials.size),
    ),
    metric(
      'publication_number',
      'counter',
      'Number of the current publication of a suite.',
      [...repository.live.values()].map((live) => [`{suite="${quote(live.suite)}"}`, live.number]),
    ),
    metric(
      'connections_total',
      'counter',
      'Connections that passed the gate.',
      one(activity.connections),
    ),
    metric('requests_total', 'counter', 'Requests read.', one(activity.requests)),
    metric('refusals_total', 'counter', 'Handshakes and requests refused.', one(activity.refusals)),
    metric('uploads_total', 'counter', 'Files received.', one(activity.uploads)),
    metric(
      'received_bytes_total',
      'counter',
      'Bytes of files received.',
      one(activity.bytesReceived),
    ),
    metric('sent_bytes_total', 'counter', 'Bytes of files sent.', one(activity.bytesSent)),
    metric('workers', 'gauge', 'Processes that serve.', one(activity.workers)),
    metric(
      'resident_memory_bytes',
      'gauge',
      'Resident memory of all processes together.',
      one(process.memoryUsage.rss() + activity.workerMemoryBytes),
    ),
    metric(
      'start_time_seconds',
      'gauge',
      'When the server started.',
      one(activity.startedAt / 1000),
    ),
  ].join('\n')}\n`;
}

/** What stands under one of the three paths; undefined for any other. */
export interface HealthAnswer {
  status: number;
  body: string;
}

export const HEALTH_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Not ready while draining or while the door is closed: a balancer sends hosts elsewhere. */
export async function answerHealth(
  parts: Parts,
  path: string,
  isDraining: boolean,
): Promise<HealthAnswer | undefined> {
  if (path === '/healthz') return { status: 200, body: 'ok\n' };
  if (path === '/metrics') return { status: 200, body: await renderMetrics(parts) };
  if (path !== '/readyz') return undefined;
  if (isDraining) return { status: 503, body: 'draining\n' };
  return parts.authority.trust.isFresh(parts.now())
    ? { status: 200, body: 'ready\n' }
    : { status: 503, body: 'revocation list out of date\n' };
}

async function answerInTheClear(
  parts: Parts,
  request: IncomingMessage,
  isDraining: boolean,
): Promise<HealthAnswer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'GET and HEAD only\n' };
  }
  const [path = ''] = (request.url ?? '').split('?', 1);
  const body = 'only /healthz, /readyz and /metrics are here\n';
  return (await answerHealth(parts, path, isDraining)) ?? { status: 404, body };
}

export function createHealthServer(parts: Parts, isDraining: () => boolean): Server {
  const server = createServer((request, response) => {
    const send = ({ status, body }: HealthAnswer): void => {
      response.writeHead(status, {
        'Content-Type': HEALTH_TYPE,
        'Content-Length': Buffer.byteLength(body),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    answerInTheClear(parts, request, isDraining()).then(send, (error: unknown) => {
      parts.log.error({ event: 'metrics failed', error: String(error) });
      send({ status: 500, body: 'internal error\n' });
    });
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  return server;
}
