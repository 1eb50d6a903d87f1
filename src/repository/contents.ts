/**
 * Lines of packages on their way into Contents: with the package where they are few, later where
 * they are many, so that no publication waits for them. Floor 3.
 */
import {
  findContents,
  type LateContents,
  listLateContents,
  type PackedPaths,
} from '../catalog/contents.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { compressGzip, uncompressGzip } from '../deb/at-once.ts';
import { locate, MAX_PATHS_BYTES, renderContents } from '../deb/contents.ts';
import type { Change } from './change.ts';
import type { Entry } from './index-definitions.ts';
import type { Suite } from './suites.ts';

/** Paths of a package up to this come with it; of those that came before, so much with any change. */
const PROMPT_BYTES = 1024 * 1024;
/** What a publication made for them alone takes. */
const BACKLOG_BYTES = MAX_PATHS_BYTES;
const MAX_PROMPT_ENTRIES = 100;
const MAX_BACKLOG_ENTRIES = 2000;
/** After a large import nearly all are unread for a while: no publication looks through them. */
const PROMPT_WINDOW = 500;

/** What is written down of a list; of one with too many paths, that there is nothing to list. */
export async function packPaths(paths: Uint8Array): Promise<PackedPaths> {
  return { paths: await compressGzip(paths), size: paths.length };
}

async function renderLines({ component, row }: Entry, packed: PackedPaths): Promise<Entry> {
  const paths =
    packed.size === 0 ? new Uint8Array() : await uncompressGzip(packed.paths, packed.size);
  return { component, row, lines: renderContents(paths, locate(row.name, row.stanza)) };
}

/** The entries whose paths are known, in their order, with their lines. */
export async function loadLines(
  sql: SqlExecutor,
  entries: readonly Entry[],
  mostBytes = Number.POSITIVE_INFINITY,
): Promise<Entry[]> {
  const found = await findContents(
    sql,
    entries.map(({ row }) => row.id),
  );
  const known = new Map(found.map((one) => [one.package_id, one]));
  const loaded: Entry[] = [];
  for (const entry of entries) {
    const packed = known.get(entry.row.id);
    if (packed && packed.size <= mostBytes) loaded.push(await renderLines(entry, packed));
  }
  return loaded;
}

/** The first of those that are late, as many as are no burden. */
function takeLate(late: readonly LateContents[], mostBytes: number): Entry[] {
  let bytes = 0;
  const taken: Entry[] = [];
  for (const { listed_in, contents_size, ...row } of late) {
    bytes += contents_size;
    // A single one may be larger than all that is taken otherwise.
    if (bytes > mostBytes && !(mostBytes === BACKLOG_BYTES && taken.length === 0)) break;
    taken.push({ component: listed_in, row });
  }
  return taken;
}

/**
 * The entries whose lines enter the suite's Contents with a change, in the order they will have.
 * Sources are among them, without lines: nothing of theirs is to come.
 */
export async function gatherContents(
  sql: SqlExecutor,
  suite: Suite,
  change: Change,
): Promise<Entry[]> {
  if (!suite.options.contents) return [];
  const removed = new Set(change.removals.map(({ component, row }) => `${component} ${row.id}`));
  const late = change.isBacklog
    ? await listLateContents(sql, suite.name, MAX_BACKLOG_ENTRIES)
    : await listLateContents(sql, suite.name, MAX_PROMPT_ENTRIES, PROMPT_WINDOW);
  const staying = late.filter(({ listed_in, id }) => !removed.has(`${listed_in} ${id}`));
  const due = takeLate(staying, change.isBacklog ? BACKLOG_BYTES : PROMPT_BYTES);
  const entering = await loadLines(sql, due);
  const known = change.additions.filter(({ contents }) => contents === undefined);
  const loaded = new Map(
    (await loadLines(sql, known, PROMPT_BYTES)).map((entry) => [keyOf(entry), entry]),
  );
  for (const addition of change.additions) {
    const { component, row, contents } = addition;
    if (row.kind === 'dsc') entering.push({ component, row });
    else if (contents === undefined) {
      const entry = loaded.get(keyOf(addition));
      if (entry) entering.push(entry);
    } else if (contents.size <= PROMPT_BYTES) {
      entering.push(await renderLines({ component, row }, contents));
    }
  }
  return entering;
}

const keyOf = ({ component, row }: Entry): string => `${component} ${row.id}`;
