/**
 * The suite that an import goes to: one with the identity of its source, made where there is none,
 * because hosts refuse a repository whose Origin, Label or Codename changed. Floor 3.
 */
import { findSuite } from '../catalog/suites.ts';
import type { ReleaseText } from '../deb/release-reader.ts';
import { RefusalError } from '../errors.ts';
import type { Repository } from './repository.ts';
import { readSuiteRow, type Suite, type SuiteDefinition } from './suites.ts';

const refuse = (why: string): RefusalError => new RefusalError('SOURCE_UNACCEPTABLE', why);

/** A suite as its source's Release describes it. */
export function defineSuite(name: string, release: ReleaseText, validFor: number): SuiteDefinition {
  const { notAutomatic, butAutomaticUpgrades, version } = release;
  return {
    name,
    codename: release.codename || name,
    origin: release.origin,
    label: release.label || release.origin,
    description: release.description.replace(/\s+/g, ' ').slice(0, 200).trim(),
    components: release.components,
    architectures: release.architectures,
    validFor,
    options: { notAutomatic, butAutomaticUpgrades: notAutomatic && butAutomaticUpgrades, version },
  };
}

function checkIdentity(suite: Suite, wanted: SuiteDefinition): void {
  const fields = [
    ['Origin', suite.origin, wanted.origin],
    ['Label', suite.label, wanted.label],
    ['Codename', suite.codename, wanted.codename],
    ['NotAutomatic', suite.options.notAutomatic, wanted.options?.notAutomatic ?? false],
  ] as const;
  const other = fields.filter(([, ours, theirs]) => ours !== theirs);
  if (other.length === 0) return;
  const spelt = other.map(
    ([field, ours, theirs]) => `${field} is ${ours} here and ${theirs} there`,
  );
  throw refuse(
    `suite ${suite.name} has another identity than the source, and hosts would refuse the change: ${spelt.join('; ')}; import into a suite that does not exist yet`,
  );
}

function checkRoom(suite: Suite, wanted: SuiteDefinition): void {
  for (const [what, ours, theirs] of [
    ['component', suite.components, wanted.components],
    ['architecture', suite.architectures, wanted.architectures],
  ] as const) {
    const missing = theirs.filter((one) => !ours.includes(one));
    if (missing.length === 0) continue;
    throw refuse(
      `suite ${suite.name} has no ${what} ${missing.join(', ')}: add it to the suite, or choose with --${what === 'component' ? 'components' : 'architectures'}`,
    );
  }
}

/**
 * What the suite is or will be; `exists` says which.
 * @throws RefusalError SUITE_UNKNOWN, SOURCE_UNACCEPTABLE
 */
export async function settleSuite(
  repository: Repository,
  name: string,
  release: ReleaseText | undefined,
  validFor: number,
): Promise<{ definition: SuiteDefinition; exists: boolean }> {
  const row = await findSuite(repository.catalog, name);
  const suite = row && readSuiteRow(row);
  if (!release) {
    if (suite) return { definition: suite, exists: true };
    throw new RefusalError(
      'SUITE_UNKNOWN',
      `there is no suite ${JSON.stringify(name.slice(0, 80))}, and a folder of packages does not say what it should be: make it with suite create first`,
    );
  }
  const wanted = defineSuite(name, release, validFor);
  if (!wanted.origin)
    throw refuse('its Release has no Origin: make the suite first, and import pool/');
  if (!suite) return { definition: wanted, exists: false };
  checkIdentity(suite, wanted);
  checkRoom(suite, wanted);
  return { definition: suite, exists: true };
}
