/**
 * Health for load balancers and metrics for Prometheus, in the clear, on their own listener and
 * nothing else there. Source: the Prometheus text exposition format. Floor 7.
 */
import { createServer, type Server } from 'node:http';
import type { Parts } from '../operations/operation.ts';
import { readClocks } from '../operations/status.ts';

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
      one(authority.trust.crl?.number ?? 0),
    ),
    metric(
      'crl_entries',
      'gauge',
      'Certificates it names.',
      one(authority.trust.crl?.serials.size ?? 0),
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
    metric('resident_memory_bytes', 'gauge', 'Resident memory.', one(process.memoryUsage.rss())),
    metric(
      'start_time_seconds',
      'gauge',
      'When the server started.',
      one(activity.startedAt / 1000),
    ),
  ].join('\n')}\n`;
}

/** Not ready while draining or while the door is closed: a balancer sends hosts elsewhere. */
export function createHealthServer(parts: Parts, isDraining: () => boolean): Server {
  const server = createServer((request, response) => {
    const send = (status: number, body: string): void => {
      response.writeHead(status, {
        'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
        'Content-Length': Buffer.byteLength(body),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(405, 'GET and HEAD only\n');
    const path = (request.url ?? '').split('?', 1)[0];
    if (path === '/healthz') return send(200, 'ok\n');
    if (path === '/readyz') {
      if (isDraining()) return send(503, 'draining\n');
      const fresh = parts.authority.trust.isFresh(parts.now());
      return send(fresh ? 200 : 503, fresh ? 'ready\n' : 'revocation list out of date\n');
    }
    if (path !== '/metrics') return send(404, 'only /healthz, /readyz and /metrics are here\n');
    renderMetrics(parts).then(
      (text) => send(200, text),
      (error: unknown) => {
        parts.log.error({ event: 'metrics failed', error: String(error) });
        send(500, 'internal error\n');
      },
    );
  });
  server.headersTimeout = 5000;
  server.requestTimeout = 10_000;
  return server;
}
