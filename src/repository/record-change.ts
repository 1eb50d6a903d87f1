/** A change as the catalog has it from its publication on. Floor 3. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { enterContents, insertContents } from '../catalog/contents.ts';
import { insertPackageFile } from '../catalog/package-files.ts';
import {
  endListing,
  insertListings,
  insertPackages,
  type ListingRow,
} from '../catalog/packages.ts';
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
  const { additions } = change;
  for (let from = 0; from < additions.length; from += ROWS_A_TURN) {
    // Whoever is served meanwhile does not wait for ten thousand rows.
    if (from > 0) await nextTurn();
    const some = additions.slice(from, from + ROWS_A_TURN);
    const brought = some.filter(({ isNew }) => isNew);
    await insertPackages(
      sql,
      brought.map(({ row }) => row),
    );
    for (const { files = [] } of brought) {
      for (const file of files) await insertPackageFile(sql, file);
    }
    for (const { row, contents: packed } of some) {
      if (packed) await insertContents(sql, { package_id: row.id, ...packed });
    }
    const listings = some.map((addition, nth): ListingRow => {
      const { row, component, phased = null } = addition;
      const place = places.get(keyOf(addition))?.place;
      places.delete(keyOf(addition));
      return {
        ...{ suite, component, package_id: row.id, added_in: number, ordinal: from + nth, phased },
        ...{ contents_in: place === undefined ? null : number, contents_ordinal: place ?? 0 },
      };
    });
    await insertListings(sql, listings);
  }
  for (const { component, row, place } of places.values()) {
    const listing = { suite, component, package_id: row.id };
    await enterContents(sql, listing, { publication: number, ordinal: place });
  }
}

const keyOf = ({ component, row }: Entry): string => `${component} ${row.id}`;
