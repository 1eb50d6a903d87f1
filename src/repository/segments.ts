/**
 * What a compressed index is made of: immutable segments one after another, each an object that
 * holds whole members. A change leaves most of them alone; this file decides which are written
 * anew. Short segments are joined with the one before them while that is less than four times as
 * long, so that their number grows with the logarithm of the index. Floor 3.
 */
import type { Position } from '../catalog/listings.ts';
import type { MemberSize } from './form.ts';

/** `last` is where the last entry in it stands; every entry stands whole in one member. */
export interface Member extends MemberSize {
  /** Of its raw bytes. */
  lines: number;
  last: Position;
}

/** An object of the storage; `size` of it, `raw` of what it unpacks to. */
export interface Segment {
  key: string;
  raw: number;
  size: number;
  members: readonly Member[];
}

/** Bytes of a file that stand in an object of the storage. */
export interface FilePart {
  key: string;
  size: number;
  /** Where they are not all of it: where they begin in it, and how large it is. */
  slice?: { offset: number; whole: number };
}

export interface Limits {
  /** A segment is not joined beyond this size. */
  segmentBytes: number;
  /** A segment is joined with the one behind it where it is not so many times as long. */
  growth: number;
  /** Instead of what a form asks for. */
  memberBytes?: number;
}

export const LIMITS: Limits = { segmentBytes: 1_048_576, growth: 4 };

/** A piece of an index: a member as it stands in a segment, or bytes not yet compressed. */
export type Piece =
  | { kind: 'member'; segment: Segment; number: number }
  | { kind: 'raw'; bytes: Buffer; last: Position };

/** What a segment of the changed index is made of: segments left whole, and pieces. */
export type Part =
  | { kind: 'segment'; segment: Segment; index: number }
  | { kind: 'pieces'; pieces: readonly Piece[] };

/** A segment to be; one that is a single whole segment is not written again. */
export interface Draft {
  parts: readonly Part[];
  /** Compressed, as far as it is known. */
  size: number;
}

/** An entry as it stands in an index, its separator included. */
export interface Unit {
  bytes: Uint8Array;
  position: Position;
}

export function comparePositions(a: Position, b: Position): number {
  return a.publication - b.publication || a.ordinal - b.ordinal;
}

/** The members of a segment as JSON text: [raw, size, lines, publication, ordinal, unpadded?] each. */
export function spellMembers(members: readonly Member[]): string {
  return JSON.stringify(
    members.map(({ raw, size, lines, last, unpadded }) => [
      ...[raw, size, lines, last.publication, last.ordinal],
      ...(unpadded === undefined ? [] : [unpadded]),
    ]),
  );
}

export function readMembers(json: string): Member[] {
  const rows = JSON.parse(json) as [number, number, number, number, number, number?][];
  return rows.map(([raw, size, lines, publication, ordinal, unpadded]) => ({
    ...{ raw, size, lines, last: { publication, ordinal } },
    ...(unpadded === undefined ? {} : { unpadded }),
  }));
}

/** Units put together to pieces of about `memberBytes`; a larger one is alone. */
export function packUnits(units: readonly Unit[], memberBytes: number): Piece[] {
  const pieces: Piece[] = [];
  let open: Unit[] = [];
  let size = 0;
  const close = (): void => {
    const last = open.at(-1);
    if (!last || size === 0) return;
    const bytes = Buffer.concat(open.map((unit) => unit.bytes));
    pieces.push({ kind: 'raw', bytes, last: last.position });
    open = [];
    size = 0;
  };
  for (const unit of units) {
    if (size > 0 && size + unit.bytes.length > memberBytes) close();
    open.push(unit);
    size += unit.bytes.length;
  }
  close();
  return pieces;
}

export function rawSize(piece: Piece): number {
  if (piece.kind === 'raw') return piece.bytes.length;
  return piece.segment.members[piece.number]?.raw ?? 0;
}

/** What is not compressed yet shrinks to a third or less. */
function compressedSize(piece: Piece): number {
  if (piece.kind === 'raw') return Math.ceil(piece.bytes.length / 3);
  return piece.segment.members[piece.number]?.size ?? 0;
}

function draftPieces(pieces: readonly Piece[]): Draft {
  const size = pieces.reduce((sum, piece) => sum + compressedSize(piece), 0);
  return { parts: [{ kind: 'pieces', pieces }], size };
}

/** Cut where a segment would be longer than allowed. */
function draftAdded(pieces: readonly Piece[], { segmentBytes }: Limits): Draft[] {
  const drafts: Draft[] = [];
  let open: Piece[] = [];
  for (const piece of pieces) {
    if (open.length > 0 && draftPieces([...open, piece]).size > segmentBytes) {
      drafts.push(draftPieces(open));
      open = [];
    }
    open.push(piece);
  }
  return open.length > 0 ? [...drafts, draftPieces(open)] : drafts;
}

/** The whole segment that a draft is, where nothing of it changes. */
export function keptSegment({ parts }: Draft): (Part & { kind: 'segment' }) | undefined {
  const [only] = parts;
  return parts.length === 1 && only?.kind === 'segment' ? only : undefined;
}

function join(drafts: readonly Draft[], { segmentBytes, growth }: Limits): Draft[] {
  const joined: Draft[] = [];
  for (const draft of drafts.toReversed()) {
    const next = joined[0];
    const isNew = next !== undefined && !(keptSegment(draft) && keptSegment(next));
    const fits = next && draft.size < growth * next.size && draft.size + next.size <= segmentBytes;
    if (isNew && fits) {
      joined[0] = { parts: [...draft.parts, ...next.parts], size: draft.size + next.size };
    } else {
      joined.unshift(draft);
    }
  }
  return joined;
}

/**
 * The segments of the changed index.
 * @param replaced what stands in place of a segment: its members, some of them replaced or gone.
 * @param added behind all.
 */
export function draftSegments(
  segments: readonly Segment[],
  replaced: ReadonlyMap<number, readonly Piece[]>,
  added: readonly Piece[],
  limits: Limits,
): Draft[] {
  const drafts = segments.flatMap((segment, index): Draft[] => {
    const pieces = replaced.get(index);
    if (pieces) return pieces.length > 0 ? [draftPieces(pieces)] : [];
    return [{ parts: [{ kind: 'segment', segment, index }], size: segment.size }];
  });
  return join([...drafts, ...draftAdded(added, limits)], limits);
}

export function membersOf(segment: Segment): Piece[] {
  return segment.members.map((_, number) => ({ kind: 'member', segment, number }));
}

/** Neighbours that are to become one member; one alone stays the member that it is. */
export function groupPieces(pieces: readonly Piece[], memberBytes: number): Piece[][] {
  const groups: Piece[][] = [];
  let size = 0;
  for (const piece of pieces) {
    const bytes = rawSize(piece);
    const open = groups.at(-1);
    if (open && size + bytes <= memberBytes) {
      open.push(piece);
      size += bytes;
    } else {
      groups.push([piece]);
      size = bytes;
    }
  }
  return groups;
}
