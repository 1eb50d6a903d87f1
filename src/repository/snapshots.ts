/**
 * Past publications, by time: what a suite listed then, signed when it is asked for. Its Date stays;
 * its Valid-Until is counted from now, because apt judges it for a snapshot too, and the keys are
 * those of now, because those are what hosts have. Floor 3.
 */
import { findPublicationAt, type PublicationRow } from '../catalog/publications.ts';
import { readReleaseHashes, renewRelease } from '../deb/release.ts';
import { signRelease } from '../signing/sign.ts';
import type { SigningKey } from '../signing/signing-key.ts';
import type { SignedRelease } from '../signing/verify.ts';
import { isSwept } from './publications.ts';
import type { Repository } from './repository.ts';
import { getSuite } from './suites.ts';

export interface Snapshot extends SignedRelease {
  suite: string;
  /** The publication that was in force. */
  number: number;
  /** What its Release lists: path -> SHA256. */
  hashes: ReadonlyMap<string, string>;
  /** Milliseconds since the epoch: when it was signed. */
  signedAt: number;
}

interface Kept {
  keys: string;
  /** Signed again from then on, long before it runs out. */
  until: number;
  snapshot: Promise<Snapshot>;
}

/** Hosts ask for the same few. */
const MAX_KEPT = 32;
const MAX_LAG_MS = 1_200_000;

const spellKeys = (keys: readonly SigningKey[]): string =>
  keys.map(({ publicKey }) => publicKey.getFingerprint()).join(' ');

/** `20260101T000000Z` as milliseconds since the epoch; undefined for what is no such time. */
export function readSnapshotTime(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = Date.parse(iso);
  // The 31st of February is no day, and no other one.
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? undefined : time;
}

export class Snapshots {
  readonly #parts: Repository;
  readonly #kept = new Map<string, Kept>();

  constructor(parts: Repository) {
    this.#parts = parts;
  }

  /**
   * The publication of a suite that was in force at a time, in milliseconds since the epoch;
   * undefined where there was none, where it was swept, where the suite serves none, and for a time
   * that is not over, because what is served for it must not change.
   * @throws RefusalError SUITE_UNKNOWN, SIGNER_FAILED
   */
  async find(name: string, time: number): Promise<Snapshot | undefined> {
    const suite = await getSuite(this.#parts, name);
    if (!suite.options.snapshots || time > this.#parts.now()) return undefined;
    const row = await findPublicationAt(this.#parts.catalog, name, new Date(time).toISOString());
    if (!row || isSwept(row)) return undefined;
    return this.#sign(row, suite.validFor);
  }

  #sign(row: PublicationRow, validFor: number): Promise<Snapshot> {
    const { now, signingKeys } = this.#parts;
    const key = `${row.suite} ${row.number} ${row.date}`;
    const keys = spellKeys(signingKeys);
    const kept = this.#kept.get(key);
    if (kept && kept.keys === keys && kept.until > now()) return kept.snapshot;
    const snapshot = this.#make(row, validFor);
    this.#keep(key, { keys, until: now() + validFor / 3, snapshot });
    snapshot.catch(() => this.#kept.delete(key));
    return snapshot;
  }

  async #make(row: PublicationRow, validFor: number): Promise<Snapshot> {
    const { now, signingKeys } = this.#parts;
    const signedAt = now();
    const release = renewRelease(row.release, new Date(signedAt + validFor));
    const date = new Date(signedAt - Math.min(MAX_LAG_MS, validFor / 10));
    const signed = await signRelease(release, signingKeys, date, now);
    const hashes = readReleaseHashes(release);
    return { ...signed, suite: row.suite, number: row.number, hashes, signedAt };
  }

  #keep(key: string, kept: Kept): void {
    if (this.#kept.size >= MAX_KEPT) {
      const [oldest = ''] = this.#kept.keys();
      this.#kept.delete(oldest);
    }
    this.#kept.set(key, kept);
  }
}
