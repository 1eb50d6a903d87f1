/** What the steps of a sweep share. Floor 3. */
import type { Horizon } from '../catalog/sweeping.ts';
import type { ObjectStat } from '../storage/storage.ts';
import type { KeepingRules, Needs, Past } from './horizon.ts';
import type { PublishParts } from './publish.ts';
import type { Publisher } from './publisher.ts';
import type { SweptThings } from './swept.ts';

/** Bytes are there before their facts: what is younger than this may be on its way. */
export const ORPHAN_AGE_MS = 3_600_000;
/** The kernel stamps files by a clock that may stand still for some milliseconds. */
const STAMP_MS = 1000;

export interface SweepParts extends PublishParts {
  publisher: Publisher;
  /**
   * When this process took the repository for itself, by the clock of its disk: what nothing
   * refers to and is older was left by one that is dead. Milliseconds since the epoch.
   */
  openedAt: number;
}

export interface SweepRequest {
  rules: KeepingRules;
  needs: Needs;
  /** Only say what would go. */
  dryRun: boolean;
  /** Also files that are older than the repository itself. */
  foreign: boolean;
  actor: string;
}

/** One sweep under way. */
export interface Sweep {
  parts: SweepParts;
  request: SweepRequest;
  things: SweptThings;
  pasts: readonly Past[];
  /** When the repository was made: an older file is none of its own. Milliseconds. */
  born: number;
}

export const horizonsOf = (sweep: Pick<Sweep, 'pasts'>): Horizon[] =>
  sweep.pasts.map((past) => past.horizon);

/** Whether somebody may be about to refer to an object to which nothing refers yet. */
export function isInFlight(
  { now, openedAt }: Pick<SweepParts, 'now' | 'openedAt'>,
  { modified }: ObjectStat,
): boolean {
  return modified >= Math.max(now() - ORPHAN_AGE_MS, openedAt - STAMP_MS);
}

/** Whether an object that nothing refers to can be taken; one that is not ours is noted. */
export function isAbandoned({ parts, request, things, born }: Sweep, stat: ObjectStat): boolean {
  const { modified, size } = stat;
  if (isInFlight(parts, stat)) return false;
  if (modified >= born || request.foreign) return true;
  things.leave(size);
  return false;
}
