/** One screen: health, clocks, suites, load. Floor 5. */
import { z } from 'zod';
import { listCertificates } from '../catalog/certificates.ts';
import { listSuites } from '../catalog/suites.ts';
import { readCertificate } from '../pki/certificate.ts';
import { readSuiteRow } from '../repository/suites.ts';
import { describeSigningKeys } from './keys.ts';
import { defineOperation, type Parts, REPOSITORY_READERS } from './operation.ts';
import { describeSuite, suiteDescription } from './suites.ts';

const clock = z.object({
  name: z.string(),
  since: z.string().nullable(),
  until: z.string().nullable().describe('null where it never ends'),
  secondsLeft: z.number().nullable(),
  state: z.enum(['ok', 'warning', 'error']),
});

type Clock = z.input<typeof clock>;

const severity = { ok: 0, warning: 1, error: 2 } as const;

/** @param warnAt and `errorAt` are shares of the span still left, between 0 and 1. */
function readClock(
  name: string,
  since: number | null,
  until: number | null,
  now: number,
  thresholds: { warnAt: number; errorAt: number },
): Clock {
  const left = until === null ? Number.POSITIVE_INFINITY : until - now;
  const share = until === null || since === null ? 1 : left / (until - since);
  const state =
    share <= thresholds.errorAt ? 'error' : share <= thresholds.warnAt ? 'warning' : 'ok';
  return {
    name,
    since: since === null ? null : new Date(since).toISOString(),
    until: until === null ? null : new Date(until).toISOString(),
    secondsLeft: until === null ? null : Math.floor(left / 1000),
    state,
  };
}

/** A quarter of its life without a reissue is a warning, half an error. */
const CRL_THRESHOLDS = { warnAt: 0.75, errorAt: 0.5 };
/** Re-signed at a third of the span, so two thirds should always be left. */
const VALIDITY_THRESHOLDS = { warnAt: 0.5, errorAt: 0.25 };
const CERTIFICATE_THRESHOLDS = { warnAt: 0.25, errorAt: 0.1 };

async function readCertificateClock(
  parts: Parts,
  name: string,
  file: 'server.crt' | 'server-ca.crt' | 'client-ca.crt',
): Promise<Clock> {
  const facts = readCertificate(await parts.authority.certs.readText(file));
  const [since, until] = [facts.notBefore.getTime(), facts.notAfter.getTime()];
  return readClock(name, since, until, parts.now(), CERTIFICATE_THRESHOLDS);
}

/** Every clock that must not run out, with how it stands; shown by status and metrics. */
export async function readClocks(parts: Parts): Promise<Clock[]> {
  const now = parts.now();
  const { crl } = parts.authority.trust;
  const until = crl?.nextUpdate.getTime() ?? now;
  // thisUpdate is backdated; the life of a list is counted from its issue.
  const since = until - parts.authority.crlLifetime;
  const clocks = [
    readClock('revocation list', since, until, now, CRL_THRESHOLDS),
    await readCertificateClock(parts, 'server certificate', 'server.crt'),
    await readCertificateClock(parts, 'server CA', 'server-ca.crt'),
    await readCertificateClock(parts, 'client CA', 'client-ca.crt'),
  ];
  for (const key of await describeSigningKeys(parts)) {
    const expires = key.expires === null ? null : Date.parse(key.expires);
    const name = `signing key ${key.fingerprint.slice(-16)}`;
    clocks.push(readClock(name, Date.parse(key.created), expires, now, CERTIFICATE_THRESHOLDS));
  }
  for (const live of parts.repository.live.values()) {
    const name = `Valid-Until of ${live.suite}`;
    clocks.push(readClock(name, live.date, live.validUntil, now, VALIDITY_THRESHOLDS));
  }
  return clocks;
}

export const showStatus = defineOperation({
  summary: 'Health, clocks, suites and load on one screen',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({
    health: z.enum(['ok', 'warning', 'error']),
    door: z.enum(['open', 'closed']).describe('closed while the revocation list is out of date'),
    url: z.string(),
    time: z.string(),
    clocks: z.array(clock),
    suites: z.array(suiteDescription),
    certificates: z.object({ valid: z.number(), expired: z.number(), revoked: z.number() }),
    load: z.object({
      uptimeSeconds: z.number(),
      connections: z.number(),
      requests: z.number(),
      refusals: z.number(),
      uploads: z.number(),
      workers: z.number().describe('processes that serve now'),
      memoryBytes: z.number().describe('resident, of all processes together'),
    }),
  }),
  async run(parts) {
    const now = parts.now();
    const clocks = await readClocks(parts);
    const rows = await listCertificates(parts.authority.catalog);
    const revoked = rows.filter((row) => row.revoked_at !== null).length;
    const expired = rows.filter(
      (row) => row.revoked_at === null && Date.parse(row.not_after) <= now,
    ).length;
    const suites = await listSuites(parts.repository.catalog);
    const { activity } = parts;
    return {
      health: clocks.reduce<'ok' | 'warning' | 'error'>(
        (worst, one) => (severity[one.state] > severity[worst] ? one.state : worst),
        'ok',
      ),
      door: parts.authority.trust.isFresh(now) ? ('open' as const) : ('closed' as const),
      url: parts.url,
      time: new Date(now).toISOString(),
      clocks,
      suites: await Promise.all(suites.map((row) => describeSuite(parts, readSuiteRow(row)))),
      certificates: { valid: rows.length - revoked - expired, expired, revoked },
      load: {
        uptimeSeconds: Math.floor((now - activity.startedAt) / 1000),
        connections: activity.connections,
        requests: activity.requests,
        refusals: activity.refusals,
        uploads: activity.uploads,
        workers: activity.workers,
        memoryBytes: process.memoryUsage.rss() + activity.workerMemoryBytes,
      },
    };
  },
});
