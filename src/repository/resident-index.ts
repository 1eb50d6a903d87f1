/**
 * One index held so that a change costs its own size: its segments, in every form, and the states
 * of the hashes between them. A value is never changed: a publication that fails leaves the one
 * before as it was. Floor 3.
 */
import type { Form } from './form.ts';
import { type Digests, RunningHashes } from './running-hashes.ts';
import type { SegmentStore } from './segment-store.ts';
import type { FilePart, Limits, Segment } from './segments.ts';
import type { ExtraHash } from './suite-options.ts';

/** Segments unpacked ahead of the one that is being hashed. */
const READ_AHEAD = 3;

/** What Release says of a file. */
export interface FileImage {
  size: number;
  digests: Digests;
}

/** An index in one form; `before[i]` is the state of the hashes before segment i. */
export interface Layer {
  form: Form;
  segments: readonly Segment[];
  before: readonly RunningHashes[];
  image: FileImage & { parts: readonly FilePart[] };
}

export interface ResidentIndex {
  /** The raw hashes before each segment of the first layer, and after all. */
  rawBefore: readonly RunningHashes[];
  layers: readonly Layer[];
}

/** What the work is done with; `suite` is whose segments are made. */
export interface IndexTools {
  suite: string;
  store: SegmentStore;
  limits: Limits;
}

export const rawImage = ({ rawBefore }: ResidentIndex): FileImage => {
  const last = rawBefore.at(-1) ?? RunningHashes.create([]);
  return { size: last.size, digests: last.digest() };
};

/** Yields what is loaded in order, some of it ahead. */
export async function* loadAhead<Item, Result>(
  items: readonly Item[],
  load: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const loading: Promise<Result>[] = [];
  for (const [at, item] of items.entries()) {
    while (loading.length < Math.min(at + READ_AHEAD, items.length)) {
      const next = items[loading.length] ?? item;
      const started = load(next);
      // One that fails is reported when it is its turn.
      started.catch(() => {});
      loading.push(started);
    }
    yield await (loading[at] as Promise<Result>);
    delete loading[at];
  }
}

export async function describeLayer(
  { suite, store }: IndexTools,
  form: Form,
  segments: readonly Segment[],
  before: readonly RunningHashes[],
): Promise<Layer> {
  const hashes = (before.at(-1) as RunningHashes).copy();
  const tail = Buffer.from(form.tail(segments.flatMap(({ members }) => members)));
  await hashes.update(tail);
  const ends = [Buffer.from(form.head), tail].map((bytes) =>
    bytes.length > 0 ? [{ key: store.add(suite, bytes), size: bytes.length }] : [],
  );
  const [head = [], end = []] = ends;
  const parts = [...head, ...segments.map(({ key, size }) => ({ key, size })), ...end];
  const image = { size: hashes.size, digests: hashes.digest(), parts };
  return { form, segments, before, image };
}

/** An index of nothing. The first form is the one whose segments carry the raw hashes. */
export async function createIndex(
  tools: IndexTools,
  forms: readonly Form[],
  extra: readonly ExtraHash[],
): Promise<ResidentIndex> {
  const layers: Layer[] = [];
  for (const form of forms) {
    const start = RunningHashes.create(extra);
    await start.update(form.head);
    layers.push(await describeLayer(tools, form, [], [start]));
  }
  return { rawBefore: [RunningHashes.create(extra)], layers };
}

/**
 * The index that stands in these segments, read whole.
 * @param segments of each form, in the order of `forms`.
 */
export async function readIndex(
  tools: IndexTools,
  forms: readonly Form[],
  segments: readonly (readonly Segment[])[],
  extra: readonly ExtraHash[],
): Promise<ResidentIndex> {
  const { store } = tools;
  const rawBefore = [RunningHashes.create(extra)];
  const layers: Layer[] = [];
  for (const [number, form] of forms.entries()) {
    const start = RunningHashes.create(extra);
    await start.update(form.head);
    const before = [start];
    const own = segments[number] ?? [];
    const load = async (one: Segment) => {
      const bytes = await store.read(one);
      return { bytes, raw: number === 0 ? await form.uncompress(bytes, one.members) : undefined };
    };
    for await (const { bytes, raw } of loadAhead(own, load)) {
      const state = (before.at(-1) as RunningHashes).copy();
      await state.update(bytes);
      before.push(state);
      if (!raw) continue;
      const rawState = (rawBefore.at(-1) as RunningHashes).copy();
      await rawState.update(raw);
      rawBefore.push(rawState);
    }
    layers.push(await describeLayer(tools, form, own, before));
  }
  return { rawBefore, layers };
}
