/**
 * Back to what a suite listed before: a new publication with the contents of an old one and a newer
 * Date, because apt ignores an older. What the suite is and asks for stays as it is now. Floor 3.
 */
import type { StandingPackage } from '../catalog/standing.ts';
import { RefusalError } from '../errors.ts';
import type { Change } from './change.ts';
import { type Comparison, compareListed } from './compare.ts';
import { getWholePublication } from './publications.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { nameSome, spellStanding, toAdditions, toRemoval } from './standing.ts';
import type { Suite } from './suites.ts';

export interface RollbackRequest {
  /** The publication whose contents are wanted. */
  to: number;
  reason: string;
  actor: string;
}

const NOTHING: Comparison = { added: [], removed: [], upgraded: [], downgraded: [], phased: [] };

/** Several of one disk's answers are waited for together. */
const LOOKS_AT_ONCE = 64;

/** @throws RefusalError CONTENTS_GONE naming what the pool does not have any more. */
async function refuseGone(
  parts: Repository,
  suite: Suite,
  to: number,
  wanted: readonly StandingPackage[],
): Promise<void> {
  const gone: string[] = [];
  for (let from = 0; from < wanted.length; from += LOOKS_AT_ONCE) {
    const some = wanted.slice(from, from + LOOKS_AT_ONCE);
    const found = await Promise.all(some.map(({ filename }) => parts.storage.stat(filename)));
    gone.push(...some.filter((_, i) => found[i] === undefined).map(spellStanding));
  }
  if (gone.length === 0) return;
  throw new RefusalError(
    'CONTENTS_GONE',
    `publication ${to} of suite ${suite.name} cannot be had again: the pool has no more ${nameSome(gone)}`,
  );
}

/** @throws RefusalError CONTENTS_GONE where what it listed has no place in the suite of now. */
function refuseHomeless(suite: Suite, to: number, wanted: readonly StandingPackage[]): void {
  const places = ['all', 'source', ...suite.architectures];
  const homeless = wanted.filter(
    ({ listed_in, architecture }) =>
      !(suite.components.includes(listed_in) && places.includes(architecture)),
  );
  if (homeless.length === 0) return;
  const names = homeless.map((one) => `${spellStanding(one)} of ${one.listed_in}`);
  throw new RefusalError(
    'CONTENTS_GONE',
    `publication ${to} of suite ${suite.name} listed ${nameSome(names)}: add the component or architecture to the suite again first`,
  );
}

/**
 * Roll a suite back; nothing is published where it lists the same already.
 * @throws RefusalError SUITE_UNKNOWN, PUBLICATION_UNKNOWN, CONTENTS_GONE
 */
export async function rollBack(
  parts: Repository & { publisher: Publisher },
  name: string,
  request: RollbackRequest,
): Promise<Comparison & { publication: number }> {
  let comparison: Comparison = NOTHING;
  const { number } = await parts.publisher.submit(
    name,
    async (suite): Promise<Change | undefined> => {
      await getWholePublication(parts, name, request.to);
      const span = { from: suite.publication, to: request.to };
      comparison = await compareListed(parts.catalog, name, span);
      const { added, removed, phased } = comparison;
      const entering = [...added, ...phased.map(({ row }) => row)];
      if (entering.length + removed.length === 0) return undefined;
      refuseHomeless(suite, request.to, added);
      await refuseGone(parts, suite, request.to, added);
      return {
        additions: await toAdditions(parts.catalog, entering),
        removals: [...removed, ...phased.map(({ row }) => row)].map(toRemoval),
        reason: `roll back to ${request.to}: ${request.reason}`,
        actor: request.actor,
      };
    },
  );
  return { ...comparison, publication: number };
}
