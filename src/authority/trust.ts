/**
 * The gate's memory: the authorities, the revocation list in force and every certificate that can
 * still be presented, held so that a request is judged without a query. Floor 3.
 */
import type { CertificateRow } from '../catalog/certificates.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import type { RevocationList } from '../pki/crl.ts';
import type { Identity, Role } from './profiles.ts';

/** A certificate as a request is judged by it; times in milliseconds since the epoch. */
export interface KnownCertificate extends Identity {
  fingerprint: string;
  notBefore: number;
  notAfter: number;
  revoked: boolean;
}

/** The revocation list in force, and its PEM for the TLS context. */
export interface CurrentCrl extends RevocationList {
  pem: string;
}

export type Fault = 'revoked' | 'expired' | 'not yet valid' | 'not recorded';

/** A promise where it takes a while until the change is in force. */
export type Listener = () => Promise<void> | void;

export class Trust {
  readonly #known = new Map<string, KnownCertificate>();
  readonly #listeners = new Set<Listener>();
  #crl: CurrentCrl | undefined;
  readonly authorities: readonly CertificateFacts[];

  constructor(authorities: readonly CertificateFacts[]) {
    this.authorities = authorities;
  }

  get crl(): CurrentCrl | undefined {
    return this.#crl;
  }

  /** Takes a newer list into force and tells the listeners; an older one is never loaded. */
  load(crl: CurrentCrl): boolean {
    if (this.#crl && crl.number <= this.#crl.number) return false;
    this.#crl = crl;
    for (const serial of crl.serials) {
      const known = this.#known.get(serial);
      if (known) known.revoked = true;
    }
    void this.announce();
    return true;
  }

  /** Tells the listeners that something changed; resolves when it is in force. */
  async announce(): Promise<void> {
    await Promise.all([...this.#listeners].map((listener) => listener()));
  }

  /** Remembers a certificate as the catalog has it. */
  remember(row: CertificateRow): void {
    this.#known.set(row.serial, {
      name: row.name,
      role: row.role as Role,
      serial: row.serial,
      suites: row.suites === null ? null : (JSON.parse(row.suites) as string[]),
      fingerprint: row.fingerprint,
      notBefore: Date.parse(row.not_before),
      notAfter: Date.parse(row.not_after),
      revoked: row.revoked_at !== null,
    });
  }

  /** Refuses a serial from this moment on, before any list that names it is loaded. */
  forget(serial: string): void {
    const known = this.#known.get(serial);
    if (known) known.revoked = true;
  }

  find(serial: string): KnownCertificate | undefined {
    return this.#known.get(serial);
  }

  isRevoked(serial: string): boolean {
    return this.#known.get(serial)?.revoked === true || this.#crl?.serials.has(serial) === true;
  }

  /** A list past its nextUpdate, one from the future, or none, closes the door to everyone. */
  isFresh(now: number): boolean {
    const crl = this.#crl;
    return crl !== undefined && now >= crl.thisUpdate.getTime() && now < crl.nextUpdate.getTime();
  }

  /** What stands against a certificate of ours now; undefined where nothing does. */
  findFault(certificate: PresentedCertificate, now: number): Fault | undefined {
    if (this.isRevoked(certificate.serial)) return 'revoked';
    if (now >= certificate.notAfter) return 'expired';
    if (now < certificate.notBefore) return 'not yet valid';
    const known = this.#known.get(certificate.serial);
    return known?.fingerprint === certificate.fingerprint ? undefined : 'not recorded';
  }

  /** Calls `listener` after every change; the answer ends that. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A certificate as its bearer shows it; times in milliseconds since the epoch. */
export interface PresentedCertificate {
  serial: string;
  fingerprint: string;
  notBefore: number;
  notAfter: number;
}
