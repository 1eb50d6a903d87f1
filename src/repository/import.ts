/**
 * A repository of others becomes a suite of ours: every file read once, the bytes into the pool
 * together, and one publication at the end. Until then nothing of it is seen, and a killed import
 * leaves nothing but bytes that the next one uses and `sweep` would take. Floor 3.
 */
import { randomUUID } from 'node:crypto';
import { findPoolFile } from '../catalog/package-files.ts';
import { findPackagesNamed, listListings, type PackageRow } from '../catalog/packages.ts';
import { markSuiteRemoved, raiseFloors } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import type { AdoptedFile } from '../storage/storage.ts';
import type { Addition } from './change.ts';
import { hashAdditions } from './extra-hashes.ts';
import { type RefusedFile, readSourceFiles, type Taken } from './import-read.ts';
import { type ImportSource, openSource, type SourceRequest } from './import-source.ts';
import { settleSuite } from './import-suite.ts';
import type { IngestParts } from './ingest.ts';
import { holdPackages, spellPackage } from './pool-lock.ts';
import { createSuite, getSuite, type SuiteDefinition } from './suites.ts';

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

export interface ImportResult {
  suite: string;
  publication: number;
  /** Packages that were not listed before, and those that were. */
  added: number;
  present: number;
  refused: RefusedFile[];
}

/** Where two of one name, version and architecture would be one package: by their index. */
const spell = (row: Pick<PackageRow, 'name' | 'version' | 'architecture' | 'kind'>): string =>
  `${spellPackage(row)}${row.kind === 'udeb' ? ' udeb' : ''}`;

const describe = ({ name, version, architecture }: Taken['row']): string =>
  `${name} ${version} ${architecture}`;

/** The same name twice is one package; with other bytes it is refused. */
function findTwins(taken: readonly Taken[]): { distinct: Taken[]; refused: RefusedFile[] } {
  const first = new Map<string, Taken>();
  const distinct: Taken[] = [];
  const refused: RefusedFile[] = [];
  const listed = new Set<string>();
  for (const one of taken) {
    const name = spell(one.row);
    const twin = first.get(name);
    if (!twin) first.set(name, one);
    if (twin && twin.row.sha256 !== one.row.sha256) {
      const why = `${describe(one.row)} is ${twin.path} as well, with other bytes`;
      refused.push({ file: one.path, code: 'PACKAGE_CONFLICT', why });
    } else if (!listed.has(`${one.component} ${name}`)) {
      listed.add(`${one.component} ${name}`);
      // Its bytes lie in one place, however many components list it.
      distinct.push(twin ? { ...twin, component: one.component } : one);
    }
  }
  return { distinct, refused };
}

interface Candidates {
  additions: Addition[];
  adopted: Map<string, AdoptedFile>;
  present: number;
  refused: RefusedFile[];
}

/** What of a new package has yet to be written. @throws RefusalError PACKAGE_CONFLICT */
async function listWrites(
  parts: IngestParts,
  { files, writes }: Taken,
  brought: Map<string, string>,
): Promise<AdoptedFile[]> {
  // Two versions of a source may share files; what is no such file stands in one row alone.
  const shared = new Set<string>();
  for (const { filename, sha256 } of files) {
    const known = brought.get(filename) ?? (await findPoolFile(parts.catalog, filename))?.sha256;
    if (known !== undefined && known !== sha256) {
      const why = `${filename} is there with SHA256 ${known}; the source has ${sha256}`;
      throw new RefusalError('PACKAGE_CONFLICT', why);
    }
    if (known !== undefined) shared.add(filename);
    brought.set(filename, sha256);
  }
  return writes.filter(({ key }) => !shared.has(key));
}

/** What the catalog has of them already. */
async function matchCatalog(
  parts: IngestParts,
  request: ImportRequest,
  taken: readonly Taken[],
): Promise<Candidates> {
  const names = [...new Set(taken.map(({ row }) => row.name))];
  const known = new Map<string, PackageRow>();
  for (const row of await findPackagesNamed(parts.catalog, names)) known.set(spell(row), row);
  const listings = new Set<string>();
  for (const { component, package_id } of await listListings(parts.catalog, request.suite)) {
    listings.add(`${component} ${package_id}`);
  }
  const upload = { uploaded_at: new Date(parts.now()).toISOString(), uploaded_by: request.actor };
  const found: Candidates = { additions: [], adopted: new Map(), present: 0, refused: [] };
  const brought = new Map<string, string>();
  for (const one of taken) {
    const { row, component, path } = one;
    const recorded = known.get(spell(row));
    if (recorded && recorded.sha256 !== row.sha256) {
      const why = `${describe(row)} is there with SHA256 ${recorded.sha256}; the source has ${row.sha256}`;
      found.refused.push({ file: path, code: 'PACKAGE_CONFLICT', why });
      continue;
    }
    if (recorded) {
      if (listings.has(`${component} ${recorded.id}`)) found.present += 1;
      else found.additions.push({ component, row: recorded, isNew: false });
      continue;
    }
    try {
      const writes = await listWrites(parts, one, brought);
      const whole = { id: randomUUID(), ...row, ...upload };
      known.set(spell(row), whole);
      for (const file of writes) found.adopted.set(file.key, file);
      const files = one.files.map((file) => ({ package_id: whole.id, ...file }));
      found.additions.push({ component, row: whole, isNew: true, files });
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      found.refused.push({ file: path, code: error.code, why: error.message });
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

/** Leaves what was recorded before the failure. */
async function undo(parts: IngestParts, suite: string | undefined, keys: Iterable<string>) {
  if (suite !== undefined) {
    const at = new Date(parts.now()).toISOString();
    await parts.catalog.transaction((sql) => markSuiteRemoved(sql, suite, at));
  }
  for (const key of keys) {
    if (!(await findPoolFile(parts.catalog, key))) await parts.storage.remove(key);
  }
}

/** Bytes into the pool, then the publication; on failure both are as they were. */
async function publish(
  parts: IngestParts,
  request: ImportRequest,
  source: ImportSource,
  suite: { definition: SuiteDefinition; exists: boolean },
  found: Candidates,
): Promise<number> {
  const { suite: name, actor } = request;
  let made: string | undefined;
  try {
    await parts.storage.adopt([...found.adopted.values()]);
    if (!suite.exists) {
      await createSuite(parts, suite.definition);
      made = name;
    }
    if (source.release?.date) {
      const floors = { number: 0, date: source.release.date.toISOString() };
      await parts.catalog.transaction((sql) => raiseFloors(sql, name, floors));
    }
    await request.prepare();
    const reason = `import ${found.additions.length} packages`;
    const { hashes } = (await getSuite(parts, name)).options;
    const whole = { additions: found.additions, removals: [], reason, actor };
    const change = await hashAdditions(parts, hashes, whole);
    const { number } = await parts.publisher.submit(name, async ({ publication }) =>
      // A suite that was just made is published, however empty it is.
      change.additions.length > 0 ? change : publication > 0 ? undefined : change,
    );
    return number;
  } catch (error) {
    await undo(parts, made, found.adopted.keys());
    throw error;
  }
}

/** Every name that another could take or take away meanwhile. */
const listNames = (taken: readonly Taken[]): string[] =>
  taken.flatMap(({ row, files }) => [
    spellPackage(row),
    ...(row.kind === 'dsc' ? [row.filename] : []),
    ...files.map(({ filename }) => filename),
  ]);

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
      const { checkData, progress } = request;
      const reading = { component: request.components?.[0], checkData, progress };
      const { taken, refused } = await readSourceFiles(source, suite.definition, reading);
      const { distinct, refused: twins } = findTwins(taken);
      return await holdPackages(parts.catalog, listNames(distinct), async () => {
        const found = await matchCatalog(parts, request, distinct);
        const bad = [...refused, ...twins, ...found.refused];
        if (bad.length > 0 && !request.skipBad) throw refuseAll(bad, source.files.length);
        const publication = await publish(parts, request, source, suite, found);
        const { additions, present } = found;
        return {
          ...{ suite: request.suite, publication, added: additions.length },
          ...{ present, refused: bad },
        };
      });
    } finally {
      await source.place.close();
    }
  });
}
