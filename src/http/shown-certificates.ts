/**
 * Certificates as they were read: what stands in one and which of our authorities signed it does not
 * change, and hosts show the same one all day. Nothing else is remembered: dates, revocation and the
 * lists are judged anew for every connection and request. Floor 7.
 */
import { hash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { Trust } from '../authority/trust.ts';
import { findDoubtfulFault, type Presented, readShown } from './identity.ts';

/** Some hundred bytes each. */
const MAX_REMEMBERED = 20_000;

export class ShownCertificates {
  readonly #trust: Trust;
  /** SHA-256 of the certificate -> what was read. Only those of our authorities. */
  readonly #read = new Map<string, Presented>();

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  /** To be called when other authorities count. */
  forget(): void {
    this.#read.clear();
  }

  /** As `readShown`. */
  read(raw: Uint8Array, doubted: boolean): Presented | string {
    const name = hash('sha256', raw, 'base64');
    const known = this.#read.get(name);
    if (known) return known.doubted === doubted ? known : { ...known, doubted };
    const presented = readShown(raw, this.#trust, doubted);
    if (typeof presented === 'string') return presented;
    if (this.#read.size >= MAX_REMEMBERED) {
      const [oldest = ''] = this.#read.keys();
      this.#read.delete(oldest);
    }
    this.#read.set(name, presented);
    return presented;
  }

  /**
   * Read the certificate of a new connection, or say why its bearer is a stranger. OpenSSL reports
   * one error only, so whatever may hide behind an expired date is asked again of the bytes.
   */
  readPresented(socket: TLSSocket): Presented | string {
    const raw = socket.getPeerX509Certificate()?.raw;
    if (!raw) return 'no certificate';
    return findDoubtfulFault(socket) ?? this.read(raw, !socket.authorized);
  }
}
