/**
 * Debian versions: parts and order. Source of truth: deb-version(7), Policy 5.6.12, dpkg's
 * lib/dpkg/parsehelp.c and version.c. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';

export interface Version {
  epoch: number;
  upstream: string;
  /** '' where there is none, which sorts like 0. */
  revision: string;
}

/** dpkg keeps the epoch in a C int. */
const MAX_EPOCH = 2 ** 31 - 1;

function unacceptable(text: string, why: string): RefusalError {
  return new RefusalError('PACKAGE_UNACCEPTABLE', `version ${quoteText(text)} ${why}`);
}

function parseEpoch(text: string, digits: string): number {
  if (!/^[0-9]+$/.test(digits)) throw unacceptable(text, 'has an epoch that is not a number');
  const epoch = Number(digits);
  if (epoch > MAX_EPOCH) throw unacceptable(text, `has an epoch above ${MAX_EPOCH}`);
  return epoch;
}

/**
 * The epoch ends at the first colon, the revision begins after the LAST hyphen.
 * @throws RefusalError PACKAGE_UNACCEPTABLE
 */
export function parseVersion(text: string): Version {
  const colon = text.indexOf(':');
  const epoch = colon < 0 ? 0 : parseEpoch(text, text.slice(0, colon));
  const rest = text.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  const upstream = hyphen < 0 ? rest : rest.slice(0, hyphen);
  const revision = hyphen < 0 ? '' : rest.slice(hyphen + 1);
  if (upstream === '') throw unacceptable(text, 'is empty');
  if (hyphen >= 0 && revision === '') throw unacceptable(text, 'has nothing after its last hyphen');
  if (!/^[0-9]/.test(upstream)) throw unacceptable(text, 'does not begin with a digit');
  if (!/^[A-Za-z0-9.+:~-]*$/.test(upstream) || !/^[A-Za-z0-9.+~]*$/.test(revision)) {
    throw unacceptable(text, 'has a character that versions may not have');
  }
  return { epoch, upstream, revision };
}

/** `~` before the end, the end before letters, letters before everything else. */
function rankOf(code: number): number {
  if (Number.isNaN(code) || (code >= 0x30 && code <= 0x39)) return 0;
  if (code === 0x7e) return -1;
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return isLetter ? code : code + 256;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** dpkg's verrevcmp(): runs of non-digits by rank, runs of digits by value, as text. */
function compareParts(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while (
      (i < a.length && !isDigit(a.charCodeAt(i))) ||
      (j < b.length && !isDigit(b.charCodeAt(j)))
    ) {
      const order = rankOf(a.charCodeAt(i)) - rankOf(b.charCodeAt(j));
      if (order !== 0) return Math.sign(order);
      i += 1;
      j += 1;
    }
    while (a[i] === '0') i += 1;
    while (b[j] === '0') j += 1;
    let firstDifference = 0;
    while (isDigit(a.charCodeAt(i)) && isDigit(b.charCodeAt(j))) {
      if (firstDifference === 0) firstDifference = a.charCodeAt(i) - b.charCodeAt(j);
      i += 1;
      j += 1;
    }
    if (isDigit(a.charCodeAt(i))) return 1;
    if (isDigit(b.charCodeAt(j))) return -1;
    if (firstDifference !== 0) return Math.sign(firstDifference);
  }
  return 0;
}

/**
 * -1, 0 or 1 as dpkg --compare-versions orders them.
 * @throws RefusalError PACKAGE_UNACCEPTABLE
 */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (left.epoch !== right.epoch) return left.epoch < right.epoch ? -1 : 1;
  const upstream = compareParts(left.upstream, right.upstream);
  return upstream !== 0 ? upstream : compareParts(left.revision, right.revision);
}
