/**
 * A lost catalog made again from what is left: packages from the pool, suites and what they list from
 * the mirror. Numbers and Dates go on beyond anything that a host can have seen. Floor 3.
 */
import { insertListings } from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { raiseFloors } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import { listPublicKeys } from '../signing/signing-key.ts';
import type { Publisher } from './publisher.ts';
import { type FoundPackage, type FoundPool, rebuildPool } from './rebuild-pool.ts';
import { type MirroredSuite, readMirroredSuites } from './rebuild-suites.ts';
import type { Repository } from './repository.ts';
import { createSuite, type SuiteDefinition } from './suites.ts';

const SECOND_MS = 1000;

export interface RebuildRequest {
  /** Where packages go that no mirror lists; undefined leaves them unlisted. */
  suite: string | undefined;
  /** For a suite that no mirror tells of. */
  organisation: string;
  /** The same, in milliseconds. */
  validFor: number;
  read: (bytes: number) => void;
}

export interface RebuildReport {
  suites: { suite: string; packages: number; publication: number }[];
  packages: number;
  /** In the pool, and in no suite. */
  unlisted: { count: number; bytes: number };
  warnings: string[];
}

/** Of a suite that is made again, before its first publication. */
interface Plan {
  definition: SuiteDefinition;
  listed: { component: string; found: FoundPackage; phased: number | null }[];
}

/**
 * The day and its time, read as one number: more than there ever were seconds, and no suite is
 * published more than once in one. Whoever sees it sees what happened.
 */
function chooseFloor(now: number): number {
  return Number(new Date(now).toISOString().slice(0, 19).replace(/\D/g, ''));
}

function planSuite({ definition, listed }: MirroredSuite, pool: FoundPool): Plan {
  const plan: Plan = { definition, listed: [] };
  for (const { component, key, sha256, phased } of listed) {
    const found = pool.packages.get(key);
    if (found?.sha256 === sha256) plan.listed.push({ component, found, phased });
    else pool.warnings.push(`${definition.name}: ${describeLoss(key, found)}`);
  }
  return plan;
}

const describeLoss = (key: string, found: FoundPackage | undefined): string =>
  found ? `${key} has other bytes than were signed; not listed` : `${key} is gone; not listed`;

/** The suite that takes what no mirror lists: one of the mirrored, or one like the first ever. */
function planRest(plans: Plan[], rest: readonly FoundPackage[], request: RebuildRequest): void {
  const { suite, organisation, validFor } = request;
  if (suite === undefined || rest.length === 0) return;
  const components = [...new Set(rest.map(({ component }) => component))].sort();
  let plan = plans.find(({ definition }) => definition.name === suite);
  if (!plan) {
    const identity = { name: suite, codename: suite, origin: organisation, label: organisation };
    const shape = { components, architectures: [], description: '', validFor };
    plan = { definition: { ...identity, ...shape }, listed: [] };
    plans.push(plan);
  }
  const known = plan.definition.components;
  plan.definition.components = [...new Set([...known, ...components])];
  const needed = rest.map(({ architecture }) => architecture);
  const real = needed.filter((one) => one !== 'all' && one !== 'source');
  const present = plan.definition.architectures;
  const architectures = [...new Set([...present, ...real])];
  plan.definition.architectures = architectures.length > 0 ? architectures : ['amd64', 'arm64'];
  for (const found of rest) {
    plan.listed.push({ component: found.component, found, phased: null });
  }
}

async function recordListings(
  sql: SqlExecutor,
  { definition, listed }: Plan,
  number: number,
): Promise<void> {
  for (const [ordinal, { component, found, phased }] of listed.entries()) {
    const place = { suite: definition.name, component, package_id: found.id };
    // Contents follows in the background.
    const contents = { contents_in: null, contents_ordinal: 0 };
    await insertListings(sql, [{ ...place, added_in: number, ordinal, phased, ...contents }]);
  }
}

/** @throws RefusalError USAGE_INVALID where nothing says what the suites were. */
function refuseNameless(plans: readonly Plan[], pool: FoundPool): void {
  if (plans.length > 0 || pool.packages.size === 0) return;
  throw new RefusalError(
    'USAGE_INVALID',
    `dists/ tells of no suite that the key in certs/ has signed, and pool/ holds ${pool.packages.size} packages: name the suite that they go to with --suite`,
  );
}

/**
 * Fill an empty catalog. The caller makes it the catalog when all is done.
 * @throws RefusalError USAGE_INVALID
 */
export async function rebuildRepository(
  parts: Repository & { publisher: Publisher },
  request: RebuildRequest,
): Promise<RebuildReport> {
  const { catalog, storage } = parts;
  const keys = listPublicKeys(parts.signingKeys);
  const mirrored = await readMirroredSuites(storage, keys, new Date(parts.now()));
  const pool = await rebuildPool({ catalog, storage, read: request.read });
  const plans = mirrored.suites.map((suite) => planSuite(suite, pool));
  const listed = new Set(plans.flatMap((plan) => plan.listed.map(({ found }) => found.id)));
  const rest = [...pool.packages.values()].filter(({ id }) => !listed.has(id));
  planRest(plans, rest, request);
  refuseNameless(plans, pool);
  const suites: RebuildReport['suites'] = [];
  for (const plan of plans) {
    suites.push(await publishPlan(parts, plan));
  }
  const left = request.suite === undefined ? rest : [];
  return {
    suites,
    packages: pool.packages.size,
    unlisted: { count: left.length, bytes: left.reduce((sum, { size }) => sum + size, 0) },
    warnings: [...mirrored.warnings, ...pool.warnings],
  };
}

/** Hosts may have seen Dates up to now, of publications that the mirror knows nothing of. */
async function publishPlan(
  parts: Repository & { publisher: Publisher },
  plan: Plan,
): Promise<RebuildReport['suites'][number]> {
  const { name } = plan.definition;
  const floor = chooseFloor(parts.now());
  const date = new Date(Math.ceil(parts.now() / SECOND_MS) * SECOND_MS).toISOString();
  await createSuite(parts, plan.definition);
  await parts.catalog.transaction(async (sql) => {
    await raiseFloors(sql, name, { number: floor, date });
    await recordListings(sql, plan, floor + 1);
  });
  const reason = 'repair: the catalog was lost and made again';
  const change = { additions: [], removals: [], reason, actor: 'check' };
  const { number } = await parts.publisher.submit(name, change);
  return { suite: name, packages: plan.listed.length, publication: number };
}
