/**
 * A received file becomes a package of a suite: read from the archive, never from its file name,
 * checked, placed in the pool, published. The answer comes when apt can install it. Floor 3.
 */
import { randomUUID } from 'node:crypto';
import type { PackedPaths } from '../catalog/contents.ts';
import { findPackage, isListed, type PackageRow } from '../catalog/packages.ts';
import { readPackage, verifyData } from '../deb/archive.ts';
import { PathList } from '../deb/contents.ts';
import { type Control, parseControl, renderStanza } from '../deb/control.ts';
import { poolKey } from '../deb/layout.ts';
import { matchesPattern } from '../deb/names.ts';
import { RefusalError } from '../errors.ts';
import { openFileSource } from '../storage/file-source.ts';
import { packPaths } from './contents.ts';
import { lockPackages, spellPackage } from './pool-lock.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { getSuite, type Suite } from './suites.ts';

export interface IngestParts extends Repository {
  publisher: Publisher;
}

/** A received file, whole and hashed; `sha256` in lower-case hex. */
export interface ReceivedFile {
  path: string;
  size: number;
  sha256: string;
}

export interface IngestRequest {
  /** Taken whole or not at all: one refused file refuses them all. */
  files: readonly ReceivedFile[];
  suite: string;
  component: string | undefined;
  actor: string;
  /** Patterns of the package names that may be added; null for all. */
  packages: readonly string[] | null;
  /** Asked once more before anything is placed: a certificate may be revoked in mid-upload. */
  confirm: () => void;
}

/** `isNew` is false where exactly these bytes were listed there before. */
export interface IngestResult {
  package: string;
  version: string;
  architecture: string;
  suite: string;
  component: string;
  filename: string;
  size: number;
  sha256: string;
  publication: number;
  isNew: boolean;
}

/** data.tar may unpack to this much; past it a package is refused as a bomb. */
const MAX_DATA_BYTES = 64 * 1024 ** 3;

/** @throws RefusalError COMPONENT_UNKNOWN */
export function chooseComponent(suite: Suite, component: string | undefined): string {
  const chosen = component ?? suite.components[0] ?? '';
  if (suite.components.includes(chosen)) return chosen;
  throw new RefusalError(
    'COMPONENT_UNKNOWN',
    `suite ${suite.name} has no component ${JSON.stringify(chosen.slice(0, 80))}; it has ${suite.components.join(', ')}`,
  );
}

/** @throws RefusalError PACKAGE_FORBIDDEN */
function checkAllowed({ actor, packages }: IngestRequest, name: string): void {
  if (packages === null || packages.some((pattern) => matchesPattern(pattern, name))) return;
  throw new RefusalError(
    'PACKAGE_FORBIDDEN',
    `${actor} may add the packages ${packages.join(', ')}, not ${name}`,
  );
}

/** A file that was read to its end, and what it says. */
interface Proven {
  control: Control;
  contents: PackedPaths;
  file: ReceivedFile;
}

/** Reads and proves the archive, judged by the name inside it; nothing is placed yet. */
async function inspect(file: ReceivedFile, request: IngestRequest): Promise<Proven> {
  const source = await openFileSource(file.path);
  try {
    const archive = await readPackage(source);
    const control = parseControl(archive.control);
    checkAllowed(request, control.name);
    const paths = new PathList();
    const limits = { outputBytes: MAX_DATA_BYTES };
    await verifyData(source, archive, limits, (path) => paths.add(path));
    return { control, contents: await packPaths(paths), file };
  } finally {
    await source.close();
  }
}

function checkArchitecture(control: Control, suite: Suite): void {
  if (control.architecture === 'all' || suite.architectures.includes(control.architecture)) return;
  throw new RefusalError(
    'PACKAGE_UNACCEPTABLE',
    `Architecture ${control.architecture}: suite ${suite.name} holds ${suite.architectures.join(', ')} and all`,
  );
}

/** An installer's package in the common index would be offered to every host. */
function checkKind(control: Control): void {
  const field = control.fields.find(({ name }) => name.toLowerCase() === 'package-type');
  const kind = field?.value.toString('latin1').trim() ?? 'deb';
  if (kind !== 'udeb') return;
  throw new RefusalError(
    'PACKAGE_UNACCEPTABLE',
    'Package-Type udeb: this version keeps no index for the Debian installer',
  );
}

/** A file that was read and proven, with the row it has or will have. */
interface Candidate {
  file: ReceivedFile;
  row: PackageRow;
  contents: PackedPaths;
  isNew: boolean;
  /** The publication that lists it since before this request; undefined where none does. */
  listedIn: number | undefined;
}

function createRow(
  control: Control,
  file: ReceivedFile,
  component: string,
  upload: { at: string; by: string },
): PackageRow {
  const { name, version, architecture } = control;
  const source = control.source.name;
  const kind = 'deb';
  const filename = poolKey({ component, source, name, version, architecture, kind });
  const { size, sha256 } = file;
  return {
    ...{ id: randomUUID(), name, version, architecture, kind, source, component },
    stanza: renderStanza(control, { filename, size, sha256 }),
    ...{ filename, size, sha256, uploaded_at: upload.at, uploaded_by: upload.by, hashes: '{}' },
  };
}

/** What the catalog says of a proven file. @throws RefusalError PACKAGE_CONFLICT */
async function matchCatalog(
  parts: IngestParts,
  request: IngestRequest,
  place: { suite: string; component: string },
  proven: Proven,
): Promise<Candidate> {
  const { control, contents, file } = proven;
  const { name, version, architecture } = control;
  const known = await findPackage(parts.catalog, name, version, architecture);
  if (!known) {
    const at = new Date(parts.now()).toISOString();
    const row = createRow(control, file, place.component, { at, by: request.actor });
    return { file, row, contents, isNew: true, listedIn: undefined };
  }
  refuseOtherBytes(control, known.sha256, file.sha256);
  const listing = await isListed(parts.catalog, place.suite, place.component, known.id);
  return { file, row: known, contents, isNew: false, listedIn: listing?.added_in };
}

function refuseOtherBytes(control: Control, known: string, sent: string): void {
  if (known === sent) return;
  throw new RefusalError(
    'PACKAGE_CONFLICT',
    `${control.name} ${control.version} ${control.architecture} is there with SHA256 ${known}; the upload has ${sent}`,
  );
}

/** Puts the bytes into the pool and the packages into the suite's next publication. */
async function placeAll(
  parts: IngestParts,
  request: IngestRequest,
  place: { suite: string; component: string },
  candidates: readonly Candidate[],
): Promise<number> {
  const { component } = place;
  const written: PackageRow[] = [];
  try {
    for (const { file, row, isNew } of candidates) {
      if (!isNew) continue;
      written.push(row);
      await parts.storage.write(row.filename, file);
    }
    const publication = await parts.publisher.submit(place.suite, {
      additions: candidates.map(({ row, contents, isNew }) => ({
        component,
        row,
        contents,
        isNew,
      })),
      removals: [],
      reason: `add ${candidates.map(({ row }) => `${row.name} ${row.version} ${row.architecture}`).join(', ')}`,
      actor: request.actor,
    });
    return publication.number;
  } catch (error) {
    for (const row of written) await removeUnrecorded(parts, row);
    throw error;
  }
}

/** A failed publication leaves no package behind, unless it was recorded before the failure. */
async function removeUnrecorded(parts: IngestParts, row: PackageRow): Promise<void> {
  const recorded = await findPackage(parts.catalog, row.name, row.version, row.architecture);
  if (!recorded) await parts.storage.remove(row.filename);
}

/**
 * Add received files to a suite in one publication. Same bytes again change nothing; other bytes
 * are refused. Results come in the order of the files.
 * @throws RefusalError SUITE_UNKNOWN, COMPONENT_UNKNOWN, PACKAGE_FORBIDDEN, PACKAGE_MALFORMED,
 *   PACKAGE_UNACCEPTABLE, PACKAGE_CONFLICT, SPACE_EXHAUSTED
 */
export async function ingestPackages(
  parts: IngestParts,
  request: IngestRequest,
): Promise<IngestResult[]> {
  const suite = await getSuite(parts, request.suite);
  const component = chooseComponent(suite, request.component);
  const place = { suite: suite.name, component };
  const proven = new Map<string, Proven>();
  for (const file of request.files) {
    const one = await inspect(file, request);
    const { control } = one;
    checkArchitecture(control, suite);
    checkKind(control);
    const twin = proven.get(spellPackage(control));
    if (twin) refuseOtherBytes(control, twin.file.sha256, file.sha256);
    proven.set(spellPackage(control), one);
  }
  return lockPackages(parts.catalog, [...proven.keys()], async () => {
    const candidates: Candidate[] = [];
    for (const one of proven.values()) {
      candidates.push(await matchCatalog(parts, request, place, one));
    }
    request.confirm();
    const unlisted = candidates.filter((candidate) => candidate.listedIn === undefined);
    const publication = unlisted.length ? await placeAll(parts, request, place, unlisted) : 0;
    return candidates.map(({ row, listedIn }) => ({
      ...{ package: row.name, version: row.version, architecture: row.architecture, ...place },
      ...{ filename: row.filename, size: row.size, sha256: row.sha256 },
      publication: listedIn ?? publication,
      isNew: listedIn === undefined,
    }));
  });
}
