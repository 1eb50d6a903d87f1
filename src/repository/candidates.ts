/**
 * What the catalog says of proven packages: new, there already, or there with other bytes. Asked
 * while their names are locked. Floor 3.
 */
import { randomUUID } from 'node:crypto';
import type { AuditNote } from '../catalog/audit.ts';
import type { PackedPaths } from '../catalog/contents.ts';
import { findPoolFile, type PackageFileRow } from '../catalog/package-files.ts';
import { findPackage, isListed, listSuitesOfFile, type PackageRow } from '../catalog/packages.ts';
import { renderStanza } from '../deb/control.ts';
import { dscStem } from '../deb/dsc.ts';
import type { NamedFile } from '../deb/file-list.ts';
import { type PackageKind, poolKey, sourceKey } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import type { ProvenBinary } from './binary.ts';
import { type Delivery, type ProvenSource, refuseMissing } from './delivery.ts';
import type { IngestParts, ReceivedFile } from './ingest-request.ts';
import { spellPackage } from './pool-lock.ts';
import { renderDsc } from './reread.ts';
import type { ExtraHash } from './suite-options.ts';

/** A package that was read and proven, with the row it has or will have. */
export interface Candidate {
  component: string;
  row: PackageRow;
  isNew: boolean;
  /** The publication that lists it since before this request; undefined where none does. */
  listedIn: number | undefined;
  contents: PackedPaths | undefined;
  /** What has yet to be written, the package itself last. */
  writes: { key: string; file: ReceivedFile }[];
  /** The files of a source package beside its .dsc. */
  files: PackageFileRow[];
}

/** The request as the rows of the catalog remember it. */
export interface Intake {
  suite: string;
  actor: string;
  /** Those that the suite asks for besides SHA256. */
  hashes: readonly ExtraHash[];
  notes: readonly AuditNote[];
}

/** Kinds that stand in one index: there a name, version and architecture are one package. */
const kinOf = (kind: PackageKind): PackageKind[] => (kind === 'udeb' ? ['udeb'] : ['deb', 'ddeb']);

const spellBinary = ({ control, kind }: ProvenBinary): string =>
  `${spellPackage(control)} ${kinOf(kind)[0]}`;
const spellSource = ({ control: { name, version } }: ProvenSource): string =>
  spellPackage({ name, version, architecture: 'source' });

/** The keys of a source package in a component: its .dsc, then the files that it names. */
function sourceKeys(
  { control }: ProvenSource,
  component: string,
): { dsc: string; files: string[] } {
  const { name, version, files } = control;
  return {
    dsc: sourceKey(component, name, `${dscStem(name, version)}.dsc`),
    files: files.map((file) => sourceKey(component, name, file.name)),
  };
}

/** The names to be locked: of each package, and of each file that two source packages may share. */
export function listNames({ binaries, sources }: Delivery): string[] {
  const names = sources.flatMap((source) => {
    const { dsc, files } = sourceKeys(source, source.component);
    return [spellSource(source), dsc, ...files];
  });
  return [...binaries.map(({ control }) => spellPackage(control)), ...names];
}

/** @throws RefusalError PACKAGE_CONFLICT naming both hashes. */
export function refuseOtherBytes(what: string, known: string, sent: string): void {
  if (known === sent) return;
  throw new RefusalError(
    'PACKAGE_CONFLICT',
    `${what} is there with SHA256 ${known}; the upload has ${sent}`,
  );
}

const byName = (control: { name: string; version: string }, architecture: string): string =>
  `${control.name} ${control.version} ${architecture}`;

/** @throws RefusalError PACKAGE_CONFLICT two of one name with other bytes. */
export function mergeTwins({
  binaries,
  sources,
}: Delivery): Pick<Delivery, 'binaries' | 'sources'> {
  const merge = <One extends { file: ReceivedFile }>(
    all: readonly One[],
    nameOf: (one: One) => string,
    describe: (one: One) => string,
  ): One[] => {
    const merged = new Map<string, One>();
    for (const one of all) {
      const twin = merged.get(nameOf(one));
      if (twin) refuseOtherBytes(describe(one), twin.file.sha256, one.file.sha256);
      merged.set(nameOf(one), one);
    }
    return [...merged.values()];
  };
  return {
    binaries: merge(binaries, spellBinary, ({ control }) => byName(control, control.architecture)),
    sources: merge(sources, spellSource, ({ control }) => byName(control, 'source')),
  };
}

const rowOf = (parts: IngestParts, intake: Intake, file: ReceivedFile) => ({
  id: randomUUID(),
  size: file.size,
  sha256: file.sha256,
  uploaded_at: new Date(parts.now()).toISOString(),
  uploaded_by: intake.actor,
  hashes: '{}',
});

/** The row that is there already, and since when the suite lists it. */
async function describeKnown(
  parts: IngestParts,
  intake: Intake,
  known: PackageRow,
  { component, file }: { component: string; file: ReceivedFile },
): Promise<Candidate> {
  const stored = await parts.storage.stat(known.filename);
  const writes = stored?.size === known.size ? [] : [{ key: known.filename, file }];
  const listing = await isListed(parts.catalog, intake.suite, component, known.id);
  const shared = { component, row: known, isNew: false, writes, files: [] };
  const contents = undefined;
  return { ...shared, contents, listedIn: listing?.added_in };
}

/** @throws RefusalError PACKAGE_CONFLICT */
export async function matchBinary(
  parts: IngestParts,
  intake: Intake,
  proven: ProvenBinary & { component: string },
): Promise<Candidate> {
  const { control, kind, contents, file, component } = proven;
  const { name, version, architecture } = control;
  const known = await findPackage(parts.catalog, name, version, architecture, kinOf(kind));
  if (known) {
    refuseOtherBytes(byName(control, architecture), known.sha256, file.sha256);
    return { ...(await describeKnown(parts, intake, known, proven)), contents };
  }
  const source = control.source.name;
  const filename = poolKey({ component, source, name, version, architecture, kind });
  const { size, sha256 } = file;
  const row = {
    ...rowOf(parts, intake, file),
    ...{ name, version, architecture, kind, source, component, filename },
    stanza: renderStanza(control, { filename, size, sha256 }),
  };
  const writes = [{ key: filename, file }];
  return { component, row, contents, isNew: true, listedIn: undefined, writes, files: [] };
}

/**
 * What of a new source package has to be written. Another version may have brought a file of it:
 * that is not asked for again in a suite that lists it.
 * @throws RefusalError PACKAGE_CONFLICT, UPLOAD_INCOMPLETE
 */
async function listWrites(
  parts: IngestParts,
  suite: string,
  members: readonly { key: string; named: NamedFile; file: ReceivedFile | undefined }[],
): Promise<Candidate['writes']> {
  const writes: Candidate['writes'] = [];
  const missing: NamedFile[] = [];
  for (const { key, named, file } of members) {
    const there = await findPoolFile(parts.catalog, key);
    if (there && (file || (await listSuitesOfFile(parts.catalog, key)).includes(suite))) {
      refuseOtherBytes(named.name, there.sha256, named.sha256);
    } else if (file) writes.push({ key, file });
    else missing.push(named);
  }
  if (missing.length > 0) refuseMissing(suite, missing);
  return writes;
}

/** @throws RefusalError PACKAGE_CONFLICT, UPLOAD_INCOMPLETE, PACKAGE_UNACCEPTABLE */
export async function matchSource(
  parts: IngestParts,
  intake: Intake,
  proven: ProvenSource & { component: string },
): Promise<Candidate> {
  const { control, file, text, members, component } = proven;
  const { name, version } = control;
  const known = await findPackage(parts.catalog, name, version, 'source', ['dsc']);
  if (known) {
    refuseOtherBytes(byName(control, 'source'), known.sha256, file.sha256);
    const candidate = await describeKnown(parts, intake, known, proven);
    const missing = members.filter((member) => member.file === undefined);
    // What one does not have, one does not bring into another suite.
    if (candidate.listedIn === undefined && missing.length > 0) {
      refuseMissing(
        intake.suite,
        missing.map(({ named }) => named),
      );
    }
    return candidate;
  }
  const keys = sourceKeys(proven, component);
  const other = await findPoolFile(parts.catalog, keys.dsc);
  if (other) refuseOtherBytes(`another ${keys.dsc.split('/').at(-1)}`, other.sha256, file.sha256);
  const keyed = members.map((member, i) => ({ ...member, key: keys.files[i] ?? '' }));
  const writes = await listWrites(parts, intake.suite, keyed);
  const row = {
    ...rowOf(parts, intake, file),
    ...{ name, version, architecture: 'source', kind: 'dsc', source: name, component },
    filename: keys.dsc,
    stanza: renderDsc(control, text, { component, size: file.size, sha256: file.sha256 }),
  };
  const files = keyed.map(({ key, named }) => ({
    ...{ package_id: row.id, filename: key, size: named.size, sha256: named.sha256 },
  }));
  writes.push({ key: keys.dsc, file });
  const contents = undefined;
  return { component, row, contents, isNew: true, listedIn: undefined, writes, files };
}
