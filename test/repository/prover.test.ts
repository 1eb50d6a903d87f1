/** What the thread that reads large packages answers, and that nobody waits for it in vain. */
import { randomBytes } from 'node:crypto';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { Prover } from '../../src/repository/prover.ts';
import { buildPackage, buildTar, CONTROL } from '../deb/build.ts';
import { createScratch } from '../e2e/command.ts';

const folder = createScratch('prover');
const tar = buildTar([
  { name: './usr/noise', content: randomBytes(400_000) },
  { name: './usr/b', content: 'b' },
]);
const good = buildPackage({
  data: { name: 'data.tar.gz', content: gzipSync(tar, { level: 1 }) },
});
const bad = good.subarray(0, -100);

let prover = new Prover();
let files = 0;

afterEach(async () => {
  await prover.close();
  prover = new Prover();
});

function put(bytes: Buffer): string {
  files += 1;
  const path = join(folder, `${files}.deb`);
  writeFileSync(path, bytes);
  return path;
}

describe('a file that is there', () => {
  it('is read to its end', async () => {
    const { archive, paths } = await prover.prove(put(good), good.length);
    expect(archive.control.toString()).toBe(CONTROL);
    expect(archive.data.compression).toBe('gz');
    expect(Buffer.from(paths).toString()).toBe('usr/noise\nusr/b\n');
  });

  it('is refused with the code and the words of the reader', async () => {
    await expect(prover.prove(put(bad), bad.length)).rejects.toMatchObject({
      code: 'PACKAGE_MALFORMED',
      message: expect.stringContaining('data.tar.gz'),
    });
  });

  it('fails where it is not there, and the next one does not', async () => {
    await expect(prover.prove(join(folder, 'none'), 1)).rejects.toThrow('ENOENT');
    await expect(prover.prove(put(good), good.length)).resolves.toBeDefined();
  });

  it('is read beside others', async () => {
    const all = Array.from({ length: 5 }, (_, at) => put(at === 3 ? bad : good));
    const ends = await Promise.allSettled(
      all.map((path, at) => prover.prove(path, at === 3 ? bad.length : good.length)),
    );
    expect(ends.map(({ status }) => status === 'fulfilled')).toEqual([
      ...[true, true, true, false, true],
    ]);
  });

  it('is given up by a repository that closes', async () => {
    const lost = prover.prove(put(good), good.length);
    const told = expect(lost).rejects.toThrow('closed');
    await prover.close();
    await told;
  });
});

describe('a file that is coming', () => {
  it('is proven when its last byte is there, and not before', async () => {
    const path = put(good.subarray(0, 300_000));
    const early = prover.begin(path, good.length);
    early.advance(300_000);
    let isProven = false;
    const proof = early.proof.then((found) => {
      isProven = true;
      return found;
    });
    // A whole other file is read meanwhile.
    await prover.prove(put(good), good.length);
    expect(isProven).toBe(false);
    appendFileSync(path, good.subarray(300_000));
    early.advance(good.length);
    expect(Buffer.from((await proof)?.paths ?? []).toString()).toBe('usr/noise\nusr/b\n');
    early.end();
  });

  it('is left where nothing more comes, and where what comes is wrong', async () => {
    const ended = prover.begin(put(good.subarray(0, 5000)), good.length);
    ended.advance(5000);
    ended.end();
    expect(await ended.proof).toBeUndefined();
    const wrong = prover.begin(put(bad), bad.length);
    wrong.advance(bad.length);
    expect(await wrong.proof).toBeUndefined();
  });

  it('is given up by a repository that closes', async () => {
    const early = prover.begin(put(good.subarray(0, 5000)), good.length);
    await prover.close();
    expect(await early.proof).toBeUndefined();
    early.advance(6000);
    early.end();
  });
});
