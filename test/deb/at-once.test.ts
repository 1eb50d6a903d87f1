/** Small gzip members at once: what the gzip program reads and writes. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compressGzip, uncompressGzip } from '../../src/deb/at-once.ts';

const gzip = (flag: string, input: Uint8Array): Buffer =>
  execFileSync('gzip', [flag], { input, maxBuffer: 2 ** 24 });

describe('gzip', () => {
  it.each([0, 1, 8191, 8192, 8193, 300_000])('of %d bytes is what gzip reads', async (length) => {
    const raw = Buffer.concat([
      randomBytes(length >> 1),
      Buffer.alloc(length - (length >> 1), 'ab'),
    ]);
    const packed = await compressGzip(raw);
    expect(gzip('-dc', packed).equals(raw)).toBe(true);
    // What is said of the size is for speed alone.
    for (const said of [length, 0, 5_000_000]) {
      expect((await uncompressGzip(packed, said)).equals(raw)).toBe(true);
    }
    const members = Buffer.concat([gzip('-9c', raw), packed]);
    expect((await uncompressGzip(members, 2 * length)).equals(Buffer.concat([raw, raw]))).toBe(
      true,
    );
  });

  it('is the same bytes every time, and refused where it is damaged', async () => {
    const raw = randomBytes(100);
    const packed = await compressGzip(raw);
    expect((await compressGzip(raw)).equals(packed)).toBe(true);
    const damaged = Buffer.from(packed);
    damaged[packed.length - 6] = (damaged[packed.length - 6] ?? 0) ^ 1;
    await expect(uncompressGzip(damaged, 100)).rejects.toThrow('incorrect data check');
  });
});
