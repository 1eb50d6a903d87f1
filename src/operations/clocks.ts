/**
 * Every clock that must not run out: revocation lists, certificates, keys, Valid-Until, each with
 * how it stands. Shown by status, watched through its exit status and through metrics. Floor 5.
 */
import { z } from 'zod';
import type { CertsFile } from '../authority/files.ts';
import { findNextToExpire } from '../catalog/certificates.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { describeSigningKeys } from './keys.ts';
import type { Parts } from './operation.ts';

export const clock = z.object({
  name: z.string(),
  since: z.string().nullable(),
  until: z.string().nullable().describe('null where it never ends'),
  secondsLeft: z.number().nullable(),
  state: z.enum(['ok', 'warning', 'error']),
});

export type Clock = z.input<typeof clock>;

export const severity = { ok: 0, warning: 1, error: 2 } as const;

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

const readFactsClock = (name: string, facts: CertificateFacts, now: number): Clock =>
  readClock(name, facts.notBefore.getTime(), facts.notAfter.getTime(), now, CERTIFICATE_THRESHOLDS);

async function readCertificateClock(parts: Parts, name: string, file: CertsFile): Promise<Clock> {
  const facts = readCertificate(await parts.authority.certs.readText(file));
  return readFactsClock(name, facts, parts.now());
}

function readListClocks({ authority: { trust, crlLifetime } }: Parts, now: number): Clock[] {
  const [first, ...others] = trust.authorities;
  const read = (name: string, fingerprint: string): Clock => {
    const list = trust.listOf(fingerprint);
    const until = list?.nextUpdate.getTime() ?? now;
    // thisUpdate is backdated; the life of a list of ours is counted from its issue.
    return readClock(name, until - crlLifetime, until, now, CRL_THRESHOLDS);
  };
  return [
    read('revocation list', first?.fingerprint ?? ''),
    ...others.map((one) => read(`revocation list of ${one.subject.commonName}`, one.fingerprint)),
  ];
}

/** Of everyone's newest certificate the one that ends first: hosts renew long before. */
async function readClientClocks(parts: Parts, now: number): Promise<Clock[]> {
  const row = await findNextToExpire(parts.authority.catalog, new Date(now).toISOString());
  if (!row) return [];
  const [since, until] = [Date.parse(row.not_before), Date.parse(row.not_after)];
  const name = `certificate of ${row.role} ${row.name}`;
  return [readClock(name, since, until, now, CERTIFICATE_THRESHOLDS)];
}

/**
 * Every clock, with how it stands.
 * @param mayRead whether the reader may know of a suite.
 */
export async function readClocks(
  parts: Parts,
  mayRead: (suite: string) => boolean = () => true,
): Promise<Clock[]> {
  const now = parts.now();
  const clocks = [
    ...readListClocks(parts, now),
    await readCertificateClock(parts, 'server certificate', 'server.crt'),
    await readCertificateClock(parts, 'server CA', 'server-ca.crt'),
    await readCertificateClock(parts, 'client CA', 'client-ca.crt'),
    ...(await readClientClocks(parts, now)),
  ];
  for (const key of await describeSigningKeys(parts)) {
    const expires = key.expires === null ? null : Date.parse(key.expires);
    const name = `signing key ${key.fingerprint.slice(-16)}`;
    clocks.push(readClock(name, Date.parse(key.created), expires, now, CERTIFICATE_THRESHOLDS));
  }
  for (const live of parts.repository.live.values()) {
    if (!mayRead(live.suite)) continue;
    const name = `Valid-Until of ${live.suite}`;
    clocks.push(readClock(name, live.date, live.validUntil, now, VALIDITY_THRESHOLDS));
  }
  return clocks;
}
