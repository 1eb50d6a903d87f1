/**
 * What stands in an index, from the catalog alone. Of publication N these are the listings with
 * `added_in` <= N and `removed_in` null or > N, in the order of `added_in`, then `ordinal`; the raw
 * index is each one's rendering and the separator behind it, and nothing else. (Publications made
 * before migration 7 had their separators between the stanzas only.) Floor 3.
 */
import {
  FIRST_POSITION,
  isListed,
  LAST_POSITION,
  listPackagesOf,
  type PlacedPackage,
  type Position,
} from '../catalog/packages.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { Change, Removal } from './change.ts';
import { belongsTo, type Entry, type IndexDefinition } from './index-definitions.ts';
import type { Unit } from './segments.ts';

/** An entry and where it stands in the order of its index. */
export interface PlacedEntry extends Entry {
  position: Position;
}

export interface EntryRange {
  /** Exclusive; the beginning where it is missing. */
  after?: Position;
  /** Inclusive; the end where it is missing. */
  upTo?: Position;
  /** In which publication; null for the newest, as the catalog stands. */
  publication: number | null;
}

/** Rows of some kilobytes each. */
const PAGE_ROWS = 1000;

/** The entries of an index in their order, some at a time. */
export async function* listEntries(
  sql: SqlExecutor,
  suite: string,
  definition: IndexDefinition,
  { after = FIRST_POSITION, upTo = LAST_POSITION, publication }: EntryRange,
): AsyncGenerator<PlacedEntry[]> {
  const { component, kinds, architecture } = definition;
  const place = { suite, component, kinds, architecture };
  for (let from = after; ; ) {
    const range = { after: from, upTo, limit: PAGE_ROWS, publication };
    const rows: PlacedPackage[] = await listPackagesOf(sql, place, range);
    const last = rows.at(-1);
    if (!last) return;
    yield rows.map((row) => ({ component, row, phased: row.phased, position: placeOf(row) }));
    if (rows.length < PAGE_ROWS) return;
    from = placeOf(last);
  }
}

const placeOf = ({ added_in, ordinal }: Position): Position => ({ added_in, ordinal });

const NOTHING = Buffer.alloc(0);

/** The bytes of entries; none where one does not show in this index. */
export function renderUnits(
  definition: IndexDefinition,
  entries: readonly PlacedEntry[],
): Unit[] {
  const separator = Buffer.from(definition.separator);
  return entries.map((entry) => {
    const bytes = definition.render(entry);
    return {
      bytes: bytes ? Buffer.concat([bytes, separator]) : NOTHING,
      position: entry.position,
    };
  });
}

/** The raw bytes of an index in a publication, in pieces. */
export async function* readContentsOf(
  sql: SqlExecutor,
  suite: string,
  definition: IndexDefinition,
  publication: number | null,
): AsyncGenerator<Buffer> {
  for await (const entries of listEntries(sql, suite, definition, { publication })) {
    yield Buffer.concat(renderUnits(definition, entries).map(({ bytes }) => bytes));
  }
}

/** What a change brings into an index, in publication `number`. */
export function listAdded(
  definition: IndexDefinition,
  change: Pick<Change, 'additions'>,
  number: number,
): PlacedEntry[] {
  return change.additions
    .map((addition, ordinal) => ({ ...addition, position: { added_in: number, ordinal } }))
    .filter((entry) => belongsTo(definition, entry));
}

/** Where those stand that a change takes out of an index. */
export async function findRemoved(
  sql: SqlExecutor,
  suite: string,
  definition: IndexDefinition,
  removals: readonly Removal[],
): Promise<Position[]> {
  const positions: Position[] = [];
  for (const { component, row } of removals.filter((one) => belongsTo(definition, one))) {
    const listing = await isListed(sql, suite, component, row.id);
    if (listing) positions.push(placeOf(listing));
  }
  return positions;
}
