/**
 * The packages that no kept publication lists: facts first, then bytes, under the lock under which
 * they came. A crash in between leaves bytes without facts, which the next sweep takes. Floor 3.
 */

import { listPackageFiles } from '../catalog/package-files.ts';
import {
  deleteListing,
  deletePackage,
  findPageEnd,
  findRecordedFiles,
  listEndedListings,
  listUnneeded,
  type UnneededPackage,
} from '../catalog/sweeping.ts';
import { lockPackages, spellPackage } from './pool-lock.ts';
import { horizonsOf, type Sweep } from './sweep-parts.ts';

/** Few enough that nobody waits for the writer, and that a transaction fits on a full disk. */
const PAGE_LISTINGS = 500;
/** Packages looked at in one question. */
const PAGE_PACKAGES = 2000;

/** Deletes what says that swept publications listed something. */
export async function sweepListings({ parts, pasts }: Sweep): Promise<void> {
  for (const { horizon } of pasts) {
    for (;;) {
      const rows = await listEndedListings(parts.catalog, horizon, PAGE_LISTINGS);
      if (rows.length === 0) break;
      await parts.catalog.transaction(async (sql) => {
        for (const row of rows) await deleteListing(sql, row);
      });
    }
  }
}

/** Takes, or names, the packages that nothing kept lists. */
export async function sweepPackages(sweep: Sweep): Promise<void> {
  const { parts, request } = sweep;
  const horizons = horizonsOf(sweep);
  for (let after = ''; ; ) {
    const last = await findPageEnd(parts.catalog, after, PAGE_PACKAGES);
    if (last === undefined) return;
    for (const row of await listUnneeded(parts.catalog, horizons, after, last)) {
      if (request.dryRun) await note(sweep, row, await listBytes(sweep, row));
      else await take(sweep, row);
    }
    after = last;
  }
}

/** The files that are this package's alone, with their sizes. */
async function listBytes(
  { parts }: Sweep,
  row: UnneededPackage,
): Promise<{ filename: string; size: number }[]> {
  const { filename, size } = row;
  return [{ filename, size }, ...(await listPackageFiles(parts.catalog, row.id))];
}

function note(sweep: Sweep, row: UnneededPackage, files: readonly { size: number }[]): void {
  sweep.things.add({
    kind: 'package',
    name: `${row.name} ${row.version} ${row.architecture}`,
    suite: null,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    why: 'no kept publication lists it',
  });
}

async function take(sweep: Sweep, row: UnneededPackage): Promise<void> {
  const { catalog, storage } = sweep.parts;
  const files = await listBytes(sweep, row);
  // Whoever brings a file that two sources share holds the lock of that file.
  const names = [spellPackage(row), ...files.map((file) => file.filename)];
  await lockPackages(catalog, names, async () => {
    if (!(await catalog.transaction((sql) => deletePackage(sql, row.id)))) return;
    // Two versions of a source may share a file.
    const shared = await findRecordedFiles(
      catalog,
      files.map((file) => file.filename),
    );
    const own = files.filter((file) => !shared.has(file.filename));
    for (const { filename } of own) await storage.remove(filename);
    note(sweep, row, own);
  });
}
