/**
 * What stands in an index, from the catalog alone. Of publication N these are the listings with
 * `added_in` <= N and `removed_in` null or > N, in the order of `added_in`, then `ordinal`; of
 * Contents the same by `contents_in` and `contents_ordinal`. The raw index is each one's rendering
 * with the separator behind it, and nothing else. (Publications made before migration 7 had
 * separators between the stanzas only.) Floor 3.
 */
import {
  FIRST_POSITION,
  findPosition,
  LAST_POSITION,
  listPackagesOf,
  type Position,
} from '../catalog/listings.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import type { Change, Removal } from './change.ts';
import { loadLines } from './contents.ts';
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

/** Rows of some kilobytes each, or with lines of up to some megabytes. */
const PAGE_ROWS = { listing: 1000, contents: 100 } as const;

/** The entries of an index in their order, some at a time. */
export async function* listEntries(
  sql: SqlExecutor,
  suite: string,
  definition: IndexDefinition,
  { after = FIRST_POSITION, upTo = LAST_POSITION, publication }: EntryRange,
): AsyncGenerator<PlacedEntry[]> {
  const { component, kinds, architecture, since } = definition;
  const place = { suite, component, kinds, architecture };
  const limit = PAGE_ROWS[since];
  for (let from = after; ; ) {
    const range = { after: from, upTo, limit, publication };
    const rows = await listPackagesOf(sql, place, since, range);
    const last = rows.at(-1);
    if (!last) return;
    const entries = rows.map(
      (row): PlacedEntry => ({ component, row, phased: row.phased, position: placeOf(row) }),
    );
    yield since === 'contents' ? await addLines(sql, entries) : entries;
    if (rows.length < limit) return;
    from = placeOf(last);
  }
}

const placeOf = ({ publication, ordinal }: Position): Position => ({ publication, ordinal });

async function addLines(sql: SqlExecutor, entries: PlacedEntry[]): Promise<PlacedEntry[]> {
  const loaded = await loadLines(sql, entries);
  const lines = new Map(loaded.map((entry) => [entry.row.id, entry.lines]));
  return entries.map((entry) => ({ ...entry, lines: lines.get(entry.row.id) ?? NOTHING }));
}

const NOTHING = Buffer.alloc(0);

/** The bytes of entries; none where one does not show in this index. */
export function renderUnits(definition: IndexDefinition, entries: readonly PlacedEntry[]): Unit[] {
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

/**
 * What a change brings into an index, in publication `number`.
 * @param contents the entries whose lines become known with it.
 */
export function listAdded(
  definition: IndexDefinition,
  change: Pick<Change, 'additions'>,
  contents: readonly Entry[],
  number: number,
): PlacedEntry[] {
  const entering: readonly Entry[] = definition.since === 'contents' ? contents : change.additions;
  return entering
    .map((entry, ordinal) => ({ ...entry, position: { publication: number, ordinal } }))
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
    const listing = { suite, component, packageId: row.id };
    const position = await findPosition(sql, listing, definition.since);
    if (position) positions.push(placeOf(position));
  }
  return positions;
}
