/**
 * What a key may look like, for every adapter alike. Keys reach the storage from deb/layout.ts, but
 * also from request paths, so this is the wall that keeps a request inside pool/ and dists/.
 * Source of truth: the port (storage.ts); S3's limit of 1024 bytes a key, Linux's of 255 a name.
 * Floor 2.
 */
import { RefusalError } from '../errors.ts';

export const MAX_KEY_BYTES = 1024;
export const MAX_SEGMENT_BYTES = 255;

/** The two trees that hold objects. */
export const TREES: readonly string[] = ['pool', 'dists'];

/** The directory beside the objects where unfinished ones stand; never part of a key. */
export const STAGING_NAME = '.staging';

// Control characters, NUL among them, and the backslash: no path of a repository has them.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const FORBIDDEN_CHARACTERS = /[\u0000-\u001f\u007f\\]/;

/** Why a segment cannot stand in a key, or undefined where it can. */
function findSegmentFault(segment: string): string | undefined {
  if (segment === '') return 'it has an empty segment';
  if (segment === '.' || segment === '..') return `it has the segment "${segment}"`;
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
    return `it has a segment of more than ${MAX_SEGMENT_BYTES} bytes`;
  }
  return undefined;
}

/** Why a key is not one, in words that complete "is not a key: ..."; undefined where it is. */
export function findKeyFault(key: string): string | undefined {
  if (FORBIDDEN_CHARACTERS.test(key)) return 'it has a control character or a backslash';
  if (!key.isWellFormed()) return 'it is not well-formed Unicode';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  const segments = key.split('/');
  for (const segment of segments) {
    const fault = findSegmentFault(segment);
    if (fault !== undefined) return fault;
  }
  if (!TREES.includes(segments[0] ?? '')) return 'it is neither under pool/ nor under dists/';
  // Files directly in pool/ or dists/ (a README, say) belong to the administrator, not to us.
  if (segments.length < 3) return 'it has fewer than three segments';
  if (segments[1] === STAGING_NAME) return `"${STAGING_NAME}" is reserved`;
  return undefined;
}

/**
 * The key as it was given, proven to stay inside pool/ or dists/.
 * @throws RefusalError PATH_UNKNOWN
 */
export function checkKey(key: string): string {
  const fault = findKeyFault(key);
  if (fault === undefined) return key;
  const shown = JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key);
  throw new RefusalError('PATH_UNKNOWN', `${shown} is not a key: ${fault}`);
}

/** Whether a key can begin with `parent`, which ends with '/'. */
export function canBeginKey(parent: string): boolean {
  const rest = parent.indexOf('/') === parent.length - 1 ? '-/-' : '-';
  return findKeyFault(parent + rest) === undefined;
}

/** The error of `read` where there is no object: code ENOENT, and no path of the server in it. */
export function createAbsentError(key: string): Error {
  return Object.assign(new Error(`no object ${JSON.stringify(key)}`), { code: 'ENOENT' });
}
