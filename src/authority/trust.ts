/**
 * The gate's memory: the authorities, the revocation list of each, and every certificate that can
 * still be presented, held so that a request is judged without a query. Whoever keeps a copy, in a
 * connection or in another process, subscribes to what changes. Floor 3.
 */
import type { CertificateRow } from '../catalog/certificates.ts';
import { listAbove } from '../pki/authorities.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { isNewerCrl, type RevocationList } from '../pki/crl.ts';
import type { Identity, Role } from './profiles.ts';

/** A certificate as a request is judged by it; times in milliseconds since the epoch. */
export interface KnownCertificate extends Identity {
  fingerprint: string;
  notBefore: number;
  notAfter: number;
  revoked: boolean;
}

/** A revocation list in force, and its PEM for the TLS context. */
export interface CurrentCrl extends RevocationList {
  pem: string;
}

export type Fault = 'revoked' | 'expired' | 'not yet valid' | 'not recorded';

/** What became different. */
export type TrustChange =
  | { kind: 'certificate'; certificate: KnownCertificate }
  | { kind: 'list'; authority: string; list: CurrentCrl }
  | { kind: 'authorities' }
  | { kind: 'server certificate' };

/** May answer a promise: `settled` waits for it. */
export type Listener = (change: TrustChange) => Promise<void> | void;

/** Who the bearer of a certificate of another's authority is; undefined for nobody. */
export type Recognise = (facts: CertificateFacts) => Identity | undefined;

export class Trust {
  readonly #known = new Map<string, KnownCertificate>();
  /** By the fingerprint of the authority. */
  readonly #lists = new Map<string, CurrentCrl>();
  readonly #listeners = new Set<Listener>();
  readonly #pending = new Set<Promise<void>>();
  #authorities: readonly CertificateFacts[] = [];
  /** Fingerprint of an authority -> itself and those above it, each of which may revoke the one below. */
  #chains = new Map<string, readonly CertificateFacts[]>();
  /** Set where the certificates are not ours: then nobody is known by a record. */
  readonly recognise: Recognise | undefined;
  /** There is a revocation that no list names yet, because its signer failed. */
  listOwed = false;

  /** @param authorities the issuing one first; no two with one fingerprint. */
  constructor(authorities: readonly CertificateFacts[], recognise?: Recognise) {
    this.recognise = recognise;
    this.#take(authorities);
  }

  #take(authorities: readonly CertificateFacts[]): void {
    this.#authorities = authorities;
    this.#chains = new Map(
      authorities.map((one) => [one.fingerprint, [one, ...listAbove(one, authorities)]]),
    );
    const kept = new Set(authorities.map((authority) => authority.fingerprint));
    for (const fingerprint of this.#lists.keys()) {
      if (!kept.has(fingerprint)) this.#lists.delete(fingerprint);
    }
  }

  get authorities(): readonly CertificateFacts[] {
    return this.#authorities;
  }

  /**
   * From now on these authorities count and no other, each with its list: there is no moment in
   * which one counts without.
   */
  replaceAuthorities(entries: readonly { facts: CertificateFacts; list: CurrentCrl }[]): void {
    this.#take(entries.map((entry) => entry.facts));
    for (const { facts, list } of entries) this.#lists.set(facts.fingerprint, list);
    this.#tell({ kind: 'authorities' });
  }

  /** Whether the certificates of this authority count now. */
  counts(authority: string): boolean {
    return this.#chains.has(authority);
  }

  /** The list of the issuing authority. */
  get crl(): CurrentCrl | undefined {
    return this.listOf(this.#authorities[0]?.fingerprint ?? '');
  }

  /** The lists in force, in the order of their authorities. */
  get crls(): CurrentCrl[] {
    return this.#authorities.flatMap((one) => this.#lists.get(one.fingerprint) ?? []);
  }

  listOf(authority: string): CurrentCrl | undefined {
    return this.#lists.get(authority);
  }

  /** Takes a newer list into force and tells the listeners; an older one is never loaded. */
  load(list: CurrentCrl, authority = this.#authorities[0]?.fingerprint ?? ''): boolean {
    const current = this.#lists.get(authority);
    if (current && !isNewerCrl(list, current)) return false;
    this.#lists.set(authority, list);
    if (!this.recognise) {
      for (const serial of list.serials) {
        const known = this.#known.get(serial);
        if (known) known.revoked = true;
      }
    }
    this.#tell({ kind: 'list', authority, list });
    return true;
  }

  /** Remembers a certificate as the catalog has it. */
  remember(row: CertificateRow): void {
    this.restore({
      name: row.name,
      role: row.role as Role,
      serial: row.serial,
      suites: row.suites === null ? null : (JSON.parse(row.suites) as string[]),
      packages: row.packages === null ? null : (JSON.parse(row.packages) as string[]),
      fingerprint: row.fingerprint,
      notBefore: Date.parse(row.not_before),
      notAfter: Date.parse(row.not_after),
      revoked: row.revoked_at !== null,
    });
  }

  /** Remembers a certificate as another memory had it. */
  restore(certificate: KnownCertificate): void {
    this.#known.set(certificate.serial, certificate);
    this.#tell({ kind: 'certificate', certificate });
  }

  /** Refuses a serial from this moment on, before any list that names it is loaded. */
  forget(serial: string): void {
    const known = this.#known.get(serial);
    if (!known || known.revoked) return;
    known.revoked = true;
    this.#tell({ kind: 'certificate', certificate: known });
  }

  find(serial: string): KnownCertificate | undefined {
    return this.#known.get(serial);
  }

  /** Every certificate that is remembered. */
  list(): IterableIterator<KnownCertificate> {
    return this.#known.values();
  }

  /** @param authority the fingerprint of its issuer; without it any list counts. */
  isRevoked(serial: string, authority?: string): boolean {
    // A record is of our own authority: another's certificate may bear the same number.
    if (!this.recognise && this.#known.get(serial)?.revoked === true) return true;
    if (authority === undefined) return this.crls.some((list) => list.serials.has(serial));
    return this.#lists.get(authority)?.serials.has(serial) === true || this.#isCut(authority);
  }

  /** Whether an authority, or one between it and its root, was revoked by the one above. */
  #isCut(authority: string): boolean {
    const chain = this.#chains.get(authority) ?? [];
    for (let below = 0; below + 1 < chain.length; below += 1) {
      const above = this.#lists.get(chain[below + 1]?.fingerprint ?? '');
      if (above?.serials.has(chain[below]?.serial ?? '')) return true;
    }
    return false;
  }

  /** When the first of the lists runs out, in milliseconds since the epoch; 0 where one is missing. */
  get nextUpdate(): number {
    const ends = this.#authorities.map(
      (one) => this.#lists.get(one.fingerprint)?.nextUpdate.getTime() ?? 0,
    );
    return ends.length === 0 ? 0 : Math.min(...ends);
  }

  /** A list past its nextUpdate, one from the future, or none, closes the door to everyone. */
  isFresh(now: number): boolean {
    if (this.#authorities.length === 0) return false;
    for (const { fingerprint } of this.#authorities) {
      const list = this.#lists.get(fingerprint);
      if (!list || now < list.thisUpdate.getTime() || now >= list.nextUpdate.getTime())
        return false;
    }
    return true;
  }

  /** What stands against a certificate of ours now; undefined where nothing does. */
  findFault(certificate: PresentedCertificate, now: number): Fault | undefined {
    const { serial, authority } = certificate;
    if (this.isRevoked(serial, authority)) return 'revoked';
    if (now >= certificate.notAfter) return 'expired';
    if (now < certificate.notBefore) return 'not yet valid';
    const chain = this.#chains.get(authority);
    if (!chain) return 'not recorded';
    for (const one of chain) {
      if (now >= one.notAfter.getTime()) return 'expired';
      if (now < one.notBefore.getTime()) return 'not yet valid';
    }
    return this.identify(certificate) ? undefined : 'not recorded';
  }

  /** Who the bearer is: by the catalog's record, or by what the site's rules make of it. */
  identify(certificate: PresentedCertificate): Identity | undefined {
    if (this.recognise) return certificate.recognised;
    const known = this.#known.get(certificate.serial);
    return known?.fingerprint === certificate.fingerprint ? known : undefined;
  }

  /** Calls `listener` after every change; the answer ends that. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The files of the server's certificate changed; resolves when it is the one that is shown. */
  async announceServerCertificate(): Promise<void> {
    this.#tell({ kind: 'server certificate' });
    await this.settled();
  }

  #tell(change: TrustChange): void {
    for (const listener of this.#listeners) {
      const work = listener(change);
      if (!work) continue;
      const settled: Promise<void> = work
        .catch(() => {})
        .finally(() => this.#pending.delete(settled));
      this.#pending.add(settled);
    }
  }

  /** Resolves when every listener has taken over what was told so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}

/** A certificate as its bearer shows it; times in milliseconds since the epoch. */
export interface PresentedCertificate {
  serial: string;
  fingerprint: string;
  notBefore: number;
  notAfter: number;
  /** The fingerprint of the authority that issued it. */
  authority: string;
  /** Who the site's rules say its bearer is, where the authority is not ours. */
  recognised?: Identity | undefined;
}
