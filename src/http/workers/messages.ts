/**
 * What the main process and a worker say to each other, as plain data over the channel that Node
 * makes between a process and its child. Orders count from 1 in each worker. Floor 7.
 */
import type { TrustMessage, TrustSnapshot } from '../../authority/trust-copy.ts';
import type { AuditEntry } from '../../catalog/audit-chain.ts';
import type { Config } from '../../config.ts';
import type { RefusalCode } from '../../errors.ts';
import type { ReadingRules } from '../../fleet/reading.ts';
import type { Address } from '../../notation.ts';
import type { Activity } from '../../operations/operation.ts';
import type { LiveChange, LivePublication } from '../../repository/live.ts';
import type { HashName, PublishedFile } from '../../repository/published-files.ts';
import type { ServerPair } from '../judge.ts';

/** The settings that a worker is told; no other, so that no secret is among them. */
export type WorkerValues = Pick<
  Config['values'],
  'tls.strictHandshake' | 'upload.idleTimeout' | 'log.level' | 'clientCa.roles'
>;

/** All that a worker serves by, as it stands in the moment it is sent. */
export interface Beginning {
  kind: 'begin';
  data: string;
  /** Where it listens, for people to read. */
  address: Address;
  values: WorkerValues;
  trust: TrustSnapshot;
  /** Whether the authorities are a site's own, so that `clientCa.roles` says who somebody is. */
  isForeign: boolean;
  /** Who may read what. */
  rules: ReadingRules;
  publications: readonly LivePublication[];
  pair: ServerPair;
  /** What shows the main process that a request was handed over by a worker of its own. */
  token: string;
}

/** What every worker has to have taken over before the change counts as made. */
export type Change =
  | { kind: 'trust'; message: TrustMessage }
  | { kind: 'publication'; change: LiveChange }
  | { kind: 'rules'; rules: ReadingRules }
  | { kind: 'pair'; pair: ServerPair };

export type ToWorker =
  | Beginning
  | { kind: 'change'; order: number; change: Change }
  /** The suites that list a key of the pool or ever did. */
  | { kind: 'suites'; question: number; suites: readonly string[] }
  /** The file of that hash, null where none is kept. */
  | { kind: 'file'; question: number; file: PublishedFile | null }
  /** From here on its answers are waited for. */
  | { kind: 'listen' }
  | { kind: 'drain' };

/** What a worker counts; the rest is counted where requests are handed over to. */
export type Counters = Pick<Activity, 'connections' | 'requests' | 'refusals' | 'bytesSent'>;

export type FromWorker =
  | { kind: 'started' }
  | { kind: 'prepared' }
  | { kind: 'listening' }
  | { kind: 'acknowledged'; order: number }
  /** What was counted since the last time, and the resident memory now. */
  | { kind: 'load'; counted: Counters; memoryBytes: number }
  /** Which suites list this key of the pool? */
  | { kind: 'question'; question: number; key: string }
  /** Which file of a publication that is not in force has this hash? */
  | { kind: 'file question'; question: number; name: HashName }
  /** What its gate refused, for the audit log. */
  | { kind: 'audit'; entries: readonly AuditEntry[] }
  /** It could not begin. */
  | { kind: 'failed'; code: RefusalCode | null; why: string };
