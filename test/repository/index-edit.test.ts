/**
 * Indexes made of segments: after any history of additions, removals and restarts zcat(1) and
 * sha256sum(1) find what a plain list would be.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Position } from '../../src/catalog/listings.ts';
import { GZIP_FORM } from '../../src/repository/form.ts';
import { editIndex, type IndexEdit, IndexMismatch } from '../../src/repository/index-edit.ts';
import {
  createIndex,
  type IndexTools,
  type ResidentIndex,
  rawImage,
  readIndex,
} from '../../src/repository/resident-index.ts';
import { SegmentStore } from '../../src/repository/segment-store.ts';
import {
  comparePositions,
  LIMITS,
  type Limits,
  readMembers,
  spellMembers,
  type Unit,
} from '../../src/repository/segments.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import type { Storage } from '../../src/storage/storage.ts';

const FORMS = [GZIP_FORM];
const SMALL = { segmentBytes: 2000, growth: 4, memberBytes: 500 };

let root: string;
let storage: Storage;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-segments-'));
  storage = await openDirectory(root);
});
afterEach(() => rmSync(root, { recursive: true }));

const openTools = (limits: Limits = SMALL): IndexTools => ({
  ...{ suite: 'stable', store: new SegmentStore(storage), limits },
});

const change = async (
  tools: IndexTools,
  index: ResidentIndex,
  edit: IndexEdit,
): Promise<ResidentIndex> => (await editIndex(tools, index, edit)).index;

const hash = (bytes: Uint8Array, program = 'sha256sum'): string =>
  execFileSync(program, { input: bytes }).toString().split(' ')[0] ?? '';

async function readParts(index: ResidentIndex): Promise<Buffer> {
  const parts = index.layers[0]?.image.parts ?? [];
  const pieces = await Promise.all(
    parts.map(async ({ key, size }) => {
      const bytes = await buffer(await storage.read(key));
      expect(bytes).toHaveLength(size);
      expect(key).toBe(`dists/stable/.segments/${hash(bytes)}`);
      return bytes;
    }),
  );
  return Buffer.concat(pieces);
}

/** What is published is what it says of itself, and unpacks to what is listed. */
async function check(index: ResidentIndex, units: readonly Unit[]): Promise<void> {
  const listed = Buffer.concat(units.map(({ bytes }) => bytes));
  const raw = rawImage(index);
  expect([raw.size, raw.digests.SHA256]).toEqual([listed.length, hash(listed)]);
  const stored = await readParts(index);
  const image = index.layers[0]?.image;
  expect([image?.size, image?.digests.SHA256]).toEqual([stored.length, hash(stored)]);
  const plain = execFileSync('zcat', { input: stored, maxBuffer: 2 ** 28 });
  expect(plain.equals(listed)).toBe(true);
}

async function persist(tools: IndexTools, index: ResidentIndex): Promise<void> {
  const keys = index.layers.flatMap(({ image }) => image.parts.map(({ key }) => key));
  await tools.store.persist(keys);
  tools.store.forget('stable');
}

/** What a start finds in the catalog and on disk. */
async function restart(index: ResidentIndex, tools: IndexTools): Promise<ResidentIndex> {
  const layers = index.layers.map(({ segments }) =>
    segments.map((segment) => ({
      ...segment,
      members: readMembers(spellMembers(segment.members)),
    })),
  );
  const read = await readIndex(tools, FORMS, layers, []);
  expect(read.layers[0]?.image).toEqual(index.layers[0]?.image);
  expect(rawImage(read)).toEqual(rawImage(index));
  return read;
}

const removalOf = (units: readonly Unit[], removed: readonly Position[]) => ({
  removed,
  reread: async (after: Position, upTo: Position): Promise<Unit[]> =>
    units.filter(
      ({ position }) =>
        comparePositions(position, after) > 0 && comparePositions(position, upTo) <= 0,
    ),
});

const step = fc.record({
  /** Bytes of the entries that come in; some show nothing in the index. */
  added: fc.array(fc.oneof(fc.nat({ max: 120 }), fc.nat({ max: 2500 }), fc.constant(0)), {
    maxLength: 5,
  }),
  /** Where in the list something goes, in thousandths. */
  removed: fc.array(fc.nat({ max: 999 }), { maxLength: 3 }),
  restarts: fc.boolean(),
});

describe('an index made of segments', () => {
  it('is the plain list after any history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        let tools = openTools();
        let index = await createIndex(tools, FORMS, []);
        await persist(tools, index);
        let units: Unit[] = [];
        for (const [number, { added, removed, restarts }] of steps.entries()) {
          const gone = new Set(removed.map((at) => units[Math.floor((at * units.length) / 1000)]));
          const positions = [...gone].flatMap((unit) => (unit ? [unit.position] : []));
          const fresh = added.map((size, ordinal) => ({
            bytes: Buffer.from(
              `${number}.${ordinal} ${'ab1 '.repeat(size / 4)}\n\n`.slice(0, size),
            ),
            position: { publication: number, ordinal },
          }));
          const edit = { ...removalOf(units, positions), added: fresh };
          index = await change(tools, index, edit);
          units = [...units.filter((unit) => !gone.has(unit)), ...fresh];
          await persist(tools, index);
          if (!restarts) continue;
          tools = openTools();
          index = await restart(index, tools);
        }
        await check(index, units);
      }),
      { numRuns: 60 },
    );
  });

  const stanza = (number: number): Unit => ({
    bytes: Buffer.from(`Package: p${number}\nDescription: ${hash(Buffer.from(`${number}`))}\n\n`),
    position: { publication: number, ordinal: 0 },
  });
  const none = { removed: [], reread: async () => [] };

  it('has few segments, and writes little, however many publications there were', async () => {
    const limits = { segmentBytes: 10_000, growth: 4, memberBytes: 3000 };
    const tools = openTools(limits);
    let index = await createIndex(tools, FORMS, []);
    const units: Unit[] = [];
    let written = 0;
    for (let number = 0; number < 400; number += 1) {
      const before = new Set(index.layers[0]?.image.parts.map(({ key }) => key));
      units.push(stanza(number));
      index = await change(tools, index, { ...none, added: units.slice(-1) });
      for (const { key, size } of index.layers[0]?.image.parts ?? []) {
        if (!before.has(key)) written += size;
      }
    }
    await persist(tools, index);
    await check(index, units);
    const size = index.layers[0]?.image.size ?? 0;
    const full = Math.ceil(size / limits.segmentBytes);
    expect(index.layers[0]?.segments.length).toBeLessThanOrEqual(2 * full + 6);
    expect(written).toBeLessThan(16 * size);
  });

  it('writes one segment anew where something goes out of its middle', async () => {
    const tools = openTools();
    const units = Array.from({ length: 200 }, (_, number) => stanza(number));
    const empty = await createIndex(tools, FORMS, []);
    const index = await change(tools, empty, { ...none, added: units });
    await persist(tools, index);
    const before = index.layers[0]?.segments ?? [];
    expect(before.length).toBeGreaterThan(2);
    const position = { publication: 100, ordinal: 0 };
    const edit = { ...removalOf(units, [position]), added: [] };
    const after = await change(tools, index, edit);
    await persist(tools, after);
    await check(
      after,
      units.filter((unit) => unit.position.publication !== 100),
    );
    const keys = new Set(before.map(({ key }) => key));
    expect(after.layers[0]?.segments.filter(({ key }) => !keys.has(key))).toHaveLength(1);
    // The one before is as it was.
    await check(index, units);
  });

  it('of nothing is a file that unpacks to nothing', async () => {
    const tools = openTools(LIMITS);
    const index = await createIndex(tools, FORMS, []);
    await persist(tools, index);
    await check(index, []);
    const filled = await change(tools, index, { ...none, added: [stanza(1)] });
    const edit = { ...removalOf([stanza(1)], [stanza(1).position]), added: [] };
    const emptied = await change(tools, filled, edit);
    expect(emptied.layers[0]?.image).toEqual(index.layers[0]?.image);
  });

  it('has the other hashes too where they are asked for', async () => {
    const tools = openTools();
    const index = await createIndex(tools, FORMS, ['SHA512', 'MD5sum']);
    const units = [stanza(1), stanza(2)];
    const filled = await change(tools, index, { ...none, added: units });
    await persist(tools, filled);
    const stored = await readParts(filled);
    expect(filled.layers[0]?.image.digests).toEqual({
      ...{
        SHA256: hash(stored),
        SHA512: hash(stored, 'sha512sum'),
        MD5sum: hash(stored, 'md5sum'),
      },
    });
  });

  it('is not changed by a catalog that says something else', async () => {
    const tools = openTools();
    const units = [stanza(1), stanza(2), stanza(3)];
    const empty = await createIndex(tools, FORMS, []);
    const index = await change(tools, empty, { ...none, added: units });
    const wrong = { ...removalOf(units.slice(1), [stanza(2).position]), added: [] };
    await expect(change(tools, index, wrong)).rejects.toThrow(IndexMismatch);
  });
});
