/**
 * Groups of hosts and the hosts in them. A host is in exactly one group that is there: whoever
 * names a group holds it while they do. Floor 4.
 */
import {
  deleteGroup,
  findGroup,
  type GroupRow,
  insertGroup,
  listGroups,
  listHostsOfGroup,
  updateGroup,
} from '../catalog/groups.ts';
import {
  deleteHost,
  type HostRow,
  insertHost,
  listHosts,
  moveHost as updateHost,
} from '../catalog/hosts.ts';
import { listSuitesOfFile } from '../catalog/packages.ts';
import type { Catalog, SqlExecutor } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import { getSuite } from '../repository/suites.ts';
import type { Readers, ReadingSource } from './reading.ts';

/** Every host is in it that nobody put elsewhere; it cannot be removed. */
export const DEFAULT_GROUP = 'default';

/** More hosts than these are counted and not named. */
const MAX_NAMED = 10;

export interface GroupParts {
  repository: { catalog: Catalog; now: () => number };
  readers: Pick<Readers, 'invalidate'>;
}

/** `suites` null for all. */
export interface GroupChange {
  suites?: readonly string[] | null | undefined;
  description?: string | undefined;
}

/**
 * The rules of reading as the catalog has them.
 * @param unrecorded the group of hosts that only a site's own authority vouches for.
 */
export function createReadingSource(
  catalog: Catalog,
  unrecorded: string | null = null,
): ReadingSource {
  return {
    async readRules() {
      const hosts = (await listHosts(catalog)).map((row) => [row.name, row.group_name] as const);
      const groups = (await listGroups(catalog)).map((row) => [row.name, readSuites(row)] as const);
      return { hosts: new Map(hosts), groups: new Map(groups), unrecorded };
    },
    findSuites: (key) => listSuitesOfFile(catalog, key),
  };
}

/** What the hosts of a group may read; null for all. */
export function readSuites(row: GroupRow): string[] | null {
  return row.suites === null ? null : (JSON.parse(row.suites) as string[]);
}

/** @throws RefusalError GROUP_UNKNOWN */
export async function getGroup(parts: GroupParts, name: string): Promise<GroupRow> {
  const row = await findGroup(parts.repository.catalog, name);
  if (row) return row;
  throw new RefusalError('GROUP_UNKNOWN', `there is no group ${JSON.stringify(name.slice(0, 80))}`);
}

/** Runs a change that names a group while nobody else removes it; readers are judged by it next. */
export function holdGroup<Result>(
  parts: GroupParts,
  name: string,
  change: (row: GroupRow) => Promise<Result>,
): Promise<Result> {
  return parts.repository.catalog.lock('groups', async () => {
    try {
      return await change(await getGroup(parts, name));
    } finally {
      // Also when it failed: it may have been written all the same.
      parts.readers.invalidate();
    }
  });
}

/** JSON for the catalog. @throws RefusalError SUITE_UNKNOWN */
async function spellSuites(
  parts: GroupParts,
  suites: readonly string[] | null,
): Promise<string | null> {
  for (const suite of suites ?? []) await getSuite(parts.repository, suite);
  return suites === null ? null : JSON.stringify([...new Set(suites)]);
}

/** @throws RefusalError GROUP_EXISTS, SUITE_UNKNOWN */
export async function createGroup(
  parts: GroupParts,
  name: string,
  { suites = null, description = '' }: GroupChange,
): Promise<GroupRow> {
  const { catalog, now } = parts.repository;
  const created_at = new Date(now()).toISOString();
  const row = { name, suites: await spellSuites(parts, suites), description, created_at };
  if (!(await insertGroup(catalog, row))) {
    throw new RefusalError('GROUP_EXISTS', `group ${name} exists already`);
  }
  parts.readers.invalidate();
  return row;
}

/** Changes what is given and keeps the rest. @throws RefusalError GROUP_UNKNOWN, SUITE_UNKNOWN */
export function setGroup(parts: GroupParts, name: string, change: GroupChange): Promise<GroupRow> {
  return holdGroup(parts, name, async (row) => {
    const suites =
      change.suites === undefined ? row.suites : await spellSuites(parts, change.suites);
    const changed = { ...row, suites, description: change.description ?? row.description };
    await updateGroup(parts.repository.catalog, changed);
    return changed;
  });
}

/** @throws RefusalError GROUP_UNKNOWN, GROUP_IN_USE where hosts are in it. */
export function removeGroup(parts: GroupParts, name: string): Promise<void> {
  return holdGroup(parts, name, async () => {
    if (name === DEFAULT_GROUP) {
      const why = 'hosts are in it that nobody put elsewhere';
      throw new RefusalError('GROUP_IN_USE', `the group ${name} stays: ${why}`);
    }
    const hosts = await listHostsOfGroup(parts.repository.catalog, name);
    if (hosts.length > 0) {
      const more = hosts.length > MAX_NAMED ? ` and ${hosts.length - MAX_NAMED} more` : '';
      throw new RefusalError(
        'GROUP_IN_USE',
        `group ${name} has ${hosts.slice(0, MAX_NAMED).join(', ')}${more}: put them into another group first`,
      );
    }
    await deleteGroup(parts.repository.catalog, name);
  });
}

/**
 * Ends a suite while no group can come to name it; those that do are named, and left without it.
 * @param end ends it, and runs what it is given in the transaction that does.
 * @throws RefusalError SUITE_IN_USE where groups name it, unless `force`.
 */
export function releaseSuite<Result extends object>(
  parts: GroupParts,
  suite: string,
  force: boolean,
  end: (prepare: (sql: SqlExecutor) => Promise<void>) => Promise<Result>,
): Promise<Result & { groups: string[] }> {
  const { catalog } = parts.repository;
  return catalog.lock('groups', async () => {
    const naming = (await listGroups(catalog)).filter((row) => readSuites(row)?.includes(suite));
    const groups = naming.map((row) => row.name);
    if (groups.length > 0 && !force) {
      throw new RefusalError(
        'SUITE_IN_USE',
        `the hosts of ${groups.join(', ')} may read suite ${suite} by name: take it out of what these groups may read first, or --force does`,
      );
    }
    try {
      const result = await end(async (sql) => {
        for (const row of naming) {
          const suites = readSuites(row)?.filter((name) => name !== suite);
          await updateGroup(sql, { ...row, suites: JSON.stringify(suites) });
        }
      });
      return { ...result, groups };
    } finally {
      parts.readers.invalidate();
    }
  });
}

/** Resolves with false where the name is taken. @throws RefusalError GROUP_UNKNOWN */
export function recordHost(parts: GroupParts, row: HostRow): Promise<boolean> {
  return holdGroup(parts, row.group_name, () => insertHost(parts.repository.catalog, row));
}

/** Resolves with false where there is no such host. @throws RefusalError GROUP_UNKNOWN */
export function moveHost(parts: GroupParts, name: string, group: string): Promise<boolean> {
  return holdGroup(parts, group, () => updateHost(parts.repository.catalog, name, group));
}

export async function forgetHost(parts: GroupParts, name: string): Promise<void> {
  await deleteHost(parts.repository.catalog, name);
  parts.readers.invalidate();
}
