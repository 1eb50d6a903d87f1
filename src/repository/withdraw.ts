/**
 * Packages that leave a suite, and the phase of those that stay: what is listed changes, and no byte
 * in the pool. Floor 3.
 */
import type { AuditNote } from '../catalog/audit.ts';
import type { StandingPackage } from '../catalog/standing.ts';
import { checkPhaseFits, PHASE_FIELD } from '../deb/phase.ts';
import { RefusalError } from '../errors.ts';
import type { Change } from './change.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import {
  nameSome,
  pickWanted,
  spellStanding,
  toAdditions,
  toRemoval,
  type Wanted,
} from './standing.ts';

export interface RemoveRequest {
  suite: string;
  packages: readonly Wanted[];
  /** Undefined for every component. */
  component: string | undefined;
  actor: string;
  /** For the audit log, written with the publication where there is one. */
  notes?: readonly AuditNote[];
}

/**
 * Take packages out of a suite, in one publication. Their bytes stay in the pool, for what was
 * published before.
 * @throws RefusalError SUITE_UNKNOWN, PACKAGE_UNKNOWN
 */
export async function removePackages(
  parts: Repository & { publisher: Publisher },
  request: RemoveRequest,
): Promise<{ removed: StandingPackage[]; publication: number }> {
  let removed: StandingPackage[] = [];
  const { number } = await parts.publisher.submit(request.suite, async (suite): Promise<Change> => {
    removed = await pickWanted(parts.catalog, suite, request.packages, request.component);
    return {
      additions: [],
      removals: removed.map(toRemoval),
      reason: `remove ${nameSome(removed.map(spellStanding))}`,
      actor: request.actor,
      notes: request.notes ?? [],
    };
  });
  return { removed, publication: number };
}

export interface PhaseRequest extends RemoveRequest {
  /** The share of hosts that take it, in per cent; 100 ends the phase. */
  percentage: number;
}

/**
 * Say how many of the hosts take a version when they upgrade. Where it is so already there is no
 * publication.
 * @throws RefusalError SUITE_UNKNOWN, PACKAGE_UNKNOWN, INPUT_INVALID, PACKAGE_UNACCEPTABLE
 */
export async function phasePackages(
  parts: Repository & { publisher: Publisher },
  request: PhaseRequest,
): Promise<{ phased: StandingPackage[]; publication: number }> {
  const phase = request.percentage === 100 ? null : request.percentage;
  let phased: StandingPackage[] = [];
  const { number } = await parts.publisher.submit(
    request.suite,
    async (suite): Promise<Change | undefined> => {
      const { packages, component } = request;
      const picked = await pickWanted(parts.catalog, suite, packages, component);
      refuseSources(picked);
      phased = picked.map((one) => ({ ...one, phased: phase }));
      const changed = phased.filter((one, i) => one.phased !== picked[i]?.phased);
      if (changed.length === 0) return undefined;
      const additions = await toAdditions(parts.catalog, changed);
      for (const { row } of additions) checkPhaseFits(spellStanding(row), row.stanza);
      return {
        additions,
        removals: changed.map(toRemoval),
        reason: `phase ${request.percentage} %: ${nameSome(changed.map(spellStanding))}`,
        actor: request.actor,
        notes: request.notes ?? [],
      };
    },
  );
  return { phased, publication: number };
}

function refuseSources(picked: readonly StandingPackage[]): void {
  const source = picked.find(({ kind }) => kind === 'dsc');
  if (!source) return;
  throw new RefusalError(
    'INPUT_INVALID',
    `${spellStanding(source)} is a source package: ${PHASE_FIELD} is for what hosts install; name the architecture`,
  );
}
