/** The index that is held in members: gzip(1) and sha256sum(1) say what it is, after any history. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type IndexImage, ResidentIndex } from '../../src/repository/resident-index.ts';

const hash = (bytes: Uint8Array): string =>
  execFileSync('sha256sum', { input: bytes }).toString().slice(0, 64);

/** The plain bytes, once the image was found to be what it says of itself. */
function unpack(image: IndexImage): Buffer {
  const compressed = Buffer.concat(image.compressed.parts);
  expect(compressed.length).toBe(image.compressed.size);
  expect(hash(compressed)).toBe(image.compressed.sha256);
  const plain = execFileSync('gzip', ['-dc'], { input: compressed, maxBuffer: 2 ** 28 });
  expect(plain.length).toBe(image.plain.size);
  expect(hash(plain)).toBe(image.plain.sha256);
  return plain;
}

const create = async (stanzas: readonly Buffer[]): Promise<ResidentIndex> => {
  const index = new ResidentIndex();
  await index.append(stanzas);
  return index;
};

/** Exactly one blank line between stanzas, a newline at the end. */
const join = (stanzas: readonly Buffer[]): string => stanzas.map(String).join('\n');

/** From a line to more than two members of 128 KiB. */
const stanza = fc
  .tuple(fc.nat({ max: 1e6 }), fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 300_000 })))
  .map(([number, size]) => Buffer.from(`Package: p${number}\nX: ${'ab1 '.repeat(size / 4)}x\n`));

describe('the resident index', () => {
  it('unpacks to its plain bytes after any sequence of appends, renders between them or not', async () => {
    const step = fc.record({ stanzas: fc.array(stanza, { maxLength: 4 }), render: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), async (steps) => {
        const index = new ResidentIndex();
        const all: Buffer[] = [];
        for (const { stanzas, render } of steps) {
          await index.append(stanzas);
          all.push(...stanzas);
          if (render) expect(unpack(await index.render()).toString()).toBe(join(all));
        }
        expect(unpack(await index.render()).toString()).toBe(join(all));
      }),
      { numRuns: 25 },
    );
  });

  it('of nothing unpacks to nothing', async () => {
    expect(unpack(await new ResidentIndex().render())).toHaveLength(0);
  });

  it('never touches a closed member again', async () => {
    const large = Buffer.from(`Package: large\nX: ${'y'.repeat(140_000)}\n`);
    const index = await create([large]);
    const [first] = (await index.render()).compressed.parts;
    await index.append([Buffer.from('Package: small\n'), large]);
    const { parts } = (await index.render()).compressed;
    expect(parts[0]).toBe(first);
    expect(parts).toHaveLength(2);
  });

  it('is not changed by what is rendered, nor by a buffer used again', async () => {
    const bytes = Buffer.from('Package: a\n');
    const index = await create([bytes]);
    bytes.fill('#');
    const images = [await index.render(), await index.render()];
    expect(images[0]).toEqual(images[1]);
    expect(unpack(await index.render()).toString()).toBe('Package: a\n');
  });
});
