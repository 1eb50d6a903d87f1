/**
 * A change of a resident index: members that hold a removed entry are made anew from the catalog,
 * what is added goes behind the end, and hashes go on from the last state before the first change.
 * Floor 3.
 */
import { FIRST_POSITION, type Position } from '../catalog/listings.ts';
import { countLines, type LineEdit } from '../deb/line-edit.ts';
import type { Form } from './form.ts';
import { type Cut, describeStep } from './line-steps.ts';
import {
  describeLayer,
  type IndexTools,
  type Layer,
  loadAhead,
  type ResidentIndex,
} from './resident-index.ts';
import type { RunningHashes } from './running-hashes.ts';
import type { SegmentStore } from './segment-store.ts';
import {
  comparePositions,
  type Draft,
  draftSegments,
  groupPieces,
  keptSegment,
  type Member,
  membersOf,
  type Piece,
  packUnits,
  type Segment,
  type Unit,
} from './segments.ts';
import { finishAll } from './together.ts';

export interface IndexEdit {
  removed: readonly Position[];
  added: readonly Unit[];
  /**
   * The entries that stood behind `after`, up to and with `upTo`, before the change; of no bytes
   * where one does not show in this index.
   */
  reread: (after: Position, upTo: Position) => Promise<Unit[]>;
}

export interface EditedIndex {
  index: ResidentIndex;
  /** What was done to the raw index. */
  step: LineEdit;
}

/** The catalog does not say what an index was made of: it has to be made anew. */
export class IndexMismatch extends Error {}

const memberBytesOf = ({ limits }: IndexTools, form: Form): number =>
  limits.memberBytes ?? form.memberBytes;

/** The members of a segment, those with a removed entry replaced by what stays of them. */
async function cutSegment(
  segment: Segment,
  after: Position,
  removed: readonly Position[],
  edit: IndexEdit,
  memberBytes: number,
  cuts: Map<Member, Cut>,
): Promise<Piece[]> {
  const pieces: Piece[] = [];
  let start = after;
  for (const [number, member] of segment.members.entries()) {
    const gone = removed.filter(
      (one) => comparePositions(one, start) > 0 && comparePositions(one, member.last) <= 0,
    );
    if (gone.length === 0) {
      pieces.push({ kind: 'member', segment, number });
    } else {
      const units = await edit.reread(start, member.last);
      const raw = units.reduce((sum, { bytes }) => sum + bytes.length, 0);
      if (raw !== member.raw) throw new IndexMismatch(`${member.raw} bytes are ${raw} now`);
      const staying = units.filter(
        ({ position }) => !gone.some((one) => comparePositions(one, position) === 0),
      );
      if (staying.length > units.length - gone.length) {
        throw new IndexMismatch('what is removed does not stand there');
      }
      cuts.set(member, { units, staying: new Set(staying) });
      pieces.push(...packUnits(staying, memberBytes));
    }
    start = member.last;
  }
  return pieces;
}

async function cutSegments(
  { segments }: Layer,
  edit: IndexEdit,
  memberBytes: number,
  cuts: Map<Member, Cut>,
): Promise<Map<number, readonly Piece[]>> {
  const replaced = new Map<number, readonly Piece[]>();
  let start = FIRST_POSITION;
  for (const [index, segment] of segments.entries()) {
    const end = segment.members.at(-1)?.last ?? start;
    const gone = edit.removed.filter(
      (one) => comparePositions(one, start) > 0 && comparePositions(one, end) <= 0,
    );
    if (gone.length > 0) {
      replaced.set(index, await cutSegment(segment, start, gone, edit, memberBytes, cuts));
    }
    start = end;
  }
  return replaced;
}

function readPiece(store: SegmentStore, form: Form, piece: Piece): Promise<Buffer> | Buffer {
  return piece.kind === 'raw'
    ? piece.bytes
    : store.readMemberRaw(piece.segment, piece.number, form);
}

/** A group of pieces as one member and its bytes. */
async function makeMember(
  { store }: IndexTools,
  form: Form,
  group: readonly Piece[],
): Promise<{ member: Member; bytes: Buffer }> {
  const [first] = group;
  if (group.length === 1 && first?.kind === 'member') {
    const member = first.segment.members[first.number] as Member;
    return { member, bytes: await store.readMember(first.segment, first.number) };
  }
  const raws = await finishAll(group.map(async (piece) => readPiece(store, form, piece)));
  const raw = raws.length === 1 && raws[0] ? raws[0] : Buffer.concat(raws);
  const { bytes, unpadded } = await store.compress(form, raw);
  const end = group.at(-1) as Piece;
  const last = end.kind === 'raw' ? end.last : (end.segment.members[end.number] as Member).last;
  const sizes = { raw: raw.length, size: bytes.length, lines: countLines(raw) };
  return { member: { ...sizes, last, ...(unpadded === undefined ? {} : { unpadded }) }, bytes };
}

async function makeSegment(tools: IndexTools, form: Form, draft: Draft): Promise<Segment> {
  const kept = keptSegment(draft);
  if (kept) return kept.segment;
  const pieces = draft.parts.flatMap((part) =>
    part.kind === 'segment' ? membersOf(part.segment) : part.pieces,
  );
  const groups = groupPieces(pieces, memberBytesOf(tools, form));
  const made = await finishAll(groups.map((group) => makeMember(tools, form, group)));
  const bytes = Buffer.concat(made.map((one) => one.bytes));
  const members = made.map(({ member }) => member);
  const raw = members.reduce((sum, member) => sum + member.raw, 0);
  return { key: tools.store.add(tools.suite, bytes), raw, size: bytes.length, members };
}

/** States before each new segment: kept as far as nothing changed, hashed from there on. */
async function hashSegments(
  { store }: IndexTools,
  layer: Layer,
  drafts: readonly Draft[],
  segments: readonly Segment[],
): Promise<RunningHashes[]> {
  const first = drafts.findIndex((draft, i) => keptSegment(draft)?.index !== i);
  const same = first === -1 ? drafts.length : first;
  const before = layer.before.slice(0, same + 1);
  for await (const bytes of loadAhead(segments.slice(same), (one) => store.read(one))) {
    const state = (before.at(-1) as RunningHashes).copy();
    await state.update(bytes);
    before.push(state);
  }
  return before;
}

/** `old`: the number of the whole segment that it is. */
interface RawLoad {
  old: number | undefined;
  load: () => Promise<Buffer>;
}

/** The raw bytes that follow the first change, one load for each piece; and where they end. */
function listRawLoads({ store }: IndexTools, form: Form, draft: Draft): RawLoad[] {
  return draft.parts.flatMap((part): RawLoad[] => {
    if (part.kind === 'segment') {
      return [{ old: part.index, load: () => store.readRaw(part.segment, form) }];
    }
    return part.pieces.map((piece) => ({
      old: undefined,
      load: async () => readPiece(store, form, piece),
    }));
  });
}

async function hashRaw(
  tools: IndexTools,
  index: ResidentIndex,
  form: Form,
  drafts: readonly Draft[],
  segments: readonly Segment[],
): Promise<RunningHashes[]> {
  let state = index.rawBefore[0] as RunningHashes;
  const before = [state];
  let position = 0;
  const work = drafts.flatMap((draft, number) =>
    listRawLoads(tools, form, draft).map((one) => ({ ...one, number })),
  );
  const pieces: (Buffer[] | undefined)[] = [];
  // As long as the old segments follow each other, their states are known.
  let known = 0;
  while (known < work.length && work[known]?.old === known) known += 1;
  for (; position < known; position += 1) {
    state = index.rawBefore[position + 1] as RunningHashes;
    before[(work[position]?.number ?? 0) + 1] = state;
  }
  for await (const { raw, number } of loadAhead(work.slice(known), async (one) => ({
    ...one,
    raw: await one.load(),
  }))) {
    state = state.copy();
    await state.update(raw);
    before[number + 1] = state;
    // Not of a segment left whole: all of a large index would be held at once.
    if (!keptSegment(drafts[number] as Draft)) pieces[number] = [...(pieces[number] ?? []), raw];
  }
  // The next change is often beside this one: what was made anew need not be unpacked for it.
  for (const [number, raws] of pieces.entries()) {
    const made = segments[number];
    if (!raws || !made) continue;
    const raw = Buffer.concat(raws);
    // Less where it begins with a segment whose state was known.
    if (raw.length === made.raw) tools.store.keepRaw(made.key, raw);
  }
  return before;
}

/**
 * The index with an edit made: entries taken out, others added at its end.
 * @throws IndexMismatch where what is removed is not what the index holds.
 */
export async function editIndex(
  tools: IndexTools,
  index: ResidentIndex,
  edit: IndexEdit,
): Promise<EditedIndex> {
  let rawBefore = index.rawBefore;
  let step: LineEdit = [];
  const layers: Layer[] = [];
  for (const [number, layer] of index.layers.entries()) {
    const { form } = layer;
    const memberBytes = memberBytesOf(tools, form);
    const cuts = new Map<Member, Cut>();
    const replaced = await cutSegments(layer, edit, memberBytes, cuts);
    const added = packUnits(edit.added, memberBytes);
    const drafts = draftSegments(layer.segments, replaced, added, tools.limits);
    const segments = await finishAll(drafts.map((draft) => makeSegment(tools, form, draft)));
    const before = await hashSegments(tools, layer, drafts, segments);
    layers.push(await describeLayer(tools, form, segments, before));
    if (number > 0) continue;
    rawBefore = await hashRaw(tools, index, form, drafts, segments);
    step = describeStep(layer.segments, cuts, edit.added);
  }
  return { index: { rawBefore, layers }, step };
}
