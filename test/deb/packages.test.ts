import { describe, expect, it } from 'vitest';
import { compressIndex, renderIndex } from '../../src/deb/packages.ts';
import { pipeThrough } from './build.ts';

describe('renderIndex', () => {
  it('puts exactly one blank line between stanzas, and a newline at the end', () => {
    const stanzas = ['A: 1\n', 'B: 2\n C\n', 'D: 3\n'].map((text) => Buffer.from(text));
    expect(renderIndex(stanzas).toString()).toBe('A: 1\n\nB: 2\n C\n\nD: 3\n');
    expect(renderIndex(stanzas.slice(0, 1)).toString()).toBe('A: 1\n');
  });

  it('renders nothing as nothing', () => {
    expect(renderIndex([])).toHaveLength(0);
  });
});

describe('compressIndex', () => {
  const text = Buffer.alloc(
    1_300_000,
    'Package: sample\nVersion: 1.0-1\nDescription: a sample\n\n',
  );

  it.each([0, 1, 131_071, 131_072, 131_073, 524_288, 524_289, 1_300_000])(
    'makes of %i bytes what gzip unpacks and finds nothing wrong with',
    async (length) => {
      const raw = text.subarray(0, length);
      const packed = await compressIndex(raw);
      expect(pipeThrough('gzip', ['-dc'], packed).equals(raw)).toBe(true);
      expect(pipeThrough('gzip', ['-t'], packed)).toHaveLength(0);
    },
  );

  it('makes the same bytes of the same bytes, without a time or a name', async () => {
    const packed = await compressIndex(text);
    expect(packed.equals(await compressIndex(text))).toBe(true);
    expect(packed.readUInt32LE(4)).toBe(0);
    expect((packed[3] ?? 255) & 0x08).toBe(0);
  });
});
