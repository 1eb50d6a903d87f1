/**
 * Suites that change while they are served, and suites that end. A change of settings is a
 * publication like any other, and in force with it. Floor 3.
 */
import type { SqlExecutor } from '../catalog/sql.ts';
import { listOutside, type StandingPackage } from '../catalog/standing.ts';
import { RefusalError } from '../errors.ts';
import type { Change } from './change.ts';
import { completeHashes } from './extra-hashes.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { DEFAULT_SUITE_OPTIONS, type SuiteOptions } from './suite-options.ts';
import { checkDefinition, checkPrograms, type Suite, type SuiteDefinition } from './suites.ts';

/** What is undefined stays. */
export type SuiteSettings = {
  [Name in keyof Omit<SuiteDefinition, 'name' | 'options'>]?: SuiteDefinition[Name] | undefined;
} & { options?: { [Name in keyof SuiteOptions]?: SuiteOptions[Name] | undefined } | undefined };

/** The same without what is undefined. */
export type Given<Values> = { [Name in keyof Values]?: Exclude<Values[Name], undefined> };

export interface SettingRequest {
  settings: SuiteSettings;
  /** What hosts refuse until somebody agrees on each of them may change. */
  forceIdentity: boolean;
  /** A component or an architecture that holds packages may go, and they go with it. */
  force: boolean;
  actor: string;
}

/** What is given. */
export function omitUndefined<Values extends object>(values: Values): Given<Values> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Given<Values>;
}

function mergeSettings(suite: Suite, { options = {}, ...rest }: SuiteSettings): SuiteDefinition {
  const { publication: _number, ...current } = suite;
  return checkDefinition({
    ...current,
    ...omitUndefined(rest),
    options: { ...suite.options, ...omitUndefined(options) },
  });
}

/** The priority that apt gives to a suite by itself: apt_preferences(5). */
function findDefaultPin({ options = {} }: SuiteDefinition): number {
  if (!options.notAutomatic) return 500;
  return options.butAutomaticUpgrades ? 100 : 1;
}

/** @throws RefusalError IDENTITY_KEPT naming what would change, and what hosts would say. */
function refuseOtherIdentity(before: SuiteDefinition, after: SuiteDefinition): void {
  const changes = [
    ['Origin', before.origin, after.origin],
    ['Label', before.label, after.label],
    ['Codename', before.codename, after.codename],
    ["apt's default pin", findDefaultPin(before), findDefaultPin(after)],
  ].flatMap(([name, from, to]) => (from === to ? [] : [`${name} from ${from} to ${to}`]));
  if (changes.length === 0) return;
  throw new RefusalError(
    'IDENTITY_KEPT',
    `suite ${before.name}: ${changes.join(', ')} would make apt-get update fail on every host that has this suite until an administrator agrees there (--allow-releaseinfo-change); --force-identity does it all the same`,
  );
}

/** What the suite lists that has no place in it any more; asked only where a place goes. */
async function findHomeless(
  sql: SqlExecutor,
  before: SuiteDefinition,
  after: SuiteDefinition,
  publication: number,
): Promise<StandingPackage[]> {
  const isFewer = (old: readonly string[], now: readonly string[]): boolean =>
    old.some((name) => !now.includes(name));
  if (
    !isFewer(before.components, after.components) &&
    !isFewer(before.architectures, after.architectures)
  ) {
    return [];
  }
  const { components } = after;
  const architectures = ['all', 'source', ...after.architectures];
  return listOutside(sql, after.name, publication, { components, architectures });
}

/** @throws RefusalError SUITE_IN_USE with the count for each component and architecture. */
function refuseHomeless(suite: string, homeless: readonly StandingPackage[]): void {
  if (homeless.length === 0) return;
  const places = new Map<string, number>();
  for (const { listed_in, architecture } of homeless) {
    const place = `${listed_in}/${architecture}`;
    places.set(place, (places.get(place) ?? 0) + 1);
  }
  const counted = [...places].map(([place, count]) => `${count} in ${place}`);
  throw new RefusalError(
    'SUITE_IN_USE',
    `suite ${suite} lists packages that would have no place any more: ${counted.join(', ')}; remove them first, or --force takes them out with it`,
  );
}

/**
 * Change what a suite is. Where nothing changes, there is no publication.
 * @returns the number of the publication from which on it is so.
 * @throws RefusalError SUITE_UNKNOWN, INPUT_INVALID, IDENTITY_KEPT, SUITE_IN_USE, PROGRAM_MISSING
 */
export async function setSuite(
  parts: Repository & { publisher: Publisher },
  name: string,
  request: SettingRequest,
): Promise<{ number: number }> {
  // Reads every package, while others publish.
  await completeHashes(parts, name, request.settings.options?.hashes ?? []);
  return parts.publisher.submit(name, async (suite): Promise<Change | undefined> => {
    const before = mergeSettings(suite, {});
    const after = mergeSettings(suite, request.settings);
    if (JSON.stringify(before) === JSON.stringify(after)) return undefined;
    await checkPrograms(after.options);
    if (!request.forceIdentity) refuseOtherIdentity(before, after);
    const homeless = await findHomeless(parts.catalog, before, after, suite.publication);
    if (!request.force) refuseHomeless(name, homeless);
    return {
      additions: [],
      removals: homeless.map(({ listed_in, phased: _phased, ...row }) => ({
        component: listed_in,
        row,
      })),
      settings: after,
      reason: `set ${listChanged(before, after).join(', ')}`,
      actor: request.actor,
    };
  });
}

/** The names of what differs, for the record. */
function listChanged(before: SuiteDefinition, after: SuiteDefinition): string[] {
  const spell = ({ options, ...rest }: SuiteDefinition): Record<string, unknown> => ({
    ...rest,
    ...DEFAULT_SUITE_OPTIONS,
    ...options,
  });
  const old = spell(before);
  return Object.entries(spell(after))
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name]))
    .map(([name]) => name);
}
