/**
 * Packages from one suite into another: their bytes stay where they are, the other suite lists them
 * too. Taken whole, in one publication, or not at all. Floor 3.
 */
import { findPackages } from '../catalog/packages.ts';
import {
  findListings,
  listNamedAt,
  listPackagesAt,
  type StandingPackage,
} from '../catalog/standing.ts';
import { readStanzaSource } from '../deb/stanza.ts';
import { RefusalError } from '../errors.ts';
import type { Change } from './change.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { nameSome, pickWanted, spellStanding, toAdditions, type Wanted } from './standing.ts';
import { getSuite, type Suite } from './suites.ts';

export interface CopyRequest {
  from: string;
  to: string;
  /** Null for everything that the suite lists. */
  packages: readonly Wanted[] | null;
  /** Undefined for the component that each stands in. */
  component: string | undefined;
  /** The source package of each goes along. */
  withSource: boolean;
  actor: string;
  /** @throws RefusalError where this package may not be added by who asks. */
  checkName: (name: string) => void;
}

export interface CopyResult {
  copied: StandingPackage[];
  /** Listed there before. */
  unchanged: StandingPackage[];
  /** Of an architecture that the other suite does not have. */
  skipped: StandingPackage[];
  publication: number;
}

const hasPlace = (suite: Suite, { architecture }: StandingPackage): boolean =>
  ['all', 'source', ...suite.architectures].includes(architecture);

/** @throws RefusalError PACKAGE_UNACCEPTABLE where one that was asked for by architecture has no place. */
function refuseArchitectures(suite: Suite, request: CopyRequest, skipped: StandingPackage[]): void {
  const named = new Set((request.packages ?? []).map(({ architecture }) => architecture));
  const refused = skipped.filter(({ architecture }) => named.has(architecture));
  if (refused.length === 0) return;
  throw new RefusalError(
    'PACKAGE_UNACCEPTABLE',
    `suite ${suite.name} holds ${suite.architectures.join(', ')} and all, not ${nameSome(refused.map(spellStanding))}`,
  );
}

/** @throws RefusalError COMPONENT_UNKNOWN */
function checkComponents(suite: Suite, taken: readonly StandingPackage[]): void {
  const missing = taken.find(({ listed_in }) => !suite.components.includes(listed_in));
  if (!missing) return;
  throw new RefusalError(
    'COMPONENT_UNKNOWN',
    `suite ${suite.name} has no component ${JSON.stringify(missing.listed_in)}, where ${spellStanding(missing)} would stand; it has ${suite.components.join(', ')}`,
  );
}

/** The sources of what was picked. @throws RefusalError PACKAGE_UNKNOWN naming one that is not listed. */
async function pickSources(
  parts: Repository,
  from: Suite,
  picked: readonly StandingPackage[],
): Promise<StandingPackage[]> {
  const binaries = picked.filter(({ kind }) => kind !== 'dsc');
  const rows = await findPackages(
    parts.catalog,
    binaries.map(({ id }) => id),
  );
  const wanted = rows.map((row) => readStanzaSource(row.stanza, row));
  const names = wanted.map(({ name }) => name);
  const standing = await listNamedAt(parts.catalog, from.name, from.publication, names);
  const listed = new Map(
    standing
      .filter(({ kind }) => kind === 'dsc')
      .map((one) => [`${one.name} ${one.version}`, one] as const),
  );
  return wanted.map(({ name, version }) => {
    const found = listed.get(`${name} ${version}`);
    if (found) return found;
    throw new RefusalError(
      'PACKAGE_UNKNOWN',
      `suite ${from.name} does not list the source package ${name} ${version}`,
    );
  });
}

const placeOf = ({ listed_in, id }: StandingPackage): string => `${listed_in} ${id}`;

async function pick(parts: Repository, request: CopyRequest): Promise<StandingPackage[]> {
  const from = await getSuite(parts, request.from);
  const picked = request.packages
    ? await pickWanted(parts.catalog, from, request.packages)
    : await listPackagesAt(parts.catalog, from.name, from.publication);
  const sources = request.withSource ? await pickSources(parts, from, picked) : [];
  for (const { name } of [...picked, ...sources]) request.checkName(name);
  // A phase belongs to the suite that it was asked for.
  const placed = [...picked, ...sources].map((one) => ({
    ...one,
    listed_in: request.component ?? one.listed_in,
    phased: null,
  }));
  return [...new Map(placed.map((one) => [placeOf(one), one])).values()];
}

/**
 * Copy packages; what the other suite lists already is left as it is, and where that is all there is
 * no publication.
 * @throws RefusalError SUITE_UNKNOWN, COMPONENT_UNKNOWN, PACKAGE_UNKNOWN, PACKAGE_UNACCEPTABLE,
 *   PACKAGE_FORBIDDEN
 */
export async function copyPackages(
  parts: Repository & { publisher: Publisher },
  request: CopyRequest,
): Promise<CopyResult> {
  const outcome: Omit<CopyResult, 'publication'> = { copied: [], unchanged: [], skipped: [] };
  const { number } = await parts.publisher.submit(
    request.to,
    async (suite): Promise<Change | undefined> => {
      const picked = await pick(parts, request);
      outcome.skipped = picked.filter((one) => !hasPlace(suite, one));
      refuseArchitectures(suite, request, outcome.skipped);
      const taken = picked.filter((one) => hasPlace(suite, one));
      checkComponents(suite, taken);
      const ids = taken.map(({ id }) => id);
      const listings = await findListings(parts.catalog, suite.name, ids);
      const listed = new Set(listings.map((one) => `${one.component} ${one.package_id}`));
      outcome.unchanged = taken.filter((one) => listed.has(placeOf(one)));
      outcome.copied = taken.filter((one) => !listed.has(placeOf(one)));
      if (outcome.copied.length === 0) return undefined;
      return {
        additions: await toAdditions(parts.catalog, outcome.copied),
        removals: [],
        reason: `copy from ${request.from}: ${nameSome(outcome.copied.map(spellStanding))}`,
        actor: request.actor,
      };
    },
  );
  return { ...outcome, publication: number };
}
