import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { PIECE_BYTES, StagingWriter } from '../../src/storage/staging-writer.ts';
import { pipeThrough } from '../deb/build.ts';
import { createScratch } from '../e2e/command.ts';

const folder = createScratch('staging-writer');
let files = 0;

const BYTES = randomBytes(9 * PIECE_BYTES + 12_345);
const sumOf = (bytes: Buffer): string =>
  pipeThrough('sha256sum', [], bytes).toString().slice(0, 64);

function inChunks(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

async function write(
  chunks: readonly Uint8Array[],
  limitBytes = 1e8,
  wrap = (handle: FileHandle): FileHandle => handle,
): Promise<{ writer: StagingWriter; content: Buffer; told: number[] }> {
  files += 1;
  const path = join(folder, `${files}`);
  const handle = await open(path, 'wx+');
  const told: number[] = [];
  const onWritten = (written: number): void => {
    told.push(written);
  };
  const writer = new StagingWriter(wrap(handle), { limitBytes, onWritten });
  try {
    await pipeline(Readable.from(chunks, { objectMode: false }), writer);
    return { writer, content: readFileSync(path), told };
  } finally {
    await handle.close();
  }
}

/** The same file, with some of its calls done otherwise. */
const change = (handle: FileHandle, calls: Partial<FileHandle>): FileHandle =>
  new Proxy(handle, {
    get(target, name) {
      const value = Reflect.get(calls, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

describe('StagingWriter', () => {
  it.each([
    1000,
    16_384,
    65_536,
    PIECE_BYTES - 1,
    PIECE_BYTES,
    PIECE_BYTES + 1,
    3 * PIECE_BYTES + 7,
    BYTES.length,
  ])('writes every byte, and agrees with sha256sum, on chunks of %i bytes', async (size) => {
    const { writer, content, told } = await write(inChunks(BYTES, size));
    expect(writer.sha256).toBe(sumOf(BYTES));
    expect(writer.size).toBe(BYTES.length);
    expect(content.equals(BYTES)).toBe(true);
    expect(told.at(-1)).toBe(BYTES.length);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });

  it('tells of bytes only when they are in the file', async () => {
    files += 1;
    const path = join(folder, `${files}`);
    const handle = await open(path, 'wx+');
    const wrong: number[] = [];
    const onWritten = (written: number): void => {
      if (!readFileSync(path).equals(BYTES.subarray(0, written))) wrong.push(written);
    };
    const writer = new StagingWriter(handle, { limitBytes: 1e8, onWritten });
    await pipeline(Readable.from(inChunks(BYTES, 16_384), { objectMode: false }), writer);
    await handle.close();
    expect(wrong).toEqual([]);
  });

  it('agrees with sha256sum on nothing', async () => {
    const { writer, content } = await write([]);
    expect([writer.sha256, writer.size, content.length]).toEqual([sumOf(Buffer.alloc(0)), 0, 0]);
  });

  it('lets the limit through, and not a byte more', async () => {
    const chunks = inChunks(BYTES, 16_384);
    await expect(write(chunks, BYTES.length)).resolves.toBeDefined();
    await expect(write(chunks, BYTES.length - 1)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('keeps what it was given apart from what is done to a chunk later', async () => {
    const chunk = Buffer.from('first');
    async function* chunks(): AsyncGenerator<Buffer> {
      yield chunk;
      chunk.fill(0);
      yield Buffer.from('second');
    }
    files += 1;
    const path = join(folder, `${files}`);
    const handle = await open(path, 'wx+');
    const writer = new StagingWriter(handle, { limitBytes: 100 });
    await pipeline(chunks, writer);
    await handle.close();
    expect(readFileSync(path, 'latin1')).toBe('firstsecond');
    expect(writer.sha256).toBe(sumOf(Buffer.from('firstsecond')));
  });

  it('writes on where the disk took less than it was given', async () => {
    const short = (handle: FileHandle): FileHandle =>
      change(handle, {
        write: ((bytes: Buffer, at: number) =>
          handle.write(bytes, at, Math.min(bytes.length - at, 300_000))) as FileHandle['write'],
      });
    const { content } = await write(inChunks(BYTES, 16_384), 1e8, short);
    expect(content.equals(BYTES)).toBe(true);
  });

  it.each(['write', 'datasync'] as const)('fails with what %s failed with', async (call) => {
    const broken = (handle: FileHandle): FileHandle =>
      change(handle, { [call]: () => Promise.reject(new Error(`no ${call}`)) });
    await expect(write(inChunks(BYTES, 16_384), 1e8, broken)).rejects.toThrow(`no ${call}`);
  });

  it('writes two files beside each other, and others after them, each with its own bytes', async () => {
    const each = [BYTES, Buffer.from(BYTES).reverse(), BYTES.subarray(5)];
    for (let round = 0; round < 3; round += 1) {
      const written = await Promise.all(each.map((bytes) => write(inChunks(bytes, 50_000))));
      for (const [place, { content }] of written.entries()) {
        expect(content.equals(each[place] ?? Buffer.alloc(0))).toBe(true);
      }
    }
  });

  it('has no checksum before the end', async () => {
    const handle = await open(join(folder, 'early'), 'wx+');
    const writer = new StagingWriter(handle, { limitBytes: 1 });
    expect(() => writer.sha256).toThrow('before the end');
    writer.destroy();
    await handle.close();
  });
});
