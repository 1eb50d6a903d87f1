/**
 * Certificate -> identity: what is read once from a connection's certificate, and what is asked
 * again on every request. Floor 7.
 */
import type { TLSSocket } from 'node:tls';
import type { Fault, PresentedCertificate, Trust } from '../authority/trust.ts';
import { type RefusalCode, RefusalError } from '../errors.ts';
import type { Actor } from '../operations/operation.ts';
import { readCertificate } from '../pki/certificate.ts';
import { findIssuer } from '../pki/verify.ts';

/** What OpenSSL may hold against a certificate that is ours all the same. */
const JUDGED_PER_REQUEST = new Set([
  'CERT_REVOKED',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CRL_HAS_EXPIRED',
  'CRL_NOT_YET_VALID',
]);

const FAULT_CODES: Readonly<Record<Fault, RefusalCode>> = {
  revoked: 'CERTIFICATE_REVOKED',
  expired: 'CERTIFICATE_EXPIRED',
  'not yet valid': 'CERTIFICATE_NOT_YET_VALID',
  'not recorded': 'CERTIFICATE_NOT_RECORDED',
};

/** A connection's certificate; `commonName` is for the log and the refusal only. */
export interface Presented extends PresentedCertificate {
  commonName: string;
  /** OpenSSL held something against it; what else it may have found, it did not say. */
  doubted: boolean;
}

/** What OpenSSL holds against a connection's certificate, where that settles it. */
export function findDoubtfulFault(socket: TLSSocket): string | undefined {
  if (socket.authorized) return undefined;
  const fault = String(socket.authorizationError ?? 'not authorized');
  return JUDGED_PER_REQUEST.has(fault) ? undefined : fault;
}

/**
 * Read a certificate whose key its bearer has proven to hold, or say why that is a stranger.
 * @param doubted as in Presented.
 */
export function readShown(raw: Uint8Array, trust: Trust, doubted: boolean): Presented | string {
  const issuer = findIssuer(raw, trust.authorities);
  if (typeof issuer === 'string') return issuer;
  const facts = readCertificate(raw);
  return {
    serial: facts.serial,
    fingerprint: facts.fingerprint,
    notBefore: facts.notBefore.getTime(),
    notAfter: facts.notAfter.getTime(),
    commonName: facts.subject.commonName,
    authority: issuer.fingerprint,
    recognised: trust.recognise?.(facts),
    doubted,
  };
}

/** Why a certificate of ours may not enter now, judged from memory; undefined where it may. */
export function findRefusal(
  presented: Presented,
  trust: Trust,
  now: number,
): RefusalError | undefined {
  if (!trust.isFresh(now)) {
    return new RefusalError(
      'CRL_STALE',
      'the revocation list is out of date; nobody is let in until `aptkeep crl refresh` on the server',
    );
  }
  const fault = trust.findFault(presented, now);
  if (fault === undefined) return findDoubt(presented, trust);
  const whose = `the certificate of ${presented.commonName}, serial ${presented.serial},`;
  const detail =
    trust.recognise && fault === 'not recorded'
      ? `${whose} gets a role from no rule of clientCa.roles, or no name that is allowed`
      : `${whose} is ${fault}`;
  return new RefusalError(FAULT_CODES[fault], detail);
}

/**
 * Judge a request by its connection's certificate.
 * @throws RefusalError CRL_STALE, CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED,
 *   CERTIFICATE_NOT_YET_VALID, CERTIFICATE_NOT_RECORDED
 */
export function admit(presented: Presented, trust: Trust, now: number): void {
  const refusal = findRefusal(presented, trust, now);
  if (refusal) throw refusal;
}

/**
 * What another's authority may sign is bounded by more than we read: names, policies. There OpenSSL
 * has to have agreed without a doubt, so a connection from before a list was renewed is made again.
 */
function findDoubt(presented: Presented, trust: Trust): RefusalError | undefined {
  if (!trust.recognise || !presented.doubted) return undefined;
  return new RefusalError(
    'CRL_STALE',
    'this connection was made while a revocation list was out of date; connect again',
  );
}

/** Who asks, as the catalog's record of the serial says; `admit` has passed before. */
export function describeActor(
  presented: Presented,
  trust: Trust,
  address: string | undefined,
  now: () => number,
): Actor {
  const known = trust.identify(presented);
  if (!known) throw new RefusalError('CERTIFICATE_NOT_RECORDED', 'the certificate is not recorded');
  const { name, role, serial, suites, packages } = known;
  const confirm = (): void => admit(presented, trust, now());
  return { name, role, serial, suites, packages, address: address ?? null, confirm };
}

/** The one place that an enrolment certificate reaches. */
const ENROLMENT_PATH = '/v1/enrolment';

/**
 * Nothing but its one request is answered to an enrolment certificate, by whichever part.
 * @throws RefusalError ROLE_FORBIDDEN
 */
export function checkReach(actor: Actor, url: string | undefined): void {
  if (actor.role !== 'enrolment' || url === ENROLMENT_PATH) return;
  throw new RefusalError(
    'ROLE_FORBIDDEN',
    `the certificate of a kit asks for ${ENROLMENT_PATH} once, and for nothing else`,
  );
}
