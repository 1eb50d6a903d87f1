/** Questions about the order in which packages stand in an index, now or in a publication. Floor 2. */
import type { PackageRow } from './packages.ts';
import type { SqlExecutor } from './sql.ts';

/** Where packages stand; `architecture` also brings `all`, and null every one. */
export interface ListingPlace {
  suite: string;
  component: string;
  kinds: readonly string[];
  architecture: string | null;
}

/** Where an entry stands in the order of an index: by publication, then by its place within. */
export interface Position {
  publication: number;
  ordinal: number;
}

/** Before every entry, and behind every one. */
export const FIRST_POSITION: Position = { publication: -1, ordinal: -1 };
export const LAST_POSITION: Position = { publication: Number.MAX_SAFE_INTEGER, ordinal: 0 };

/** Since when a package stands in an index: since it is listed, or since its lines are known. */
export type ListingOrder = 'listing' | 'contents';

const ORDER_COLUMNS: Readonly<Record<ListingOrder, [string, string]>> = {
  listing: ['l.added_in', 'l.ordinal'],
  contents: ['l.contents_in', 'l.contents_ordinal'],
};

export type PlacedPackage = PackageRow & Position & { phased: number | null };

/**
 * Packages of one index in its order, from behind `after` up to and with `upTo`.
 * @param publication the one in which they stand there; null for the current state.
 */
export function listPackagesOf(
  sql: SqlExecutor,
  place: ListingPlace,
  order: ListingOrder,
  range: { after: Position; upTo: Position; limit: number; publication: number | null },
): Promise<PlacedPackage[]> {
  const { suite, component, kinds, architecture } = place;
  const { after, upTo, limit, publication } = range;
  const values: (string | number)[] = [suite, component, after.publication, after.ordinal];
  values.push(upTo.publication, upTo.ordinal);
  const add = (value: string | number): string => `$${values.push(value)}`;
  const [entered, ordinal] = ORDER_COLUMNS[order];
  const conditions = [`p.kind IN (${kinds.map(add).join(', ')})`];
  if (architecture !== null) conditions.push(`p.architecture IN (${add(architecture)}, 'all')`);
  if (publication === null) conditions.push('l.removed_in IS NULL');
  else {
    const number = add(publication);
    conditions.push(`${entered} <= ${number}`);
    conditions.push(`(l.removed_in IS NULL OR l.removed_in > ${number})`);
  }
  return sql.all(
    `SELECT p.*, ${entered} AS publication, ${ordinal} AS ordinal, l.phased
     FROM listing l JOIN package p ON p.id = l.package_id
     WHERE l.suite = $1 AND l.component = $2
       AND (${entered}, ${ordinal}) > ($3, $4) AND (${entered}, ${ordinal}) <= ($5, $6)
       AND ${conditions.join(' AND ')}
     ORDER BY ${entered}, ${ordinal} LIMIT ${add(limit)}`,
    ...values,
  );
}

/** Where a package stands now; undefined where it does not. */
export function findPosition(
  sql: SqlExecutor,
  listing: { suite: string; component: string; packageId: string },
  order: ListingOrder,
): Promise<Position | undefined> {
  const [entered, ordinal] = ORDER_COLUMNS[order];
  return sql.get(
    `SELECT ${entered} AS publication, ${ordinal} AS ordinal FROM listing l
     WHERE l.suite = $1 AND l.component = $2 AND l.package_id = $3 AND l.removed_in IS NULL
       AND ${entered} IS NOT NULL`,
    ...[listing.suite, listing.component, listing.packageId],
  );
}
