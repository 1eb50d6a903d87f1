/**
 * The definition of the storage port: every adapter runs this suite and passes it whole. Expected
 * values are the bytes that went in. Nothing here knows of disks or of networks.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStagingFile } from '../../src/storage/staging.ts';
import type { AdoptedFile, StagedFile, Storage } from '../../src/storage/storage.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Far below the 2 GiB that pass through, well above what a garbage collector lets pile up. */
const MAX_GROWTH_BYTES = 256 * MIB;

/** `staging` is a directory for staged files, on the filesystem the adapter likes them on. */
export interface OpenStorage {
  storage: Storage;
  staging: string;
  close(): Promise<void>;
}

const KEY = 'pool/main/h/hello/hello_1.0-1_amd64.deb';

const ODD_KEYS = [
  'pool/main/g/g++/g++_12.2.0-3+b1~deb12u1_amd64.deb',
  'pool/main/h/hello/hello_1%3a1.0-1_all.deb',
  'pool/main/h/hello/hello_1:1.0-1_all.deb',
  'pool/main/h/hello/with space & ampersand=?#.deb',
  'pool/main/h/hello/%2e%2e',
  'pool/main/h/hello/..deb',
  'pool/main/h/hello/-rf',
  'pool/main/h/hello/*',
  'pool/main/h/hello/naïve-日本-🦊.deb',
  `pool/main/h/hello/${'x'.repeat(255)}`,
  'dists/stable/InRelease',
  'dists/stable-updates/main/binary-amd64/by-hash/SHA256/0123abcd',
];

const BAD_KEYS: Record<string, string> = {
  empty: '',
  absolute: '/pool/main/a',
  'parent at the end': 'pool/main/..',
  'parent in the middle': 'pool/../certs/ca.key',
  'parent at the start': '../pool/main/a',
  'dot segment': 'pool/./a/b',
  'empty segment': 'pool//a',
  'trailing slash': 'pool/main/a/',
  'another tree': 'certs/ca/key.pem',
  'a tree that only begins alike': 'pools/main/a',
  'the tree itself': 'pool',
  'directly in the tree': 'pool/README.md',
  'the staging area': 'pool/.staging/0123',
  'NUL in it': 'pool/main/a\0.deb',
  'newline in it': 'pool/main/a\n.deb',
  'backslash in it': 'pool\\..\\certs',
  'backslash in a segment': 'pool/main/..\\..\\certs',
  'lone surrogate': 'pool/main/\ud800',
  'segment of 256 bytes': `pool/main/${'x'.repeat(256)}`,
  'segment of 256 bytes in UTF-8': `pool/main/${'é'.repeat(128)}`,
  'more than 1024 bytes': `pool/${'abcdefgh/'.repeat(120)}x`,
};

export function describeStorage(name: string, open: () => Promise<OpenStorage>): void {
  describe(`storage port: ${name}`, () => {
    let opened: OpenStorage;
    let storage: Storage;
    beforeEach(async () => {
      opened = await open();
      storage = opened.storage;
    });
    afterEach(() => opened.close());

    const stage = async (...pieces: { at: number; bytes: Uint8Array }[]): Promise<StagedFile> => {
      const { path, handle } = await createStagingFile(opened.staging);
      for (const { at, bytes } of pieces) await handle.write(bytes, 0, bytes.length, at);
      const { size } = await handle.stat();
      await handle.close();
      return { path, size };
    };
    const readAll = async (key: string): Promise<Buffer> => buffer(await storage.read(key));
    const listAll = async (prefix: string): Promise<string[]> => collectKeys(storage, prefix);

    describe('write and read', () => {
      it('gives back the bytes', async () => {
        await storage.write(KEY, Buffer.from('hello\0world\xff', 'latin1'));
        expect(await readAll(KEY)).toEqual(Buffer.from('hello\0world\xff', 'latin1'));
      });

      it('writes a view of a larger buffer, and only the view', async () => {
        await storage.write(KEY, new Uint8Array(Buffer.from('abcdef')).subarray(2, 4));
        expect((await readAll(KEY)).toString()).toBe('cd');
      });

      it('keeps an empty object', async () => {
        await storage.write(KEY, new Uint8Array());
        expect(await readAll(KEY)).toHaveLength(0);
        expect(await storage.stat(KEY)).toMatchObject({ size: 0 });
      });

      it('takes over a staged file', async () => {
        const staged = await stage({ at: 0, bytes: Buffer.from('staged') });
        await storage.write(KEY, staged);
        expect((await readAll(KEY)).toString()).toBe('staged');
        await expect(storage.write(KEY, staged)).rejects.toThrow();
        expect((await readAll(KEY)).toString()).toBe('staged');
      });

      it('refuses a staged file of another size than announced', async () => {
        const staged = await stage({ at: 0, bytes: Buffer.from('staged') });
        await expect(storage.write(KEY, { ...staged, size: 5 })).rejects.toThrow('6 bytes where 5');
        expect(await storage.stat(KEY)).toBeUndefined();
      });

      it('replaces an object, by a shorter one too', async () => {
        await storage.write(KEY, Buffer.from('a long first value'));
        await storage.write(KEY, Buffer.from('second'));
        expect((await readAll(KEY)).toString()).toBe('second');
        await storage.write(KEY, await stage({ at: 0, bytes: Buffer.from('3rd') }));
        expect((await readAll(KEY)).toString()).toBe('3rd');
      });

      it('knows no absent object', async () => {
        await storage.write(KEY, Buffer.from('x'));
        for (const key of ['pool/main/absent', `${KEY}.asc`, 'pool/main/h/hello', 'dists/a/b']) {
          await expect(storage.read(key), key).rejects.toMatchObject({ code: 'ENOENT' });
          expect(await storage.stat(key), key).toBeUndefined();
        }
      });

      it.each(ODD_KEYS)('keeps the key %s', async (key) => {
        await storage.write(key, Buffer.from(key));
        expect((await readAll(key)).toString()).toBe(key);
        expect(await listAll('')).toEqual([key]);
        await storage.remove(key);
        expect(await storage.stat(key)).toBeUndefined();
      });

      it('tells keys apart that look alike', async () => {
        const alike = ['pool/main/a/A', 'pool/main/a/a', 'pool/main/a/%61', 'pool/main/a/a '];
        // The same letter, composed and decomposed.
        alike.push('pool/main/a/\u00e9', 'pool/main/a/e\u0301');
        for (const key of alike) await storage.write(key, Buffer.from(key));
        for (const key of alike) expect((await readAll(key)).toString()).toBe(key);
        expect(await listAll('pool/main/a/')).toHaveLength(alike.length);
      });

      it.each(Object.entries(BAD_KEYS))('refuses a key: %s', async (_case, key) => {
        const refusal = { name: 'RefusalError', code: 'PATH_UNKNOWN' };
        await expect(storage.write(key, Buffer.from('x'))).rejects.toMatchObject(refusal);
        await expect(storage.read(key)).rejects.toMatchObject(refusal);
        await expect(storage.stat(key)).rejects.toMatchObject(refusal);
        await expect(storage.remove(key)).rejects.toMatchObject(refusal);
        expect(await listAll('')).toEqual([]);
      });
    });

    describe('adopt', () => {
      const offer = async (key: string, text: string): Promise<AdoptedFile> => {
        const { path, size } = await stage({ at: 0, bytes: Buffer.from(text) });
        const { mtimeMs } = await stat(path);
        return { key, path, size, modified: mtimeMs };
      };

      it('takes many files at once, which stay where they are', async () => {
        const keys = ODD_KEYS.slice(0, 6);
        const files = await Promise.all(keys.map((key) => offer(key, key)));
        await storage.adopt(files);
        for (const key of keys) expect((await readAll(key)).toString()).toBe(key);
        for (const { key, path } of files) expect(await readFile(path, 'utf8')).toBe(key);
        await storage.adopt([]);
      });

      it('replaces an object, and the same file again is no fault', async () => {
        await storage.write(KEY, Buffer.from('before'));
        const file = await offer(KEY, 'after');
        await storage.adopt([file]);
        await storage.adopt([file]);
        expect((await readAll(KEY)).toString()).toBe('after');
      });

      it('refuses a file that is not what it was', async () => {
        const file = await offer(KEY, 'one');
        for (const other of [{ size: 4 }, { modified: file.modified - 1 }]) {
          await expect(storage.adopt([{ ...file, ...other }])).rejects.toMatchObject({
            code: 'SOURCE_UNACCEPTABLE',
          });
        }
        expect(await storage.stat(KEY)).toBeUndefined();
      });

      it('refuses what is no key', async () => {
        const file = await offer(KEY, 'one');
        await expect(async () =>
          storage.adopt([{ ...file, key: '../x/y/z' }]),
        ).rejects.toMatchObject({
          code: 'PATH_UNKNOWN',
        });
      });
    });

    describe('lend', () => {
      it('gives an object as a file, once', async () => {
        await storage.write(KEY, Buffer.from('lent'));
        const path = `${(await stage()).path}-lent`;
        await storage.lend(KEY, path);
        expect(await readFile(path, 'utf8')).toBe('lent');
        await expect(storage.lend(KEY, path)).rejects.toMatchObject({ code: 'EEXIST' });
        await storage.remove(KEY);
        expect(await readFile(path, 'utf8')).toBe('lent');
        await expect(storage.lend(KEY, `${path}-too`)).rejects.toMatchObject({ code: 'ENOENT' });
      });
    });

    describe('stat', () => {
      it('gives size and time of the last write', async () => {
        const before = Date.now();
        await storage.write(KEY, Buffer.from('12345'));
        const found = await storage.stat(KEY);
        expect(found?.size).toBe(5);
        // Clocks of a store and coarse file times may differ by a little.
        expect(found?.modified).toBeGreaterThan(before - 2_000);
        expect(found?.modified).toBeLessThan(Date.now() + 2_000);
        expect(Number.isInteger(found?.modified)).toBe(true);
      });
    });

    describe('an open object', () => {
      it('gives bytes from any place into a buffer of the caller, none past its end', async () => {
        await storage.write(KEY, Buffer.from('0123456789'));
        const object = await storage.open(KEY);
        const buffer = Buffer.from('..........');
        expect(object.size).toBe(10);
        expect(object).toMatchObject((await storage.stat(KEY)) ?? {});
        expect(await object.read(buffer, 2, 3, 4)).toBe(3);
        expect(buffer.toString()).toBe('..456.....');
        expect(await object.read(buffer, 0, 5, 8)).toBe(2);
        expect(await object.read(buffer, 0, 5, 10)).toBe(0);
        expect(buffer.toString()).toBe('89456.....');
        await object.close();
      });

      it('stays what it was when it is replaced and removed meanwhile', async () => {
        await storage.write(KEY, Buffer.from('first'));
        const object = await storage.open(KEY);
        await storage.write(KEY, Buffer.from('second'));
        await storage.remove(KEY);
        const buffer = Buffer.alloc(10);
        expect(await object.read(buffer, 0, 10, 0)).toBe(5);
        expect(buffer.toString('utf8', 0, 5)).toBe('first');
        await object.close();
      });

      it('is refused where there is none, and for what is no key', async () => {
        await expect(storage.open(KEY)).rejects.toMatchObject({ code: 'ENOENT' });
        await expect(storage.open('pool/../certs/ca.key')).rejects.toMatchObject({
          code: 'PATH_UNKNOWN',
        });
      });
    });

    describe('ranges', () => {
      const BYTES = Buffer.from(Array.from({ length: 3 * MIB }, (_, i) => (i * 7919) & 0xff));
      beforeEach(() => storage.write(KEY, BYTES));

      it.each([
        [0, 0],
        [0, 9],
        [1, 1],
        [MIB - 1, MIB],
        [5, 2 * MIB + 17],
        [BYTES.length - 1, BYTES.length - 1],
        [0, BYTES.length - 1],
      ])('reads bytes %i to %i', async (start, end) => {
        const read = await buffer(await storage.read(KEY, { start, end }));
        expect(read.equals(BYTES.subarray(start, end + 1))).toBe(true);
      });

      it('ends at the end of the object', async () => {
        const start = BYTES.length - 3;
        const read = await buffer(await storage.read(KEY, { start, end: Number.MAX_SAFE_INTEGER }));
        expect(read).toEqual(BYTES.subarray(start));
      });

      it.each([
        ['beginning at the end', BYTES.length, BYTES.length],
        ['beyond the end', BYTES.length + 5, BYTES.length + 9],
        ['backwards', 5, 4],
        ['negative', -1, 4],
        ['not a number', Number.NaN, 4],
      ])('refuses a range %s', async (_case, start, end) => {
        await expect(storage.read(KEY, { start, end })).rejects.toMatchObject({
          code: 'RANGE_UNSATISFIABLE',
        });
      });

      it('refuses every range of an empty object', async () => {
        await storage.write(KEY, new Uint8Array());
        await expect(storage.read(KEY, { start: 0, end: 0 })).rejects.toMatchObject({
          code: 'RANGE_UNSATISFIABLE',
        });
      });
    });

    describe('readers beside writers', () => {
      it('lets an open reader read the old object to its end', async () => {
        const old = Buffer.alloc(8 * MIB, 'o');
        await storage.write(KEY, old);
        const reader = await storage.read(KEY);
        const first = await takeChunk(reader);
        await storage.write(KEY, Buffer.from('new'));
        expect(Buffer.concat([first, await buffer(reader)]).equals(old)).toBe(true);
        expect((await readAll(KEY)).toString()).toBe('new');
      });

      it('lets an open reader read a removed object to its end', async () => {
        const old = Buffer.alloc(8 * MIB, 'o');
        await storage.write(KEY, old);
        const reader = await storage.read(KEY);
        const first = await takeChunk(reader);
        await storage.remove(KEY);
        expect(Buffer.concat([first, await buffer(reader)]).equals(old)).toBe(true);
        await expect(storage.read(KEY)).rejects.toMatchObject({ code: 'ENOENT' });
      });

      it('never shows half an object', async () => {
        const values = ['a', 'b', 'c'].map((fill, i) => Buffer.alloc((i + 1) * 300_000, fill));
        const digests = new Set(values.map(digest));
        await storage.write(KEY, values[0] ?? Buffer.alloc(0));
        let writing = true;
        const read = async (): Promise<number> => {
          let count = 0;
          for (; writing; count += 1) expect(digests).toContain(digest(await readAll(KEY)));
          return count;
        };
        const write = async (): Promise<void> => {
          for (let i = 0; i < 30; i += 1)
            await storage.write(KEY, values[i % 3] ?? Buffer.alloc(0));
          writing = false;
        };
        const [first, second] = await Promise.all([read(), read(), write()]);
        expect(Math.min(first, second)).toBeGreaterThan(0);
      });

      it('leaves one of many concurrent writes whole', async () => {
        const values = Array.from({ length: 16 }, (_, i) => Buffer.alloc(100_000 + i * 10_000, i));
        await Promise.all(values.map((bytes) => storage.write(KEY, bytes)));
        expect(values.map(digest)).toContain(digest(await readAll(KEY)));
        expect(await listAll('')).toEqual([KEY]);
      });

      it('survives writes and removes of neighbours that come and go together', async () => {
        const keys = Array.from({ length: 8 }, (_, i) => `pool/main/h/hello/${i % 4}/file-${i}`);
        await Promise.all(
          keys.map(async (key) => {
            for (let round = 0; round < 20; round += 1) {
              await storage.write(key, Buffer.from(key));
              expect((await readAll(key)).toString()).toBe(key);
              await storage.remove(key);
            }
          }),
        );
        expect(await listAll('')).toEqual([]);
      });

      it('lets a reader stop half way', async () => {
        await storage.write(KEY, Buffer.alloc(4 * MIB, 'x'));
        for (let round = 0; round < 50; round += 1) {
          const reader = await storage.read(KEY);
          await takeChunk(reader);
          await new Promise((resolve) => reader.once('close', resolve).destroy());
        }
        expect(await readAll(KEY)).toHaveLength(4 * MIB);
      });
    });

    describe('remove', () => {
      it('removes one object and no other', async () => {
        await storage.write(KEY, Buffer.from('x'));
        await storage.write(`${KEY}.asc`, Buffer.from('y'));
        await storage.remove(KEY);
        expect(await listAll('')).toEqual([`${KEY}.asc`]);
      });

      it('is no error where there is nothing', async () => {
        await storage.remove(KEY);
        await storage.write(KEY, Buffer.from('x'));
        await storage.remove('pool/main/h/hello');
        await storage.remove('pool/main/h');
        await Promise.all([storage.remove(KEY), storage.remove(KEY)]);
        expect(await listAll('')).toEqual([]);
      });
    });

    describe('list', () => {
      const KEYS = [
        'dists/bookworm/InRelease',
        'dists/bookworm/main/binary-amd64/Packages',
        'dists/bookworm-updates/InRelease',
        'pool/main/h/hello/hello_1_all.deb',
        'pool/main/h/hello/hello_2_all.deb',
        'pool/main/libh/libhello/libhello_1_all.deb',
      ];
      beforeEach(async () => {
        for (const key of KEYS) await storage.write(key, Buffer.from(key));
      });

      it.each([
        ['', 6],
        ['pool/', 3],
        ['dists/', 3],
        ['p', 3],
        ['dists', 3],
        ['dists/bookworm', 3],
        ['dists/bookworm/', 2],
        ['dists/bookworm/In', 1],
        ['dists/bookworm/InRelease', 1],
        ['dists/bookworm/InRelease/', 0],
        ['pool/main/h', 2],
        ['pool/main/h/hello/hello_2', 1],
        ['pool/main/x', 0],
        ['pool/absent/main/', 0],
        ['certs', 0],
        ['certs/', 0],
        ['/', 0],
        ['/pool', 0],
        ['../', 0],
        ['pool/../dists/', 0],
        ['pool//', 0],
        ['.', 0],
      ])('finds what begins with "%s"', async (prefix, count) => {
        const found = await listAll(prefix);
        expect(found).toEqual(KEYS.filter((key) => key.startsWith(prefix)).sort());
        expect(found).toHaveLength(count);
      });

      it('finds more than a page of keys', async () => {
        const keys = Array.from({ length: 1_100 }, (_, i) => `dists/many/by-hash/${i}`);
        for (let i = 0; i < keys.length; i += 50) {
          await Promise.all(
            keys.slice(i, i + 50).map((key) => storage.write(key, Buffer.from('x'))),
          );
        }
        expect(await listAll('dists/many/')).toEqual(keys.sort());
      });

      it('can be left half way', async () => {
        for await (const key of storage.list('')) {
          expect(KEYS).toContain(key);
          break;
        }
        expect(await listAll('')).toHaveLength(6);
      });

      it('goes on while what it lists is removed', async () => {
        const found: string[] = [];
        for await (const key of storage.list('')) {
          found.push(key);
          await storage.remove(key);
        }
        expect(found.sort()).toEqual([...KEYS].sort());
        expect(await listAll('')).toEqual([]);
      });
    });

    describe('size', () => {
      it('streams 2 GiB in constant memory', { timeout: 300_000 }, async () => {
        const marks = [0, GIB + 12_345, 2 * GIB - 4].map((at) => ({ at, bytes: randomMark(at) }));
        const staged = await stage(...marks);
        expect(staged.size).toBe(2 * GIB);
        const before = process.memoryUsage.rss();
        let peak = before;
        await storage.write(KEY, staged);
        expect(await storage.stat(KEY)).toMatchObject({ size: 2 * GIB });
        let length = 0;
        for await (const chunk of await storage.read(KEY)) {
          length += chunk.length;
          peak = Math.max(peak, process.memoryUsage.rss());
        }
        expect(length).toBe(2 * GIB);
        expect(peak - before).toBeLessThan(MAX_GROWTH_BYTES);
        for (const { at, bytes } of marks) {
          expect(await buffer(await storage.read(KEY, { start: at, end: at + 3 }))).toEqual(bytes);
        }
        const gap = { start: GIB + 12_349, end: GIB + 12_352 };
        expect(await buffer(await storage.read(KEY, gap))).toEqual(Buffer.alloc(4));
      });
    });
  });
}

/** Every key that begins with the prefix, sorted. */
export async function collectKeys(storage: Storage, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of storage.list(prefix)) keys.push(key);
  return keys.sort();
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const randomMark = (at: number): Buffer =>
  createHash('sha256').update(`${at}`).digest().subarray(4, 8);

/** The first chunk of a stream, which then stands still. */
function takeChunk(reader: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    reader.once('error', reject).once('readable', () => resolve(reader.read()));
  });
}
