import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../src/deb/byte-source.ts';
import { type Compression, compressionOf, decompress } from '../../src/deb/decompress.ts';
import { RefusalError } from '../../src/errors.ts';
import { pipeThrough } from './build.ts';

const RAW = Buffer.concat([randomBytes(70_000), Buffer.alloc(300_000, 'words and words ')]);

/** In chunks of an awkward size, so that no boundary falls where it is convenient. */
async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of input) parts.push(part);
  return Buffer.concat(parts);
}

async function unpack(
  bytes: Uint8Array,
  compression: Compression,
  { chunk = 65_536, outputBytes = 1e6 } = {},
): Promise<Buffer> {
  return collect(decompress(inChunks(bytes, chunk), compression, { outputBytes }));
}

const xz = (...flags: string[]): Buffer => pipeThrough('xz', [...flags, '-c'], RAW);
const PACKED: [string, Compression, Buffer][] = [
  ['nothing', 'none', RAW],
  ['gzip -1', 'gz', pipeThrough('gzip', ['-1c'], RAW)],
  ['gzip -9', 'gz', pipeThrough('gzip', ['-9c'], RAW)],
  [
    'two gzip members',
    'gz',
    Buffer.concat([gzipSync(RAW.subarray(0, 9)), gzipSync(RAW.subarray(9))]),
  ],
  ['zstd', 'zst', pipeThrough('zstd', ['-qc'], RAW)],
  ['zstd -19', 'zst', pipeThrough('zstd', ['-19qc'], RAW)],
  ['zstd without checksum', 'zst', pipeThrough('zstd', ['-qc', '--no-check'], RAW)],
  [
    'two zstd frames and a skippable one between',
    'zst',
    Buffer.concat([
      zstdCompressSync(RAW.subarray(0, 9)),
      Buffer.from('502a4d1803000000616263', 'hex'),
      zstdCompressSync(RAW.subarray(9)),
    ]),
  ],
  ['xz -0', 'xz', xz('-0')],
  ['xz -9e', 'xz', xz('-9e')],
  ['xz with CRC32', 'xz', xz('-C', 'crc32')],
  ['xz without check', 'xz', xz('-C', 'none')],
  ['xz of many blocks', 'xz', xz('-0', '--block-size=1000')],
];

describe('decompress', () => {
  it.each(PACKED)('reads %s', async (_, compression, bytes) => {
    expect((await unpack(bytes, compression)).equals(RAW)).toBe(true);
    expect((await unpack(bytes, compression, { chunk: 997 })).equals(RAW)).toBe(true);
  });

  it.each(PACKED)(
    'lets through the limit exactly, and not a byte more: %s',
    async (_, c, bytes) => {
      await expect(unpack(bytes, c, { outputBytes: RAW.length })).resolves.toHaveLength(RAW.length);
      await expect(unpack(bytes, c, { outputBytes: RAW.length - 1 })).rejects.toMatchObject({
        code: 'PACKAGE_UNACCEPTABLE',
      });
    },
  );

  const packed = PACKED.filter(([, compression]) => compression !== 'none');
  it.each(packed)('refuses it cut off: %s', async (_, compression, bytes) => {
    for (const missing of [1, 5, 13, bytes.length >> 1, bytes.length - 3, bytes.length]) {
      await expect(
        unpack(bytes.subarray(0, bytes.length - missing), compression),
        `without the last ${missing}`,
      ).rejects.toMatchObject({ code: 'PACKAGE_MALFORMED' });
    }
  });

  it.each(packed)('refuses what follows it: %s', async (_, compression, bytes) => {
    for (const tail of [Buffer.from('x'), Buffer.from('garbage'), Buffer.alloc(512)]) {
      for (const chunk of [bytes.length, 997, 1 << 20]) {
        await expect(
          unpack(Buffer.concat([bytes, tail]), compression, { chunk }),
          `${tail.length} bytes in chunks of ${chunk}`,
        ).rejects.toMatchObject({ code: 'PACKAGE_MALFORMED' });
      }
    }
  });

  it('refuses a second xz stream, which dpkg would drop', async () => {
    const two = Buffer.concat([xz('-0'), xz('-0')]);
    for (const chunk of [two.length / 2, two.length, 997]) {
      await expect(unpack(two, 'xz', { chunk })).rejects.toThrow('more than one xz stream');
    }
    const padded = Buffer.concat([xz('-0'), Buffer.alloc(4), xz('-0')]);
    await expect(unpack(padded, 'xz')).rejects.toThrow('more than one xz stream');
  });

  it.each([
    ['a dictionary over 64 MiB', xz('--lzma2=dict=128MiB'), 'dictionary'],
    ['a SHA-256 check', xz('-C', 'sha256'), 'not supported'],
    ['an x86 filter', xz('--x86', '--lzma2'), 'not supported'],
    ['something that is gzip', gzipSync(RAW), 'not in xz format'],
  ])('says why it cannot read xz with %s', async (_, bytes, why) => {
    await expect(unpack(bytes, 'xz')).rejects.toThrow(why);
  });

  it('says that zstd wants too much memory', async () => {
    const bytes = pipeThrough('zstd', ['-qc', '--ultra', '--long=30', '-1'], RAW);
    // The window of a stream of unknown size is as large as was asked for.
    await expect(unpack(bytes, 'zst')).rejects.toThrow('zstd: it needs more than 128 MiB');
  });

  it.each(['bz2', 'lzma'] as const)('says that %s is not supported', async (compression) => {
    await expect(unpack(RAW, compression)).rejects.toMatchObject({ code: 'PACKAGE_UNACCEPTABLE' });
  });

  it.each([
    ['gz', gzipSync(Buffer.alloc(2 ** 26))],
    ['zst', zstdCompressSync(Buffer.alloc(2 ** 26))],
    ['xz', pipeThrough('xz', ['-c'], Buffer.alloc(2 ** 26))],
  ] as const)('stops a %s bomb before the limit is passed on', async (compression, bomb) => {
    let passedOn = 0;
    const reading = async (): Promise<void> => {
      const limits = { outputBytes: 1e7 };
      for await (const chunk of decompress(inChunks(bomb, 256), compression, limits)) {
        passedOn += chunk.length;
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'PACKAGE_UNACCEPTABLE' });
    expect(passedOn).toBeGreaterThan(9e6);
    expect(passedOn).toBeLessThanOrEqual(1e7);
  });

  it('never fails with anything but a refusal on damaged bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(packed.length - 1),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (which, changes) => {
          const [, compression = 'none', bytes = RAW] = packed[which] ?? [];
          const damaged = Buffer.from(bytes);
          for (const [at, value] of changes) damaged[at % damaged.length] = value;
          const outcome = await unpack(damaged, compression).catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RefusalError);
        },
      ),
      { numRuns: 150 },
    );
  });

  it.each(PACKED)('hands an error of the input on as it is: %s', async (_, compression, bytes) => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1000);
      throw new Error('disk gone');
    }
    const reading = collect(decompress(failing(), compression, { outputBytes: 1e6 }));
    await expect(reading).rejects.toThrow('disk gone');
  });

  it('leaves no xz decoder taken when readers stop early', async () => {
    const bytes = xz('-0');
    for (let i = 0; i < 12; i += 1) {
      for await (const _ of decompress(inChunks(bytes, 4096), 'xz', { outputBytes: 1e6 })) break;
      await expect(unpack(bytes.subarray(1), 'xz')).rejects.toBeInstanceOf(RefusalError);
      await expect(unpack(bytes, 'zst')).rejects.toBeInstanceOf(RefusalError);
    }
    expect((await unpack(bytes, 'xz')).equals(RAW)).toBe(true);
  });

  it('reads more xz streams at once than there are decoders', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => unpack(xz('-0'), 'xz')));
    expect(all.every((bytes) => bytes.equals(RAW))).toBe(true);
  });

  it('lets other work run while xz is read', async () => {
    const bytes = pipeThrough('xz', ['-0c'], Buffer.alloc(2 ** 25, 'abcdefg'));
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    await unpack(bytes, 'xz', { outputBytes: 2 ** 25 });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });
});

describe('compressionOf', () => {
  it.each([
    ['', 'none'],
    ['.gz', 'gz'],
    ['.xz', 'xz'],
    ['.zst', 'zst'],
    ['.GZ', undefined],
    ['.', undefined],
    ['x', undefined],
    ['.constructor', undefined],
    ['constructor', undefined],
  ])('knows %j as %s', (suffix, compression) => {
    expect(compressionOf(suffix)).toBe(compression);
  });
});

describe('bytesOf', () => {
  it('reads and streams the same ranges', async () => {
    const source = bytesOf(RAW);
    for (const [start, end] of [
      [0, 10],
      [5, 200_000],
      [RAW.length - 3, RAW.length + 9],
      [7, 7],
    ] as const) {
      const expected = RAW.subarray(start, end);
      expect((await source.read(start, end)).equals(expected)).toBe(true);
      expect((await collect(source.stream(start, end))).equals(expected)).toBe(true);
    }
    expect(source.size).toBe(RAW.length);
  });
});
