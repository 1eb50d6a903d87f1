/**
 * The end of a suite: nobody is served it any more, what it listed stays in the pool for `sweep`.
 * Its numbers and its last Date stay on record, for a suite of the same name that is made later.
 * Floor 3.
 */
import { countPackages } from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { markSuiteRemoved } from '../catalog/suites.ts';
import { distsKey } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import type { PublishParts } from './publish.ts';
import { getSuite } from './suites.ts';

const SIGNED_FILES = ['InRelease', 'Release.gpg', 'Release'];

/**
 * @param prepare runs in the transaction that ends the suite, before it does.
 * @throws RefusalError SUITE_UNKNOWN, SUITE_IN_USE while it lists packages, unless `force`.
 */
export async function removeSuite(
  parts: PublishParts,
  name: string,
  { force }: { force: boolean },
  prepare: (sql: SqlExecutor) => Promise<void>,
): Promise<{ packages: number }> {
  return parts.catalog.lock(`suite:${name}`, async () => {
    await getSuite(parts, name);
    const packages = await countPackages(parts.catalog, name);
    if (packages > 0 && !force) {
      throw new RefusalError(
        'SUITE_IN_USE',
        `suite ${name} lists ${packages} packages: remove them first, or --force takes it away with them`,
      );
    }
    await parts.catalog.transaction(async (sql) => {
      await prepare(sql);
      await markSuiteRemoved(sql, name, new Date(parts.now()).toISOString());
    });
    const files = [...(parts.live.get(name)?.files.keys() ?? [])];
    parts.live.delete(name);
    parts.indexes.leave(name);
    await parts.mirror.leave(name);
    await parts.live.settled();
    // The pointer is gone: what is left on disk is a copy that nobody is served from.
    for (const path of [...SIGNED_FILES, ...files]) {
      await parts.storage.remove(distsKey(name, path));
    }
    return { packages };
  });
}
