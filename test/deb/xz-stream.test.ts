import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompressXz } from '../../src/deb/xz.ts';
import { readXzBlocks, renderXzTail, XZ_HEAD, type XzBlock } from '../../src/deb/xz-stream.ts';
import { checkXzProgram, compressXzBlock, uncompressXzStream } from '../../src/xz-program.ts';
import { pipeThrough } from './build.ts';

const joinBlocks = (blocks: readonly XzBlock[]): Buffer =>
  Buffer.concat([XZ_HEAD, ...blocks.map((block) => block.bytes), renderXzTail(blocks)]);

/** Another implementation than that of the program: xz-embedded. */
async function unpackEmbedded(stream: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of decompressXz(
    (async function* () {
      yield stream;
    })(),
  )) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Liblzma through Python, as a third reader. */
const unpackPython = (stream: Buffer): Buffer =>
  pipeThrough(
    '/usr/bin/python3',
    ['-c', 'import lzma,sys;sys.stdout.buffer.write(lzma.open(sys.stdin.buffer).read())'],
    stream,
  );

describe('a stream of blocks', () => {
  const pieces = fc.array(
    fc
      .tuple(fc.integer({ min: 1, max: 70_000 }), fc.constantFrom('text', 'noise'))
      .map(([size, kind]) =>
        kind === 'noise' ? randomBytes(size) : Buffer.alloc(size, `Package: p${size}\n\n`),
      ),
    { minLength: 1, maxLength: 6 },
  );

  it('is one stream of so many blocks for every reader, and holds what was given', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, async (raws) => {
        const stream = joinBlocks(await Promise.all(raws.map(compressXzBlock)));
        const raw = Buffer.concat(raws);
        expect(pipeThrough('xz', ['--test'], stream)).toHaveLength(0);
        expect(pipeThrough('xz', ['--decompress', '--stdout'], stream).equals(raw)).toBe(true);
        expect((await unpackEmbedded(stream)).equals(raw)).toBe(true);
        expect(unpackPython(stream).equals(raw)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('is listed by xz as what it is', async () => {
    const raws = [5, 70_000, 1_048_576].map((size) => randomBytes(size));
    const stream = joinBlocks(await Promise.all(raws.map(compressXzBlock)));
    const script = 'f=$(mktemp --suffix=.xz); cat >$f; xz --robot --list -vv $f; rm $f';
    const listed = pipeThrough('sh', ['-c', script], stream).toString().split('\n');
    const rows = listed.map((line) => line.split('\t'));
    expect(rows.find(([kind]) => kind === 'file')).toEqual([
      'file',
      '1',
      '3',
      String(stream.length),
      '1118581',
      expect.anything(),
      'CRC64',
      '0',
    ]);
    const blocks = rows.filter(([kind]) => kind === 'block');
    expect(blocks.map((row) => row[7])).toEqual(raws.map((raw) => String(raw.length)));
    // A reader needs no more than the largest block.
    expect(blocks.map((row) => row.at(-1))).toEqual(blocks.map(() => '--lzma2=dict=1MiB'));
  });

  it('of no blocks unpacks to nothing', async () => {
    const stream = joinBlocks([]);
    expect(stream.equals(pipeThrough('xz', ['--check=crc64'], Buffer.alloc(0)))).toBe(true);
    expect(pipeThrough('xz', ['--decompress', '--stdout'], stream)).toHaveLength(0);
    expect(await unpackEmbedded(stream)).toHaveLength(0);
  });

  it('counts thousands of blocks as xz does', async () => {
    const block = await compressXzBlock(Buffer.alloc(200, 'line\n'));
    const stream = joinBlocks(Array.from({ length: 20_000 }, () => block));
    expect(pipeThrough('xz', ['--decompress', '--stdout'], stream)).toHaveLength(4_000_000);
    expect(readXzBlocks(stream)).toHaveLength(20_000);
  });
});

describe('compressXzBlock', () => {
  it('makes the same bytes of the same bytes, whatever the host prefers', async () => {
    const raw = Buffer.alloc(100_000, 'Package: sample\nVersion: 1.0-1\n\n');
    const first = await compressXzBlock(raw);
    process.env.XZ_DEFAULTS = '--check=crc32 -0';
    try {
      expect((await compressXzBlock(raw)).bytes.equals(first.bytes)).toBe(true);
    } finally {
      delete process.env.XZ_DEFAULTS;
    }
  });

  it('works on several at once and all of them come back', async () => {
    const raws = Array.from({ length: 12 }, (_, i) => Buffer.alloc(3000 + i, `${i}\n`));
    const blocks = await Promise.all(raws.map(compressXzBlock));
    expect(blocks.map((block) => block.rawSize)).toEqual(raws.map((raw) => raw.length));
  });

  it('says which program is missing', async () => {
    const { PATH } = process.env;
    process.env.PATH = '/nonexistent';
    try {
      await expect(checkXzProgram()).rejects.toMatchObject({
        code: 'PROGRAM_MISSING',
        message: expect.stringContaining('xz-utils'),
      });
    } finally {
      process.env.PATH = PATH;
    }
    await checkXzProgram();
  });
});

describe('uncompressXzStream', () => {
  it('gives back what blocks were made of, and refuses what is damaged', async () => {
    const raws = [Buffer.from('one\n'), Buffer.alloc(50_000, 'two\n')];
    const stream = joinBlocks(await Promise.all(raws.map(compressXzBlock)));
    expect((await uncompressXzStream(stream)).equals(Buffer.concat(raws))).toBe(true);
    await expect(uncompressXzStream(stream.subarray(0, -12))).rejects.toThrow(/xz ended with/);
  });
});

describe('readXzBlocks', () => {
  it('takes a stream of several blocks apart that xz itself made', () => {
    const raw = Buffer.alloc(100_000, 'Package: sample\n');
    const stream = pipeThrough('xz', ['--block-size=30000', '--threads=1'], raw);
    const blocks = readXzBlocks(stream);
    expect(blocks.map((block) => block.rawSize)).toEqual([30_000, 30_000, 30_000, 10_000]);
    expect(joinBlocks(blocks).equals(stream)).toBe(true);
    const turned = joinBlocks([...blocks].reverse());
    expect(pipeThrough('xz', ['--decompress', '--stdout'], turned)).toHaveLength(100_000);
  });

  it('refuses what is no stream of ours', () => {
    const whole = pipeThrough('xz', [], Buffer.from('text\n'));
    const changed = (at: number): Buffer => {
      const copy = Buffer.from(whole);
      copy[at < 0 ? copy.length + at : at] = 0x99;
      return copy;
    };
    const bad = {
      nothing: Buffer.alloc(0),
      gzip: pipeThrough('gzip', [], Buffer.from('text\n')),
      cut: whole.subarray(0, -4),
      'cut in front': whole.subarray(4),
      CRC32: pipeThrough('xz', ['--check=crc32'], Buffer.from('text\n')),
      'other flags': changed(7),
      'size of the index': changed(-8),
      'sum of the footer': changed(-12),
      'sum of the index': changed(-16),
      'two streams': Buffer.concat([whole, whole]),
    };
    for (const [name, stream] of Object.entries(bad)) {
      expect(() => readXzBlocks(stream), name).toThrow(/xz stream/);
    }
  });
});
