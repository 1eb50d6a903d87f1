/**
 * A binary package: debian-binary, control.tar, data.tar, in the order dpkg wants them. Metadata
 * comes from in here and never from a file name. Source of truth: deb(5), dpkg's
 * src/deb/extract.c. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { type ArMember, listMembers, readMembers } from './ar.ts';
import { decompressAtOnce, MAX_PACKED_BYTES } from './at-once.ts';
import type { ByteSource } from './byte-source.ts';
import { type Compression, compressionOf, decompress } from './decompress.ts';
import { quoteText } from './printable.ts';
import { listPlainMembers, readTar, type TarMember } from './tar.ts';

export interface DataMember {
  /** Of the ar member, as in `data.tar.xz`. */
  name: string;
  /** Of its first byte in the package. */
  offset: number;
  /** Compressed bytes. */
  size: number;
  compression: Compression;
}

export interface PackageArchive {
  /** The bytes of ./control. */
  control: Buffer;
  data: DataMember;
}

/** All of control.tar: the control file, the scripts, the checksums of every file. */
export const MAX_CONTROL_TAR_BYTES = 64 * 1024 * 1024;
export const MAX_CONTROL_BYTES = 1024 * 1024;

const MAX_VERSION_MEMBER_BYTES = 4096;
/** dpkg reads control.tar in these only. */
const CONTROL_COMPRESSIONS: readonly Compression[] = ['none', 'gz', 'xz', 'zst'];

function malformed(detail: string): RefusalError {
  return new RefusalError('PACKAGE_MALFORMED', detail);
}

/** Says in which member a refusal arose. */
function inMember(name: string, error: unknown): unknown {
  if (!(error instanceof RefusalError)) return error;
  return new RefusalError(error.code, `${name}: ${error.message}`);
}

/** The first member, which is small enough to be read. */
function checkFirst(member: ArMember | undefined): ArMember {
  if (member?.name !== 'debian-binary') {
    throw malformed('this is not a Debian package: its first member is not debian-binary');
  }
  if (member.size > MAX_VERSION_MEMBER_BYTES) throw malformed('debian-binary is too long');
  return member;
}

function checkFormatVersion(text: Buffer): void {
  const version = /^([0-9]+)\.[0-9]+\n/.exec(text.toString('latin1'));
  if (version === null) throw malformed(`debian-binary does not parse: ${quoteText(text)}`);
  if (Number(version[1]) !== 2) {
    throw malformed(`its format version is ${version[0].trim()}; only 2.x is known`);
  }
}

interface TarMembers {
  control: DataMember;
  data: DataMember;
}

function asTar(member: ArMember, prefix: string): DataMember {
  const compression = compressionOf(member.name.slice(prefix.length));
  const isKnown =
    compression !== undefined &&
    (prefix !== 'control.tar' || CONTROL_COMPRESSIONS.includes(compression));
  if (!isKnown) throw malformed(`member ${quoteText(member.name)} has an unknown compression`);
  return { ...member, compression };
}

/**
 * control.tar, then data.tar. Members that begin with an underscore may stand anywhere, others
 * behind data.tar only, as for dpkg.
 */
function findTars(members: readonly ArMember[]): TarMembers {
  let control: DataMember | undefined;
  let data: DataMember | undefined;
  for (const member of members) {
    if (member.name.startsWith('_')) continue;
    if (member.name.startsWith('control.tar')) {
      if (control !== undefined) throw malformed('it has more than one control.tar');
      control = asTar(member, 'control.tar');
    } else if (control === undefined) {
      throw malformed(`member ${quoteText(member.name)} stands before control.tar`);
    } else if (member.name.startsWith('data.tar')) {
      if (data !== undefined) throw malformed('it has more than one data.tar');
      data = asTar(member, 'data.tar');
    } else if (data === undefined) {
      throw malformed(`member ${quoteText(member.name)} stands before data.tar`);
    }
  }
  if (control === undefined) throw malformed('it has no control.tar');
  if (data === undefined) throw malformed('it has no data.tar');
  return { control, data };
}

function openTar(
  source: ByteSource,
  member: DataMember,
  outputBytes: number,
): AsyncGenerator<TarMember> {
  return readTar(unpack(source, member, outputBytes));
}

async function* unpack(
  source: ByteSource,
  { offset, size, compression }: DataMember,
  outputBytes: number,
): AsyncGenerator<Uint8Array> {
  const end = offset + size;
  if (size <= MAX_PACKED_BYTES) {
    const whole = decompressAtOnce(await source.read(offset, end), compression);
    if (whole !== undefined && whole.length <= outputBytes) {
      yield whole;
      return;
    }
  }
  yield* decompress(source.stream(offset, end), compression, { outputBytes });
}

/** Path segments without the `.` and the empty ones, which mean nothing. */
function segmentsOf(name: string): string[] {
  return name.split('/').filter((segment) => segment !== '' && segment !== '.');
}

function checkPath(member: Pick<TarMember, 'name'>): string[] {
  const segments = segmentsOf(member.name);
  if (segments.includes('..')) {
    throw malformed(`member ${quoteText(member.name)} would be unpacked elsewhere`);
  }
  return segments;
}

/** Which member of control.tar is the control file; each is shown once, in their order. */
class ControlSearch {
  #isFound = false;
  readonly #links = new Set<string>();

  /** Whether it is this one. @throws RefusalError PACKAGE_MALFORMED */
  accepts(member: Omit<TarMember, 'read'>): boolean {
    const segments = checkPath(member);
    const first = segments[0] ?? '';
    // Through a link to the directory itself, a second control could be slipped past us.
    if (segments.length > 1 && this.#links.has(first)) {
      throw malformed(`member ${quoteText(member.name)} lies behind a symbolic link`);
    }
    if (member.type === 'symlink') this.#links.add(first);
    if (segments.length !== 1 || first !== 'control') return false;
    if (this.#isFound) throw malformed('it has more than one control file');
    if (member.type !== 'file' || !/^(\.\/)?control$/.test(member.name)) {
      throw malformed(`control is a ${member.type} written ${quoteText(member.name)}`);
    }
    if (member.size > MAX_CONTROL_BYTES) {
      throw malformed(`the control file has ${member.size} bytes; at most 1 MiB is read`);
    }
    this.#isFound = true;
    return true;
  }
}

async function readControlFile(members: AsyncIterable<TarMember>): Promise<Buffer> {
  let control: Buffer | undefined;
  const search = new ControlSearch();
  for await (const member of members) {
    if (search.accepts(member)) control = Buffer.from(await member.read());
  }
  if (control === undefined) throw malformed('it has no control file');
  return control;
}

/**
 * The control file, and where data.tar lies, which is not read here.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE
 */
export async function readPackage(source: ByteSource): Promise<PackageArchive> {
  const members = await readMembers(source);
  const { offset, size } = checkFirst(members[0]);
  checkFormatVersion(await source.read(offset, offset + size));
  const { control, data } = findTars(members.slice(1));
  try {
    return {
      control: await readControlFile(openTar(source, control, MAX_CONTROL_TAR_BYTES)),
      data,
    };
  } catch (error) {
    throw inMember(control.name, error);
  }
}

function unpackAtOnce(bytes: Buffer, { offset, size, compression }: DataMember) {
  return decompressAtOnce(bytes.subarray(offset, offset + size), compression);
}

function findControlAtOnce(tar: Buffer): Buffer | undefined {
  const search = new ControlSearch();
  const [found] = listPlainMembers(tar)?.filter((member) => search.accepts(member)) ?? [];
  return found && tar.subarray(found.start, found.start + found.size);
}

/** Whether it is read to its end, and nothing is out of the ordinary. */
function isDataPlain(tar: Buffer): boolean {
  const members = listPlainMembers(tar);
  for (const member of members ?? []) checkPath(member);
  return members !== undefined;
}

/**
 * The control file of a small plain package that is in memory, without waiting; data.tar is read to
 * its end as by `verifyData` where that is asked for. Undefined where anything is out of the
 * ordinary, refused or not: then the readers that wait say what it is.
 */
export function readPlainPackage(
  bytes: Buffer,
  { checkData }: { checkData: boolean },
): Buffer | undefined {
  try {
    const members = listMembers(bytes);
    const { offset, size } = checkFirst(members[0]);
    checkFormatVersion(bytes.subarray(offset, offset + size));
    const { control, data } = findTars(members.slice(1));
    const tar = unpackAtOnce(bytes, control);
    const found = tar && findControlAtOnce(tar);
    if (found === undefined || !checkData) return found;
    const files = unpackAtOnce(bytes, data);
    return files && isDataPlain(files) ? found : undefined;
  } catch (error) {
    if (error instanceof RefusalError) return undefined;
    throw error;
  }
}

/**
 * Reads data.tar to its end, so that what dpkg would stumble over is known before a host does.
 * @param limits outputBytes: the most that data.tar may unpack to.
 * @param onPath told of every member that is no directory, by its name as written, one character
 *   a byte.
 * @returns the number of members that are no directories, and the bytes of their contents
 * @throws RefusalError PACKAGE_MALFORMED damaged, cut off, or a path that leaves the root
 * @throws RefusalError PACKAGE_UNACCEPTABLE past the limit, or what is not supported
 */
export async function verifyData(
  source: ByteSource,
  archive: PackageArchive,
  limits: { outputBytes: number },
  onPath: (name: string) => void = () => undefined,
): Promise<{ files: number; bytes: number }> {
  let files = 0;
  let bytes = 0;
  try {
    for await (const member of openTar(source, archive.data, limits.outputBytes)) {
      checkPath(member);
      if (member.type !== 'directory') {
        files += 1;
        onPath(member.name);
      }
      bytes += member.size;
    }
  } catch (error) {
    throw inMember(archive.data.name, error);
  }
  return { files, bytes };
}

/**
 * The first that there is of some files of data.tar, looked for in the order given; undefined where
 * there is none, or where it is larger than asked for.
 * @param wanted paths without a slash at their beginning.
 * @param limits outputBytes: what data.tar may unpack to; fileBytes: what the file may have.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE
 */
export async function readDataFile(
  source: ByteSource,
  archive: PackageArchive,
  wanted: readonly string[],
  limits: { outputBytes: number; fileBytes: number },
): Promise<{ path: string; content: Buffer } | undefined> {
  let best: { path: string; content: Buffer } | undefined;
  let rank = wanted.length;
  for await (const member of openTar(source, archive.data, limits.outputBytes)) {
    if (member.type !== 'file' || member.size > limits.fileBytes) continue;
    const path = segmentsOf(member.name).join('/');
    const at = wanted.indexOf(path);
    if (at === -1 || at >= rank) continue;
    best = { path, content: Buffer.from(await member.read()) };
    rank = at;
    if (rank === 0) break;
  }
  return best;
}
