/** A change as the catalog has it from its publication on. Floor 3. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { enterContents, insertContents } from '../catalog/contents.ts';
import { insertPackageFile } from '../catalog/package-files.ts';
import { endListing, insertListing, insertPackage } from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { Change } from './change.ts';
import type { Entry } from './index-definitions.ts';

const ROWS_A_TURN = 200;

/**
 * Listings that end and begin with publication `number`.
 * @param contents the entries whose lines enter Contents with it, in their order there.
 */
export async function recordChange(
  sql: SqlExecutor,
  suite: string,
  number: number,
  change: Change,
  contents: readonly Entry[],
): Promise<void> {
  for (const { row, component } of change.removals) {
    await endListing(sql, suite, component, row.id, number);
  }
  const places = new Map(contents.map((entry, place) => [keyOf(entry), { ...entry, place }]));
  for (const [ordinal, addition] of change.additions.entries()) {
    // Whoever is served meanwhile does not wait for ten thousand rows.
    if (ordinal % ROWS_A_TURN === ROWS_A_TURN - 1) await nextTurn();
    const { row, component, isNew, phased = null, contents: packed, files = [] } = addition;
    if (isNew) await insertPackage(sql, row);
    if (isNew) for (const file of files) await insertPackageFile(sql, file);
    if (packed) await insertContents(sql, { package_id: row.id, ...packed });
    const place = places.get(keyOf(addition))?.place;
    places.delete(keyOf(addition));
    await insertListing(sql, {
      ...{ suite, component, package_id: row.id, added_in: number, ordinal, phased },
      ...{ contents_in: place === undefined ? null : number, contents_ordinal: place ?? 0 },
    });
  }
  for (const { component, row, place } of places.values()) {
    const listing = { suite, component, package_id: row.id };
    await enterContents(sql, listing, { publication: number, ordinal: place });
  }
}

const keyOf = ({ component, row }: Entry): string => `${component} ${row.id}`;
