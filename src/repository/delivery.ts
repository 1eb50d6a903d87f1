/**
 * What an upload is made of: every .changes with all that it names, every .dsc with all that it
 * names, and binary packages on their own. Nothing that was sent is left without a place, and
 * nothing that is named without its file. Floor 3.
 */
import { basename } from 'node:path';
import { listPackageFiles } from '../catalog/package-files.ts';
import { findListedBytes, type PackageRow } from '../catalog/packages.ts';
import { type Changes, changedKind } from '../deb/changes.ts';
import type { SourceControl } from '../deb/dsc.ts';
import type { NamedFile } from '../deb/file-list.ts';
import { RefusalError } from '../errors.ts';
import { checkAllowed, type ProvenBinary, proveBinary } from './binary.ts';
import { chooseComponentFor } from './component.ts';
import type { IngestParts, IngestRequest, ReceivedFile } from './ingest-request.ts';
import { type Paper, readPaper } from './paper.ts';
import { checkSignature, refuseUnsigned } from './signers.ts';
import { Stock } from './stock.ts';
import type { Suite } from './suites.ts';

/** A source package; a member without a file is sought in the pool. */
export interface ProvenSource {
  control: SourceControl;
  file: ReceivedFile;
  text: Buffer;
  members: { named: NamedFile; file: ReceivedFile | undefined }[];
}

/** A package that the suite lists already, named by its hash. */
export interface KnownPackage {
  row: PackageRow;
  component: string;
  publication: number;
}

export interface Delivery {
  sources: (ProvenSource & { component: string })[];
  binaries: (ProvenBinary & { component: string })[];
  known: KnownPackage[];
  /** Fingerprints of who signed. */
  signers: string[];
  stock: Stock;
}

type Papers = ReadonlyMap<ReceivedFile, Paper>;

const quote = (text: string): string => JSON.stringify(text.slice(0, 120));

/** @throws RefusalError UPLOAD_INCOMPLETE naming what is missing. */
export function refuseMissing(suite: string, missing: readonly NamedFile[]): never {
  const names = missing.slice(0, 5).map(({ name, sha256 }) => `${name} (SHA256 ${sha256})`);
  const more = missing.length > names.length ? ` and ${missing.length - names.length} more` : '';
  throw new RefusalError(
    'UPLOAD_INCOMPLETE',
    `${names.join(', ')}${more}: no such file came along, and suite ${suite} has none`,
  );
}

function refuseOther(detail: string): never {
  throw new RefusalError('PACKAGE_UNACCEPTABLE', `.changes: ${detail}`);
}

/** One who asks for what and sends it: put together paper by paper. */
class Assembly {
  readonly #parts: IngestParts;
  readonly #request: IngestRequest;
  readonly #suite: Suite;
  readonly #papers: Papers;
  readonly delivery: Delivery;

  constructor(parts: IngestParts, request: IngestRequest, suite: Suite, papers: Papers) {
    this.#parts = parts;
    this.#request = request;
    this.#suite = suite;
    this.#papers = papers;
    const stock = new Stock(request.files, request.waiting ?? []);
    this.delivery = { sources: [], binaries: [], known: [], signers: [], stock };
  }

  async addChanges(file: ReceivedFile, paper: Paper & { kind: 'changes' }): Promise<void> {
    const { changes } = paper;
    this.delivery.stock.use(file);
    await this.#checkSigned('.changes', paper);
    this.#checkDistribution(changes);
    const missing: NamedFile[] = [];
    const others: NamedFile[] = [];
    let members: NamedFile[] = [];
    for (const named of changes.files) {
      const kind = changedKind(named);
      const sent = await this.delivery.stock.take(named);
      if (kind === 'other') others.push(named);
      else if (sent === undefined) {
        const known = await this.#findKnown(named);
        if (known === undefined) missing.push(named);
        else members = [...members, ...(await this.#addKnown(known, changes))];
      } else if (kind === 'binary') await this.#addBinary(sent, { changes, named: named.name });
      else if (kind === 'dsc') members = (await this.#addSource(sent, changes)).files;
    }
    // Of a build that is listed already, the record of how it was built is not missed.
    const { sources, binaries } = this.delivery;
    const isNew = sources.length + binaries.length > 0;
    const missed = missing.filter((named) => isNew || changedKind(named) !== 'buildinfo');
    if (missed.length > 0) refuseMissing(this.#suite.name, missed);
    for (const named of others) checkMember(named, members);
  }

  async addLoneSource(file: ReceivedFile, paper: Paper & { kind: 'dsc' }): Promise<void> {
    await this.#checkSigned('.dsc', paper);
    await this.#addSource(file, undefined);
  }

  async addLoneBinary(file: ReceivedFile): Promise<void> {
    await this.#addBinary(file);
  }

  async #checkSigned(what: string, paper: Paper): Promise<void> {
    if (this.#request.isOwn) return;
    const signer = await checkSignature(this.#parts, this.#suite, what, paper);
    if (signer !== undefined) this.delivery.signers.push(signer);
  }

  /** A signature is for the suite that the .changes names: there it may not be overruled. */
  #checkDistribution({ distributions }: Changes): void {
    const { name, codename, options } = this.#suite;
    if (distributions.includes(name) || distributions.includes(codename)) return;
    if (this.#request.anyDistribution && options.signers === null) return;
    refuseOther(
      `field Distribution names ${quote(distributions.join(' '))}, the upload is for suite ${name}`,
    );
  }

  async #addBinary(
    file: ReceivedFile,
    { changes, named = '' }: { changes?: Changes; named?: string } = {},
  ): Promise<void> {
    const proven = await proveBinary(this.#parts.prover, file, this.#request, this.#suite, named);
    this.delivery.stock.use(file);
    const { control, isDebug } = proven;
    if (changes) checkBelongs(changes, control.source, control.name, control.architecture);
    else if (!this.#request.isOwn) refuseUnsigned(this.#suite, control.name);
    const placed = { section: control.section, isDebug };
    const component = chooseComponentFor(this.#suite, this.#request.component, placed);
    this.delivery.binaries.push({ ...proven, component });
  }

  async #addSource(file: ReceivedFile, changes: Changes | undefined): Promise<SourceControl> {
    const paper = this.#papers.get(file) ?? (await readPaper(file));
    if (paper?.kind !== 'dsc') throw new RefusalError('PACKAGE_MALFORMED', '.dsc: it is none');
    const { control, text } = paper;
    const { stock } = this.delivery;
    checkAllowed(this.#request, control.name);
    if (changes) checkBelongs(changes, control, control.name, 'source');
    stock.use(file);
    const members = [];
    for (const named of control.files) members.push({ named, file: await stock.take(named) });
    const placed = { section: control.section, isDebug: false };
    const component = chooseComponentFor(this.#suite, this.#request.component, placed);
    this.delivery.sources.push({ control, file, text, members, component });
    return control;
  }

  async #findKnown(named: NamedFile): Promise<KnownPackage | undefined> {
    const found = await findListedBytes(this.#parts.catalog, this.#suite.name, named.sha256);
    if (found === undefined || found.size !== named.size) return undefined;
    const { listed_in: component, added_in: publication, ...row } = found;
    return { row, component, publication };
  }

  /** Answers the files that a known source package is made of. */
  async #addKnown(known: KnownPackage, changes: Changes): Promise<NamedFile[]> {
    const { row } = known;
    checkAllowed(this.#request, row.name);
    const source = { name: row.source, version: changes.source.version };
    checkBelongs(changes, source, row.name, row.architecture);
    this.delivery.known.push(known);
    const files = await listPackageFiles(this.#parts.catalog, row.id);
    return files.map(({ filename, size, sha256 }) => ({
      ...{ name: basename(filename), size, sha256, md5: '' },
    }));
  }
}

function checkBelongs(
  changes: Changes,
  source: { name: string; version: string },
  name: string,
  architecture: string,
): void {
  if (source.name !== changes.source.name || source.version !== changes.source.version) {
    refuseOther(
      `${name} is of the source ${source.name} ${source.version}, not of ${changes.source.name} ${changes.source.version}`,
    );
  }
  if (changes.architectures.includes(architecture)) return;
  refuseOther(`${name} is ${architecture}, which field Architecture does not have`);
}

/** What is no package has to be part of the source package. */
function checkMember(named: NamedFile, members: readonly NamedFile[]): void {
  const member = members.find((one) => one.name === named.name);
  if (member === undefined) {
    refuseOther(`${named.name} is neither a package nor named by the .dsc`);
  }
  if (member.sha256 === named.sha256 && member.size === named.size) return;
  refuseOther(`${named.name} is described otherwise than in the .dsc`);
}

/**
 * Sort what was received, read and prove each package.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE, PACKAGE_FORBIDDEN,
 *   UPLOAD_INCOMPLETE, SIGNATURE_REQUIRED, COMPONENT_UNKNOWN
 */
export async function assembleDelivery(
  parts: IngestParts,
  request: IngestRequest,
  suite: Suite,
): Promise<Delivery> {
  const papers = new Map<ReceivedFile, Paper>();
  for (const file of request.files) {
    const paper = await readPaper(file);
    if (paper) papers.set(file, paper);
  }
  const assembly = new Assembly(parts, request, suite, papers);
  const { delivery } = assembly;
  for (const [file, paper] of papers) {
    if (paper.kind === 'changes') await assembly.addChanges(file, paper);
  }
  for (const file of delivery.stock.listUnused()) {
    const paper = papers.get(file);
    if (paper?.kind === 'dsc') await assembly.addLoneSource(file, paper);
  }
  for (const file of delivery.stock.listUnused()) await assembly.addLoneBinary(file);
  return delivery;
}
