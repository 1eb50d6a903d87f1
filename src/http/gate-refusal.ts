/**
 * What the gate refused, as plain facts for the audit log. What a stranger's certificate says of
 * itself is only a claim; it is told apart from what is known. Floor 7.
 */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Trust } from '../authority/trust.ts';
import type { RefusalCode, RefusalError } from '../errors.ts';
import type { Presented } from './identity.ts';

/** Strangers are told no code of errors.ts: not a byte of HTTP goes out to them. */
export type StrangerCode = 'CERTIFICATE_MISSING' | 'CERTIFICATE_FOREIGN';

export interface GateRefusal {
  operation: 'gate.handshake' | 'gate.request';
  actor: string;
  role: string;
  /** Of a certificate that our CA has signed; null for strangers. */
  serial: string | null;
  address: string;
  subject: string;
  code: RefusalCode | StrangerCode;
  detail: string;
}

const UNKNOWN = 'unknown';

/** The names that a certificate claims, and its SHA-256, by which it can be found again. */
function describeClaim(certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return '';
  try {
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    const names = certificate.subject?.replaceAll('\n', ', ').slice(0, 200) ?? '';
    return `claims to be ${JSON.stringify(names)}, SHA-256 ${fingerprint}`;
  } catch {
    return 'a certificate that cannot be read';
  }
}

/** A peer that showed no certificate, or none of ours; `why` is `readPresented`'s. */
export function describeStranger(socket: TLSSocket, why: string): GateRefusal {
  return describeUnknown(socket.getPeerX509Certificate(), socket.remoteAddress, why);
}

/** The same of a certificate that another program was shown. */
export function describeUnknown(
  certificate: X509Certificate | undefined,
  address: string | undefined,
  why: string,
): GateRefusal {
  return {
    operation: 'gate.handshake',
    actor: UNKNOWN,
    role: UNKNOWN,
    serial: null,
    address: address ?? UNKNOWN,
    subject: describeClaim(certificate),
    code: certificate ? 'CERTIFICATE_FOREIGN' : 'CERTIFICATE_MISSING',
    detail: why,
  };
}

/**
 * The bearer of a certificate that our CA has signed; `url` is that of the request, or undefined
 * in the handshake. Name and role are the catalog's where it knows exactly this certificate.
 */
export function describeBearer(
  presented: Presented,
  trust: Trust,
  request: { address: string | undefined; url?: string | undefined },
  { code, message }: RefusalError,
): GateRefusal {
  const recorded = trust.find(presented.serial);
  const known = recorded?.fingerprint === presented.fingerprint ? recorded : undefined;
  const path = request.url?.split('?', 1)[0] ?? '';
  return {
    operation: request.url === undefined ? 'gate.handshake' : 'gate.request',
    actor: known?.name ?? presented.commonName,
    role: known?.role ?? UNKNOWN,
    serial: presented.serial,
    address: request.address ?? UNKNOWN,
    subject: path.slice(0, 200),
    code,
    detail: message,
  };
}
