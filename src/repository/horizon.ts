/**
 * How long the past of a suite is kept: which superseded publications stay whole, and which may go.
 * Source of truth: docs/decisions/0016-keeping.md. Floor 3.
 */
import {
  type Horizon,
  listSuperseded,
  type PastSuite,
  type SupersededPublication,
} from '../catalog/sweeping.ts';
import type { Repository } from './repository.ts';
import { readSuiteOptions } from './suite-options.ts';

/** What a superseded publication has to be past, both, before its indexes may go. */
export interface KeepingRules {
  /** So many publications have been superseded after it. */
  publications: number;
  /** Milliseconds since it was superseded. */
  keepFor: number;
  /** The same for suites that serve their past by time (option `snapshots`). */
  snapshotsFor: number;
}

/**
 * What somebody outside of the suites still needs, whatever their retention says. Whoever knows of
 * such a need (an inventory of hosts, say) answers for it here.
 */
export interface Needs {
  /** Numbers of publications of a suite that are still given to somebody. */
  listPinned: (suite: string) => Promise<readonly number[]>;
  /** Ids of packages that stay listed where they are. */
  listNeeded: () => Promise<ReadonlySet<string>>;
}

export const NO_NEEDS: Needs = {
  listPinned: async () => [],
  listNeeded: async () => new Set(),
};

/** A suite's past: where what is kept begins, and what lies before that. */
export interface Past {
  horizon: Horizon;
  due: SupersededPublication[];
}

/** What of a suite's past may go now. */
export async function readPast(
  repository: Pick<Repository, 'catalog' | 'now'>,
  suite: PastSuite,
  rules: KeepingRules,
  needs: Needs,
): Promise<Past> {
  const { name } = suite;
  const pinned = await needs.listPinned(name);
  const superseded = await listSuperseded(repository.catalog, name);
  const keepFor = readSuiteOptions(suite.options).snapshots
    ? Math.max(rules.keepFor, rules.snapshotsFor)
    : rules.keepFor;
  const until = repository.now() - keepFor;
  // The newest are kept whatever their age, unless there is no suite any more that goes on from them.
  const least = suite.removed_at === null ? rules.publications : 0;
  const candidates = superseded.slice(0, Math.max(0, superseded.length - least));
  const kept =
    candidates.find(
      ({ number, superseded_at }) => Date.parse(superseded_at) > until && !pinned.includes(number),
    ) ?? superseded[candidates.length];
  const oldest = kept?.number ?? suite.publication + (suite.removed_at === null ? 0 : 1);
  return {
    horizon: { suite: name, oldest, pinned: pinned.filter((number) => number < oldest) },
    due: superseded.filter(({ number }) => number < oldest && !pinned.includes(number)),
  };
}
