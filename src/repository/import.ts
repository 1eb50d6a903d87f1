/**
 * A repository of others becomes a suite of ours: every file read once, the bytes into the pool
 * together, and one publication at the end. Until then nothing of it is seen, and a killed import
 * leaves nothing but bytes that the next one uses and `sweep` would take. Floor 3.
 */
import { randomUUID } from 'node:crypto';
import { findPackagesNamed, listListings, type PackageRow } from '../catalog/packages.ts';
import { markSuiteRemoved, raiseFloors } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import type { AdoptedFile } from '../storage/storage.ts';
import type { Addition } from './change.ts';
import {
  type ImportSource,
  openSource,
  type SourceFile,
  type SourceRequest,
} from './import-source.ts';
import { settleSuite } from './import-suite.ts';
import type { IngestParts } from './ingest.ts';
import { type Inspected, Inspector } from './inspect.ts';
import { holdPackages, spellPackage } from './pool-lock.ts';
import { createSuite, type SuiteDefinition } from './suites.ts';

/** Files on their way from a server, or waiting for a thread, at once. */
const FILES_AT_ONCE = 512;
/** So many refused files are named in a refusal. */
const MAX_NAMED = 50;

export interface ImportRequest extends SourceRequest {
  suite: string;
  /** For a suite that is made: milliseconds from Date to Valid-Until. */
  validFor: number;
  /** Whether data.tar is read; undefined: where no index vouches for the file. */
  checkData: boolean | undefined;
  /** Whether the others are imported where some files are refused. */
  skipBad: boolean;
  actor: string;
  /** The last step before the publication. */
  prepare: () => Promise<void>;
  progress: (done: number, total: number) => void;
}

export interface RefusedFile {
  file: string;
  code: string;
  why: string;
}

export interface ImportResult {
  suite: string;
  publication: number;
  /** Packages that were not listed before, and those that were. */
  added: number;
  present: number;
  refused: RefusedFile[];
  leftOut: { sources: number; installer: number };
}

interface Taken extends Inspected {
  path: string;
  /** Of the listing; the row's own is where its bytes lie. */
  component: string;
}

/** Works through a list with so many under way at once; the order of the results is the list's. */
async function mapLimited<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  let next = 0;
  const run = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      results[at] = await work(items[at] as Item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
  return results;
}

/** Reads every file of the source; a refused one is in the second list. */
async function readFiles(
  source: ImportSource,
  definition: SuiteDefinition,
  request: ImportRequest,
): Promise<{ taken: Taken[]; refused: RefusedFile[] }> {
  const inspector = new Inspector();
  const taken: Taken[] = [];
  const refused: RefusedFile[] = [];
  let done = 0;
  const read = async (file: SourceFile): Promise<void> => {
    const { expected } = file;
    const path = await source.place.bring(file.path, expected?.size ?? 0);
    const component = file.component ?? request.components?.[0] ?? definition.components[0] ?? '';
    const checkData = request.checkData ?? expected?.sha256 === undefined;
    const { inspected, fault } = await inspector.inspect({ path, component, expected, checkData });
    const other = inspected && findMisfit(inspected.row, definition);
    if (inspected && other === undefined) taken.push({ ...inspected, path, component });
    else
      refused.push({
        file: file.path,
        ...(fault ?? { code: 'PACKAGE_UNACCEPTABLE', why: other ?? '' }),
      });
    done += 1;
    request.progress(done, source.files.length);
  };
  try {
    await mapLimited(source.files, FILES_AT_ONCE, read);
  } finally {
    await inspector.close();
  }
  return { taken, refused };
}

function findMisfit(row: Inspected['row'], suite: SuiteDefinition): string | undefined {
  const { architecture } = row;
  if (architecture === 'all' || suite.architectures.includes(architecture)) return undefined;
  return `Architecture ${architecture}: suite ${suite.name} holds ${suite.architectures.join(', ')} and all`;
}

/** The same name twice is one package; with other bytes it is refused. */
function findTwins(taken: readonly Taken[]): { distinct: Taken[]; refused: RefusedFile[] } {
  const first = new Map<string, Taken>();
  const distinct: Taken[] = [];
  const refused: RefusedFile[] = [];
  const listed = new Set<string>();
  for (const one of taken) {
    const name = spellPackage(one.row);
    const twin = first.get(name);
    if (!twin) first.set(name, one);
    if (twin && twin.row.sha256 !== one.row.sha256) {
      const why = `${one.row.name} ${one.row.version} ${one.row.architecture} is ${twin.path} as well, with other bytes`;
      refused.push({ file: one.path, code: 'PACKAGE_CONFLICT', why });
    } else if (!listed.has(`${one.component} ${name}`)) {
      listed.add(`${one.component} ${name}`);
      // Its bytes lie in one place, however many components list it.
      distinct.push(twin ? { ...one, row: twin.row } : one);
    }
  }
  return { distinct, refused };
}

interface Candidates {
  additions: Addition[];
  adopted: AdoptedFile[];
  present: number;
  refused: RefusedFile[];
}

/** What the catalog has of them already. */
async function matchCatalog(
  parts: IngestParts,
  request: ImportRequest,
  taken: readonly Taken[],
): Promise<Candidates> {
  const names = [...new Set(taken.map(({ row }) => row.name))];
  const known = new Map<string, PackageRow>();
  for (const row of await findPackagesNamed(parts.catalog, names))
    known.set(spellPackage(row), row);
  const listings = new Set<string>();
  for (const { component, package_id } of await listListings(parts.catalog, request.suite)) {
    listings.add(`${component} ${package_id}`);
  }
  const upload = { uploaded_at: new Date(parts.now()).toISOString(), uploaded_by: request.actor };
  const found: Candidates = { additions: [], adopted: [], present: 0, refused: [] };
  for (const { row, component, path, modified } of taken) {
    const recorded = known.get(spellPackage(row));
    if (recorded && recorded.sha256 !== row.sha256) {
      const why = `${row.name} ${row.version} ${row.architecture} is there with SHA256 ${recorded.sha256}; the source has ${row.sha256}`;
      found.refused.push({ file: path, code: 'PACKAGE_CONFLICT', why });
    } else if (recorded && listings.has(`${component} ${recorded.id}`)) {
      found.present += 1;
    } else {
      const whole = recorded ?? { id: randomUUID(), ...row, ...upload };
      if (!recorded) {
        known.set(spellPackage(row), whole);
        found.adopted.push({ key: row.filename, path, size: row.size, modified });
      }
      found.additions.push({ component, row: whole, isNew: !recorded });
    }
  }
  return found;
}

function refuseAll(refused: readonly RefusedFile[], total: number): RefusalError {
  const named = refused.slice(0, MAX_NAMED).map(({ file, why }) => `${file}: ${why}`);
  const more = refused.length - named.length;
  return new RefusalError(
    'SOURCE_UNACCEPTABLE',
    `${refused.length} of ${total} packages are not accepted, and nothing was imported; --skip-bad imports the others\n  ${named.join('\n  ')}${more > 0 ? `\n  and ${more} more` : ''}`,
  );
}

/** Bytes into the pool, then the publication; on failure both are as they were. */
async function publish(
  parts: IngestParts,
  request: ImportRequest,
  source: ImportSource,
  suite: { definition: SuiteDefinition; exists: boolean },
  found: Candidates,
): Promise<number> {
  const name = request.suite;
  let made = false;
  try {
    await parts.storage.adopt(found.adopted);
    if (!suite.exists) {
      await createSuite(parts, suite.definition);
      made = true;
    }
    if (source.release?.date) {
      const floors = { number: 0, date: source.release.date.toISOString() };
      await parts.catalog.transaction((sql) => raiseFloors(sql, name, floors));
    }
    await request.prepare();
    const { additions } = found;
    const { number } = await parts.publisher.submit(name, async ({ publication }) => {
      if (additions.length === 0 && publication > 0) return undefined;
      const reason = `import ${additions.length} packages`;
      return { additions, removals: [], reason, actor: request.actor };
    });
    return number;
  } catch (error) {
    if (made) {
      const at = new Date(parts.now()).toISOString();
      await parts.catalog.transaction((sql) => markSuiteRemoved(sql, name, at));
    }
    const rows = found.additions.filter(({ isNew }) => isNew).map(({ row }) => row);
    const names = [...new Set(rows.map((row) => row.name))];
    const recorded = new Set(
      (await findPackagesNamed(parts.catalog, names)).map(({ filename }) => filename),
    );
    for (const { filename } of rows) {
      if (!recorded.has(filename)) await parts.storage.remove(filename);
    }
    throw error;
  }
}

/**
 * Import a source into a suite, which is made where it is missing; all of it or nothing, unless
 * `skipBad`. Running it again brings what came to the source since.
 * @throws RefusalError SOURCE_UNACCEPTABLE, SUITE_UNKNOWN, SPACE_EXHAUSTED
 */
export function importRepository(
  parts: IngestParts,
  request: ImportRequest,
): Promise<ImportResult> {
  return parts.catalog.lock(`import:${request.suite}`, async () => {
    const now = new Date(parts.now());
    const source = await openSource(request, request.suite, parts.staging, now);
    try {
      const suite = await settleSuite(parts, request.suite, source.release, request.validFor);
      const { taken, refused } = await readFiles(source, suite.definition, request);
      const { distinct, refused: twins } = findTwins(taken);
      const names = distinct.map(({ row }) => spellPackage(row));
      return await holdPackages(parts.catalog, names, async () => {
        const found = await matchCatalog(parts, request, distinct);
        const bad = [...refused, ...twins, ...found.refused];
        if (bad.length > 0 && !request.skipBad) throw refuseAll(bad, source.files.length);
        const publication = await publish(parts, request, source, suite, found);
        return {
          ...{ suite: request.suite, publication, added: found.additions.length },
          ...{ present: found.present, refused: bad, leftOut: source.leftOut },
        };
      });
    } finally {
      await source.place.close();
    }
  });
}
