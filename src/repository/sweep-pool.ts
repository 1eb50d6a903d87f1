/**
 * The files of the pool that nothing refers to: left by a process that was killed between bytes and
 * facts, or by a publication that failed. Floor 3.
 */
import { findRecordedFiles } from '../catalog/sweeping.ts';
import { POOL_PREFIX, readPoolName } from '../deb/layout.ts';
import type { ObjectStat } from '../storage/storage.ts';
import { lockPackages, spellPackage } from './pool-lock.ts';
import type { Repository } from './repository.ts';
import { isAbandoned, type Sweep } from './sweep-parts.ts';

/** Keys asked for in one question; a database takes a bounded number of parameters. */
const PAGE_KEYS = 400;

/** Takes, or names, the files of the pool without facts. */
export async function sweepPool(sweep: Sweep): Promise<void> {
  for await (const keys of pageUnrecorded(sweep.parts)) {
    for (const key of keys) await sweepFile(sweep, key);
  }
}

/** Keys of the pool that the catalog does not know, a page at a time. */
export async function* pageUnrecorded({
  catalog,
  storage,
}: Pick<Repository, 'catalog' | 'storage'>): AsyncGenerator<string[]> {
  const unrecorded = async (keys: readonly string[]): Promise<string[]> => {
    const recorded = await findRecordedFiles(catalog, keys);
    return keys.filter((key) => !recorded.has(key));
  };
  let page: string[] = [];
  for await (const key of storage.list(POOL_PREFIX)) {
    page.push(key);
    if (page.length < PAGE_KEYS) continue;
    yield await unrecorded(page);
    page = [];
  }
  yield await unrecorded(page);
}

async function sweepFile(sweep: Sweep, key: string): Promise<void> {
  const { catalog, storage } = sweep.parts;
  const stat = await storage.stat(key);
  if (!stat || !isAbandoned(sweep, stat)) return;
  if (sweep.request.dryRun) {
    note(sweep, key, stat);
    return;
  }
  const named = readPoolName(key);
  await lockPackages(catalog, [key, ...(named ? [spellPackage(named)] : [])], async () => {
    // Meanwhile it may have become somebody's, or be written anew.
    if ((await findRecordedFiles(catalog, [key])).size > 0) return;
    const now = await storage.stat(key);
    if (now?.modified !== stat.modified) return;
    await storage.remove(key);
    note(sweep, key, stat);
  });
}

function note({ things }: Sweep, key: string, { size }: ObjectStat): void {
  const why = 'nothing in the catalog refers to it';
  things.add({ kind: 'orphan', name: key, suite: null, bytes: size, why });
}
