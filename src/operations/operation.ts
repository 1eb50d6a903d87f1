/** What an operation is, and what it is given. Floor 5. */
import type { z } from 'zod';
import type { Authority } from '../authority/authority.ts';
import type { Role } from '../authority/profiles.ts';
import type { AuditNote } from '../catalog/audit.ts';
import type { Config } from '../config.ts';
import { RefusalError } from '../errors.ts';
import type { Readers } from '../fleet/reading.ts';
import type { Logger } from '../log.ts';
import type { CheckRuns } from '../repository/check-runs.ts';
import type { Incoming } from '../repository/incoming.ts';
import type { SweepParts } from '../repository/sweep-parts.ts';
import type { Reserve } from '../storage/reserve.ts';

/** Who asks. `serial` is null for the local command line, which the data directory's owner runs. */
export interface Actor {
  name: string;
  role: Role;
  serial: string | null;
  /** The suites an uploader may add to and read; null for all. */
  suites: readonly string[] | null;
  /** Patterns of the package names an uploader may add; null for all. */
  packages: readonly string[] | null;
  /** Where from: an IP address, or null for the local command line. */
  address: string | null;
  /** @throws RefusalError where the actor would not be admitted any more. */
  confirm: () => void;
}

/** What the server has done since it started; counted at the edge, shown by status and metrics. */
export interface Activity {
  startedAt: number;
  connections: number;
  requests: number;
  refusals: number;
  uploads: number;
  bytesReceived: number;
  bytesSent: number;
  /** Processes that serve now. */
  workers: number;
  /** Resident memory of those of them that are not this process. */
  workerMemoryBytes: number;
  /** Files read of the imports under way, by suite. */
  imports: Map<string, { done: number; total: number }>;
}

/** The working parts that operations run on. */
export interface Parts {
  config: Config;
  authority: Authority;
  repository: SweepParts;
  /** Files that came alone and wait for what names them. */
  incoming: Incoming;
  readers: Readers;
  activity: Activity;
  checks: CheckRuns;
  /** What a full disk gives back. */
  reserve: Reserve;
  /** Where hosts reach the server, without a slash at the end. */
  url: string;
  /** The names that the server's certificate needs, as configured and recorded. */
  serverNames: () => Promise<string[]>;
  log: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export interface Operation<
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
> {
  summary: string;
  roles: readonly Role[];
  /** Whether it changes anything: then it is written to the audit log. */
  changes: boolean;
  /** Whether a full disk gives back its reserve for it: what frees room, or closes a door. */
  spendsReserve?: boolean;
  input: Input;
  output: Output;
  /** What it is about, for the audit log. */
  subject?: (input: z.output<Input>) => string;
  /**
   * @param note the audit row that says it is done; what publishes hands it on, so that it is written
   *   with the publication, and whatever does not is written after.
   */
  run: (
    parts: Parts,
    input: z.output<Input>,
    actor: Actor,
    note: AuditNote,
  ) => Promise<z.input<Output>>;
}

/** Gives the reserve back where an error says that there is no room; whether to try once more. */
export async function spendReserve(
  { reserve, log }: Pick<Parts, 'reserve' | 'log'>,
  error: unknown,
): Promise<boolean> {
  if (!(error instanceof RefusalError) || error.code !== 'SPACE_EXHAUSTED') return false;
  if (!(await reserve.spend())) return false;
  log.warn({ event: 'disk full', why: error.message, reserve: 'given back' });
  return true;
}

/** Keeps the types of input and output together. */
export function defineOperation<Input extends z.ZodType, Output extends z.ZodType>(
  operation: Operation<Input, Output>,
): Operation<Input, Output> {
  return operation;
}

export const READERS: readonly Role[] = ['observer', 'admin'];
export const REPOSITORY_READERS: readonly Role[] = ['uploader', 'observer', 'admin'];
export const ADMINS: readonly Role[] = ['admin'];
