/**
 * Conditional and range requests (RFC 9110 sections 13 and 14): 304 only on equality of a
 * validator, never on "not newer"; If-Range honoured, or apt stays stuck on half a file. Floor 7.
 */
import type { IncomingHttpHeaders } from 'node:http';
import parseRange from 'range-parser';
import type { ByteRange } from '../storage/storage.ts';

/** What identifies one state of a file; `modified` in milliseconds, compared by whole seconds. */
export interface Validators {
  etag: string;
  modified: number;
}

const wholeSecond = (time: number): number => Math.floor(time / 1000);

function sameDate(header: string, modified: number): boolean {
  const time = Date.parse(header);
  return !Number.isNaN(time) && wholeSecond(time) === wholeSecond(modified);
}

const listTags = (header: string): string[] => header.split(',').map((tag) => tag.trim());

/** Whether the client has exactly this state already. */
export function isUnchanged(headers: IncomingHttpHeaders, { etag, modified }: Validators): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) {
    return tags.trim() === '*' || listTags(tags).some((tag) => tag.replace(/^W\//, '') === etag);
  }
  const since = headers['if-modified-since'];
  return since !== undefined && sameDate(since, modified);
}

/**
 * The one range to answer with; undefined for the whole file, 'unsatisfiable' past its end.
 * Several ranges at once, other units and a failed If-Range get the whole file, as the RFC allows.
 */
export function chooseRange(
  headers: IncomingHttpHeaders,
  size: number,
  { etag, modified }: Validators,
): ByteRange | 'unsatisfiable' | undefined {
  const { range } = headers;
  if (range === undefined) return undefined;
  const condition = headers['if-range'];
  if (condition !== undefined) {
    const holds = Array.isArray(condition) ? false : String(condition).trim();
    if (holds === false) return undefined;
    if (holds.startsWith('"') ? holds !== etag : !sameDate(holds, modified)) return undefined;
  }
  const match = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i.exec(range.replace(/\s/g, ''));
  if (!match) return undefined;
  const [, first, last, suffix] = match;
  // Section 14.1.1: an end before its beginning is no range at all.
  if (first && last && Number(last) < Number(first)) return undefined;
  // Section 14.1.2: a suffix longer than the file is the whole file; range-parser refuses it.
  const wanted = suffix ? `bytes=-${Math.min(Number(suffix), size)}` : match[0];
  const ranges = parseRange(size, wanted);
  if (ranges === -1) return 'unsatisfiable';
  if (ranges === -2) return undefined;
  const [only] = ranges;
  return only && { start: only.start, end: only.end };
}
