/**
 * Every clock that must not run out: revocation lists, certificates, keys, Valid-Until, each with
 * how it stands. Shown by status, watched through its exit status and through metrics. Floor 5.
 */
import { z } from 'zod';
import { nameAuthority } from '../authority/foreign-lists.ts';
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
/** A source is read every `clientCa.refresh`; after so many in vain its clock has run out. */
const READINGS_MISSED = 4;
const READING_THRESHOLDS = { warnAt: 0.5, errorAt: 0.25 };
const CERTIFICATE_THRESHOLDS = { warnAt: 0.25, errorAt: 0.1 };

const readFactsClock = (name: string, facts: CertificateFacts, now: number): Clock =>
  readClock(name, facts.notBefore.getTime(), facts.notAfter.getTime(), now, CERTIFICATE_THRESHOLDS);

/** The lists of our own authority, and of the one beside it while it is rotated. */
function readListClocks({ authority: { trust, crlLifetime } }: Parts, now: number): Clock[] {
  const [first, ...others] = trust.authorities;
  const read = (name: string, fingerprint: string): Clock => {
    const until = trust.listOf(fingerprint)?.nextUpdate.getTime() ?? now;
    // thisUpdate is backdated; the life of a list of ours is counted from its issue.
    return readClock(name, until - crlLifetime, until, now, CRL_THRESHOLDS);
  };
  return [
    read('revocation list', first?.fingerprint ?? ''),
    ...others.map((one) => read(`revocation list of ${one.subject.commonName}`, one.fingerprint)),
  ];
}

/** The list of each authority of a site's own, and the sources that they come from. */
function readForeignClocks(parts: Parts, now: number): Clock[] {
  const { trust, foreign } = parts.authority;
  const clocks = trust.authorities.map((authority) => {
    const list = trust.listOf(authority.fingerprint);
    const [since, end] = [list?.thisUpdate.getTime() ?? null, list?.nextUpdate.getTime() ?? now];
    const name = `revocation list of ${nameAuthority(authority)}`;
    return readClock(name, since, end, now, CERTIFICATE_THRESHOLDS);
  });
  const patience = parts.config.values['clientCa.refresh'] * READINGS_MISSED;
  for (const source of foreign?.sources ?? []) {
    const since = source.readAt ?? now - patience;
    const name = `reading of ${source.name}`;
    const read = readClock(name, since, since + patience, now, READING_THRESHOLDS);
    clocks.push(source.fault === undefined ? read : { ...read, state: 'error' });
  }
  return clocks;
}

/** The server's certificate and what hosts pin, ours or the site's. */
async function readServerClocks(parts: Parts, now: number): Promise<Clock[]> {
  const { certs, server } = parts.authority;
  const shown = server?.current.leaf ?? readCertificate(await certs.readText('server.crt'));
  const ca = server?.current.anchor ?? readCertificate(await certs.readText('server-ca.crt'));
  const read = readFactsClock('server certificate', shown, now);
  return [
    server?.fault === undefined ? read : { ...read, state: 'error' },
    readFactsClock('server CA', ca, now),
  ];
}

function readAuthorityClocks({ authority: { trust, foreign } }: Parts, now: number): Clock[] {
  const shown = foreign ? trust.authorities : trust.authorities.slice(0, 1);
  return shown.map((one) =>
    readFactsClock(foreign ? `client CA ${nameAuthority(one)}` : 'client CA', one, now),
  );
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
    ...(parts.authority.foreign ? readForeignClocks(parts, now) : readListClocks(parts, now)),
    ...(await readServerClocks(parts, now)),
    ...readAuthorityClocks(parts, now),
    ...(parts.authority.foreign ? [] : await readClientClocks(parts, now)),
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
