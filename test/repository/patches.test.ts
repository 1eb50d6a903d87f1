import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type Fingerprint, readDiffIndex } from '../../src/deb/diff-index.ts';
import type { LineEdit } from '../../src/deb/line-edit.ts';
import { advancePatches, type PatchSet } from '../../src/repository/patches.ts';

const folder = mkdtempSync(join(tmpdir(), 'patches-'));
afterAll(() => rmSync(folder, { recursive: true }));

const mark = (text: string): Fingerprint => ({
  sha256: createHash('sha256').update(text).digest('hex'),
  size: Buffer.byteLength(text),
});

/** A text as apt makes it of another one and of a patch. */
function applyRred(text: string, script: Uint8Array): string {
  const file = join(folder, 'patch');
  writeFileSync(file, script);
  return execFileSync('/usr/lib/apt/methods/rred', ['-f', file], {
    input: text,
    maxBuffer: 2 ** 26,
  }).toString();
}

/** A suite's index, and what it has been. */
class History {
  readonly texts: string[] = [''];
  set: PatchSet | undefined;
  limit = 1_000_000;

  get text(): string {
    return this.texts.at(-1) ?? '';
  }

  /** Stanzas leave at their places, others come at the end. */
  async change(leaving: readonly number[], coming: readonly string[]): Promise<void> {
    const stanzas = this.text.split(/(?<=\n\n)/).filter((one) => one !== '');
    const lines = (text: string): number => text.split('\n').length - 1;
    let at = 0;
    const edit: LineEdit[number][] = [];
    for (const [i, stanza] of stanzas.entries()) {
      const open = edit.at(-1);
      if (leaving.includes(i)) {
        if (open && open.at + open.drop === at) open.drop += lines(stanza);
        else edit.push({ at, drop: lines(stanza), add: Buffer.alloc(0) });
      }
      at += lines(stanza);
    }
    if (coming.length > 0) {
      const open = edit.at(-1);
      const add = Buffer.from(coming.join(''));
      if (open && open.at + open.drop === at) open.add = add;
      else edit.push({ at, drop: 0, add });
    }
    const next = [...stanzas.filter((_, i) => !leaving.includes(i)), ...coming].join('');
    await this.publish(next, edit);
  }

  async publish(next: string, edit: LineEdit): Promise<void> {
    const { set, text, limit } = this;
    const step = { from: mark(text), to: mark(next), edit, limit };
    this.set = await advancePatches(
      step,
      set && {
        index: set.index,
        read: async (patch) => {
          const found = set.patches.find((one) => one.name === patch.name);
          if (!found) throw new Error(`no patch ${patch.name}`);
          return found.bytes;
        },
      },
    );
    this.texts.push(next);
  }

  /** Whether a host that has a text is offered a patch, and what it comes to with it. */
  follow(old: string): string | undefined {
    if (!this.set) return undefined;
    const index = readDiffIndex(this.set.index);
    expect(index.current).toEqual(mark(this.text));
    const patch = index.patches.find((one) => one.from.sha256 === mark(old).sha256);
    const stored = this.set.patches.find((one) => one.name === patch?.name);
    if (!patch || !stored) return undefined;
    expect(patch.from).toEqual(mark(old));
    expect(patch.download.sha256).toBe(createHash('sha256').update(stored.bytes).digest('hex'));
    expect(patch.download.size).toBe(stored.bytes.length);
    const script = gunzipSync(stored.bytes);
    expect(patch.script).toEqual(mark(script.toString()));
    return applyRred(old, script);
  }
}

let serial = 0;
const stanza = (lines: number): string => {
  serial += 1;
  return `Package: p${serial}\n${'Field: of some length\n'.repeat(lines)}\n`;
};

describe('advancePatches', () => {
  const step = fc.record({
    leaving: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 3 }),
    coming: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  });

  it('leads every host of the last publications to the newest, whatever came and went', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const history = new History();
        for (const { leaving, coming } of steps) {
          await history.change(leaving, coming.map(stanza));
        }
        for (const old of history.texts) {
          if (old !== history.text) expect(history.follow(old)).toBe(history.text);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('offers nothing to a host that is current, and nothing twice', async () => {
    const history = new History();
    await history.change([], [stanza(2)]);
    const first = history.text;
    await history.change([], [stanza(1)]);
    await history.change([1], []);
    expect(history.text).toBe(first);
    expect(history.follow(first)).toBeUndefined();
    await history.change([], [stanza(3)]);
    const origins = readDiffIndex(history.set?.index ?? Buffer.alloc(0)).patches;
    expect(new Set(origins.map((patch) => patch.from.sha256)).size).toBe(origins.length);
    expect(history.follow(first)).toBe(history.text);
  });

  it('drops a patch that is larger than the index, and then offers none at all', async () => {
    const history = new History();
    history.limit = 400;
    await history.change([], [stanza(2)]);
    expect(history.follow('')).toBe(history.text);
    await history.change([], [`Field: ${randomBytes(600).toString('hex')}\n\n`]);
    expect(history.set).toBeUndefined();
    const { text } = history;
    await history.change([], [stanza(1)]);
    expect(history.follow(text)).toBe(history.text);
    expect(history.follow('')).toBeUndefined();
  });

  it('goes back as far as 28 indexes, the nearest', async () => {
    const history = new History();
    for (let i = 0; i < 31; i += 1) await history.change([], [stanza(1)]);
    const offered = history.texts.map((old) => history.follow(old) === history.text);
    expect(offered).toEqual([...Array(3).fill(false), ...Array(28).fill(true), false]);
  });

  it('keeps all patches of an index together within bounds', async () => {
    const history = new History();
    history.limit = Number.POSITIVE_INFINITY;
    const large = (): string => `Field: ${randomBytes(700_000).toString('hex')}\n\n`;
    for (let i = 0; i < 3; i += 1) await history.change([], [large()]);
    for (let i = 0; i < 3; i += 1) await history.change([], [stanza(1)]);
    const sizes = history.set?.patches.map((patch) => patch.bytes.length) ?? [];
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * 1024 * 1024);
    expect(history.follow(history.texts.at(-4) ?? '')).toBe(history.text);
    expect(history.follow('')).toBeUndefined();
  });

  it('gives no patch that a lone dot would cut short', async () => {
    const history = new History();
    await history.publish('a\n.\nb\n', [{ at: 0, drop: 0, add: Buffer.from('a\n.\nb\n') }]);
    expect(history.set).toBeUndefined();
  });

  it('leads on no patch that is damaged', async () => {
    const history = new History();
    for (let i = 0; i < 3; i += 1) await history.change([], [stanza(2)]);
    const { set } = history;
    const index = set?.index ?? Buffer.alloc(0);
    const other = gzipSync('0a\nPackage: other\n.\n');
    const edit = [{ at: 0, drop: 0, add: Buffer.from('Package: new\n\n') }];
    const step = { from: mark(history.text), to: mark('new'), edit, limit: history.limit };
    for (const bytes of [other, Buffer.alloc(20)]) {
      await expect(advancePatches(step, { index, read: async () => bytes })).rejects.toThrow();
    }
  });

  it('begins anew where the last Index belongs to something else', async () => {
    const history = new History();
    await history.change([], [stanza(1)]);
    await history.change([], [stanza(1)]);
    const { set } = history;
    const other = new History();
    other.set = set;
    other.texts.push('Other: one\n\n');
    await other.change([], [stanza(1)]);
    expect(other.set?.patches).toHaveLength(1);
    expect(other.follow('Other: one\n\n')).toBe(other.text);
  });
});
