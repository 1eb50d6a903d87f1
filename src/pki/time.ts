/**
 * Times in certificates and revocation lists: UTCTime up to the year 2049, GeneralizedTime from
 * 2050, whole seconds, always Z. Source of truth: RFC 5280 section 4.1.2.5. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { createNode, type Node } from './asn1.ts';
import { type Element, MalformedDer, TAG } from './der.ts';

const FIRST_YEAR = 1950;
const FIRST_GENERALIZED_YEAR = 2050;
const LAST_YEAR = 9999;

/** Fractions of a second are cut off. @throws RefusalError INPUT_INVALID outside 1950 to 9999. */
export function createTime(time: Date): Node {
  const year = time.getUTCFullYear();
  if (!(year >= FIRST_YEAR && year <= LAST_YEAR)) {
    throw new RefusalError('INPUT_INVALID', 'A date must lie in the years 1950 to 9999.');
  }
  const digits = `${time.toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}Z`;
  return year < FIRST_GENERALIZED_YEAR
    ? createNode(TAG.utcTime, digits.slice(2))
    : createNode(TAG.generalizedTime, digits);
}

/** @throws RefusalError INPUT_INVALID unless `from` is before `to`, in whole seconds. */
export function checkPeriod(from: Date, to: Date, what: string): void {
  const seconds = Math.floor(to.getTime() / 1000) - Math.floor(from.getTime() / 1000);
  if (!(seconds > 0)) throw new RefusalError('INPUT_INVALID', `${what} ends before it begins.`);
}

/** @throws MalformedDer on anything but YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ of a real moment. */
export function readTime(element: Element): Date {
  const { tag, source, body, end } = element;
  const text = Buffer.from(source.buffer, source.byteOffset + body, end - body).toString('latin1');
  const digits = tag === TAG.utcTime ? (text < '5' ? '20' : '19') + text : text;
  if (
    (tag !== TAG.utcTime && tag !== TAG.generalizedTime) ||
    !/^\d{14}Z$/.test(digits) ||
    text.length !== (tag === TAG.utcTime ? 13 : 15)
  ) {
    throw new MalformedDer(`no time at byte ${element.start}`);
  }
  const field = (from: number, to: number): number => Number(digits.slice(from, to));
  const [year, month, day] = [field(0, 4), field(4, 6), field(6, 8)];
  const [hour, minute, second] = [field(8, 10), field(10, 12), field(12, 14)];
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC rolls 31 June over to 1 July and takes the year 26 for 1926.
  const rolled = time.getUTCFullYear() !== year || time.getUTCDate() !== day;
  if (rolled || month > 12 || hour > 23 || minute > 59 || second > 59) {
    throw new MalformedDer(`impossible time at byte ${element.start}`);
  }
  return time;
}
