/**
 * The only author of a path under pool/ or dists/. Source of truth: DebianRepository/Format.
 *
 *     pool/<component>/<p>/<source>/<name>_<version>_<architecture>.deb    p: first letter, or libx
 *     pool/<component>/<p>/<source>/<source>_<version>.dsc, and the files that it names
 *     dists/<suite>/InRelease, Release, Release.gpg
 *     dists/<suite>/<component>/binary-<architecture>/Packages, Packages.gz
 *     dists/<suite>/<component>/debian-installer/binary-<architecture>/Packages, Packages.gz
 *     dists/<suite>/<component>/source/Sources, Sources.gz
 *     dists/<suite>/<component>/Contents-<architecture>, Contents-udeb-<architecture>, and .gz
 *     dists/<suite>/<component>/i18n/Translation-en, Translation-en.gz
 *     dists/<suite>/<component>/binary-<architecture>/by-hash/SHA256/<hex>
 *     dists/<suite>/<index>.diff/Index, <hex>.gz    patches of any of these indexes
 *     dists/<suite>/.segments/<hex>    what indexes are made of; no URL reaches a name with a dot
 *     snapshots/<time>/dists/…, snapshots/<time>/pool/…    not stored: what was there at that time
 *     changelogs/<component>/<p>/<source>/<source>_<version>    not stored: read from the package
 *
 * Keys are not percent-encoded, but for the colon of an epoch, which stands as `%3a` in the file
 * name: `1.0-1` and `1:1.0-1` are two packages. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import {
  isArchitectureName,
  isPackageName,
  isUploadFileName,
  MAX_FILE_NAME_BYTES,
} from './names.ts';
import { quoteText } from './printable.ts';
import { parseVersion } from './version.ts';

export type PackageKind = 'deb' | 'udeb' | 'ddeb';

export interface PoolName {
  component: string;
  source: string;
  name: string;
  version: string;
  architecture: string;
  kind: PackageKind;
}

const MAX_SEGMENT_CHARACTERS = 64;

function invalid(detail: string): RefusalError {
  return new RefusalError('INPUT_INVALID', detail);
}

/** Proves that it is one segment which no file system or URL reads as anything else. */
function checkSegment(what: string, text: string, limit = MAX_SEGMENT_CHARACTERS): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(text) || text.length > limit) {
    throw invalid(
      `${what} ${quoteText(text)} is not allowed: letters, digits and . _ + -, first a letter or digit, at most ${limit} characters`,
    );
  }
  return text;
}

/** @throws RefusalError INPUT_INVALID */
export function checkSuiteName(text: string): void {
  checkSegment('suite', text);
}

/** @throws RefusalError INPUT_INVALID */
export function checkComponentName(text: string): void {
  checkSegment('component', text);
}

/** @throws RefusalError INPUT_INVALID */
export function checkArchitectureName(text: string): void {
  checkSegment('architecture', text);
  if (!isArchitectureName(text)) throw invalid(`${quoteText(text)} is not an architecture`);
}

function checkPackageName(what: string, text: string): void {
  if (!isPackageName(text)) throw invalid(`${what} ${quoteText(text)} is not a package name`);
}

/** `libx` for a library, otherwise the first letter. */
function prefixOf(source: string): string {
  return source.startsWith('lib') && source.length > 3 ? source.slice(0, 4) : source.slice(0, 1);
}

/**
 * Where the bytes of a package lie.
 * @throws RefusalError INPUT_INVALID
 * @throws RefusalError PACKAGE_UNACCEPTABLE a bad version, or a file name over 255 bytes
 */
export function poolKey(pool: PoolName): string {
  checkComponentName(pool.component);
  checkArchitectureName(pool.architecture);
  checkPackageName('source', pool.source);
  checkPackageName('package', pool.name);
  parseVersion(pool.version);
  const version = pool.version.replaceAll(':', '%3a');
  const file = `${pool.name}_${version}_${pool.architecture}.${pool.kind}`;
  if (Math.max(file.length, pool.source.length) > MAX_FILE_NAME_BYTES) {
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      `the file name ${quoteText(file)} would be longer than ${MAX_FILE_NAME_BYTES} bytes`,
    );
  }
  return `pool/${pool.component}/${prefixOf(pool.source)}/${pool.source}/${file}`;
}

/**
 * Where the files of a source package lie, beside the binary packages made of it.
 * @throws RefusalError INPUT_INVALID
 */
export function sourceDirectory(component: string, source: string): string {
  checkComponentName(component);
  checkPackageName('source', source);
  return `pool/${component}/${prefixOf(source)}/${source}`;
}

/**
 * Where one of its files lies: the .dsc, or what that names. The epoch is in none of the names.
 * @throws RefusalError INPUT_INVALID
 */
export function sourceKey(component: string, source: string, file: string): string {
  if (!isUploadFileName(file)) throw invalid(`${quoteText(file)} is not a file name`);
  return `${sourceDirectory(component, source)}/${file}`;
}

/**
 * A key under a suite; `path` is relative to it.
 * @throws RefusalError INPUT_INVALID
 */
export function distsKey(suite: string, path: string): string {
  checkSuiteName(suite);
  for (const segment of path.split('/')) {
    checkSegment('path segment', segment, MAX_FILE_NAME_BYTES);
  }
  return `dists/${suite}/${path}`;
}

/** What the keys of a suite begin with; of every suite, where none is given. */
export function distsPrefix(suite?: string): string {
  return suite === undefined ? 'dists/' : distsKey(suite, 'x').slice(0, -1);
}

/** What the keys of every package begin with. */
export const POOL_PREFIX = 'pool/';

/** By the names of the hashes in such a path, which are those of Release. */
const HASH_DIGITS = { SHA256: 64, SHA512: 128, MD5Sum: 32 } as const;

/**
 * Where an index is fetched by its hash; `hex` in lower case.
 * @throws RefusalError INPUT_INVALID
 */
export function byHashKey(
  suite: string,
  indexPath: string,
  algorithm: keyof typeof HASH_DIGITS,
  hex: string,
): string {
  if (!/^[0-9a-f]+$/.test(hex) || hex.length !== HASH_DIGITS[algorithm])
    throw invalid(`${quoteText(hex)} is not a ${algorithm} hash`);
  const directory = indexPath.slice(0, indexPath.lastIndexOf('/') + 1);
  return distsKey(suite, `${directory}by-hash/${algorithm}/${hex}`);
}

/**
 * Where a piece of the suite's indexes lies, named by the SHA256 of its bytes in lower case.
 * @throws RefusalError INPUT_INVALID
 */
export function segmentKey(suite: string, hex: string): string {
  checkSuiteName(suite);
  if (!/^[0-9a-f]{64}$/.test(hex)) throw invalid(`${quoteText(hex)} is not a SHA256 hash`);
  return `dists/${suite}/.segments/${hex}`;
}

/** Which patches there are for the index at `path`, relative to the suite as that is. */
export function diffIndexPath(path: string): string {
  return `${path}.diff/Index`;
}

/**
 * A patch as apt asks for it; `name` is the SHA256 of these bytes in lower case.
 * @throws RefusalError INPUT_INVALID
 */
export function patchPath(path: string, name: string): string {
  if (!/^[0-9a-f]{64}$/.test(name)) throw invalid(`${quoteText(name)} is not a SHA256 hash`);
  return `${path}.diff/${name}.gz`;
}

/**
 * The plain Packages index, relative to the suite.
 * @throws RefusalError INPUT_INVALID
 */
export function indexPath(component: string, architecture: string): string {
  checkComponentName(component);
  checkArchitectureName(architecture);
  return `${component}/binary-${architecture}/Packages`;
}

/**
 * The plain Packages index of the Debian installer's own packages, relative to the suite.
 * @throws RefusalError INPUT_INVALID
 */
export function installerIndexPath(component: string, architecture: string): string {
  checkComponentName(component);
  checkArchitectureName(architecture);
  return `${component}/debian-installer/binary-${architecture}/Packages`;
}

/**
 * The plain Sources index, relative to the suite.
 * @throws RefusalError INPUT_INVALID
 */
export function sourceIndexPath(component: string): string {
  checkComponentName(component);
  return `${component}/source/Sources`;
}

/**
 * The package that a key of the pool was made for; undefined for what is no binary package of ours.
 * Says where a file stands, never what is in it.
 */
export function readPoolName(
  key: string,
): { name: string; version: string; architecture: string } | undefined {
  const file = key.slice(key.lastIndexOf('/') + 1);
  const [, name, version, architecture] =
    /^([^_]+)_([^_]+)_([^_]+)\.(?:deb|udeb|ddeb)$/.exec(file) ?? [];
  if (!name || !version || !architecture) return undefined;
  return { name, version: version.replaceAll('%3a', ':'), architecture };
}

/** The suite that a key under dists/ belongs to. */
export function suiteOfKey(key: string): string {
  return key.split('/', 2)[1] ?? '';
}

/**
 * Which package each file of an architecture comes from, relative to the suite.
 * @throws RefusalError INPUT_INVALID
 */
export function contentsPath(
  component: string,
  architecture: string,
  kind: 'deb' | 'udeb',
): string {
  checkComponentName(component);
  checkArchitectureName(architecture);
  return `${component}/Contents-${kind === 'udeb' ? 'udeb-' : ''}${architecture}`;
}

/**
 * The long descriptions, relative to the suite.
 * @throws RefusalError INPUT_INVALID
 */
export function translationPath(component: string): string {
  checkComponentName(component);
  return `${component}/i18n/Translation-en`;
}

/**
 * What the fields Snapshots and Changelogs of Release say: where apt finds them.
 * @param url of the server, without a slash at its end.
 */
export const snapshotsUrl = (url: string): string => `${url}/snapshots/@SNAPSHOTID@/`;
export const changelogsUrl = (url: string): string => `${url}/changelogs/@CHANGEPATH@`;

/** A path below snapshots/; `suite` is null for one of the pool, which then `rest` is. */
export function readSnapshotPath(
  path: readonly string[],
): { id: string; suite: string | null; rest: string[] } | undefined {
  const [, id, root, ...rest] = path;
  if (id === undefined) return undefined;
  if (root === 'pool' && rest.length > 1) return { id, suite: null, rest: [root, ...rest] };
  const [suite, ...file] = rest;
  if (root !== 'dists' || suite === undefined || file.length === 0) return undefined;
  return { id, suite, rest: file };
}

/** A path below changelogs/, as apt makes it: the version is without its epoch. */
export function readChangePath(
  path: readonly string[],
): { component: string; source: string; version: string } | undefined {
  const [, component, prefix, source = '', file = '', ...more] = path;
  if (component === undefined || more.length > 0 || prefix !== prefixOf(source)) return undefined;
  const version = file.startsWith(`${source}_`) ? file.slice(source.length + 1) : '';
  return version === '' ? undefined : { component, source, version };
}
