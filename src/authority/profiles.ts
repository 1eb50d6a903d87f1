/**
 * What the authority gives to whom: roles, lifetimes, names. Floor 3.
 */
import { RefusalError } from '../errors.ts';

/** The roles that are issued by name. */
export const ROLES = ['host', 'uploader', 'observer', 'admin'] as const;
export type IssuableRole = (typeof ROLES)[number];

/** Those, and the one of a kit: it may ask for the certificate of its host once, and nothing else. */
export const ALL_ROLES = [...ROLES, 'enrolment'] as const;
export type Role = (typeof ALL_ROLES)[number];

const DAY_MS = 86_400_000;

/** How long a certificate of each role lives when nobody says otherwise. */
export const ROLE_DAYS: Readonly<Record<IssuableRole, number>> = {
  host: 90,
  uploader: 30,
  observer: 90,
  admin: 90,
};

export const ENROLMENT_LIFETIME_MS = 3_600_000;
/** A certificate that was renewed is good for this long yet: the answer may have been lost. */
export const SUPERSEDED_AFTER_MS = DAY_MS;
/** A client that renews in a circle is stopped here, one whose answers were lost is not. */
export const MAX_RENEWALS_A_DAY = 8;
export const MAX_CERTIFICATE_DAYS = 825;
export const SERVER_CERTIFICATE_DAYS = 90;
export const AUTHORITY_DAYS = 7300;
/** notBefore lies this far back: a host's clock may run behind the server's. */
export const BACKDATE_MS = 600_000;

/** Who somebody is, as their certificate and the catalog's record of its serial say. */
export interface Identity {
  name: string;
  role: Role;
  serial: string;
  /** The suites an uploader may add to and read; null for all. */
  suites: readonly string[] | null;
  /** Patterns of the package names an uploader may add; null for all. */
  packages: readonly string[] | null;
}

/** Whole days after `from`, in milliseconds since the epoch. */
export function addDays(from: number, days: number): number {
  return from + days * DAY_MS;
}

/**
 * A name as it may stand in a certificate, a URN and a file name.
 * @throws RefusalError INPUT_INVALID
 */
export function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  throw new RefusalError(
    'INPUT_INVALID',
    `name ${JSON.stringify(name.slice(0, 80))}: 1 to 64 letters, digits, dots, hyphens and underscores are allowed, the first a letter or digit`,
  );
}

/** The one SAN of a client certificate. */
export function identityUri(role: Role, name: string): string {
  return `urn:aptkeep:${role}:${name}`;
}
