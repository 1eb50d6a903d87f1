import { randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { ChecksumTap } from '../../src/deb/checksums.ts';
import { pipeThrough } from './build.ts';

async function tapThrough(chunks: Uint8Array[], limitBytes = 1e8): Promise<[ChecksumTap, Buffer]> {
  const tap = new ChecksumTap({ limitBytes });
  const out: Uint8Array[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      out.push(chunk);
      done();
    },
  });
  await pipeline(Readable.from(chunks, { objectMode: false }), tap, sink);
  return [tap, Buffer.concat(out)];
}

function inChunks(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const BYTES = randomBytes(3 * 2 ** 20 + 12_345);

describe('ChecksumTap', () => {
  it.each([1000, 16_384, 65_536, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, BYTES.length])(
    'agrees with sha256sum on chunks of %i bytes, and passes them on',
    async (size) => {
      const [tap, out] = await tapThrough(inChunks(BYTES, size));
      expect(tap.sha256).toBe(pipeThrough('sha256sum', [], BYTES).toString().slice(0, 64));
      expect(tap.size).toBe(BYTES.length);
      expect(out.equals(BYTES)).toBe(true);
    },
  );

  it('agrees with sha256sum on small chunks around a large one', async () => {
    const [tap] = await tapThrough([
      BYTES.subarray(0, 10),
      BYTES.subarray(10, 2e6),
      BYTES.subarray(2e6),
    ]);
    expect(tap.sha256).toBe(pipeThrough('sha256sum', [], BYTES).toString().slice(0, 64));
  });

  it('agrees with sha256sum on nothing', async () => {
    const [tap] = await tapThrough([]);
    expect(tap.sha256).toBe(pipeThrough('sha256sum', [], Buffer.alloc(0)).toString().slice(0, 64));
    expect(tap.size).toBe(0);
  });

  it('lets the limit through, and not a byte more', async () => {
    const chunks = inChunks(BYTES, 16_384);
    await expect(tapThrough(chunks, BYTES.length)).resolves.toBeDefined();
    await expect(tapThrough(chunks, BYTES.length - 1)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('keeps what was hashed apart from what is done to a chunk later', async () => {
    const chunk = Buffer.from('first');
    const tap = new ChecksumTap({ limitBytes: 10 });
    tap.resume();
    tap.write(chunk, () => {
      chunk.fill(0);
      tap.end();
    });
    await new Promise((resolve) => tap.once('end', resolve));
    expect(tap.sha256).toBe(
      pipeThrough('sha256sum', [], Buffer.from('first')).toString().slice(0, 64),
    );
  });

  it('has no checksum before the end', () => {
    expect(() => new ChecksumTap({ limitBytes: 1 }).sha256).toThrow('before the end');
  });
});
