/** Files replaced together: killed anywhere, all of them are old or, after the next start, all new. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finishReplacing, replaceTogether } from '../../src/authority/replacement.ts';
import { killAfterLines } from '../children.ts';
import { createScratch } from '../e2e/command.ts';

const NAMES = ['a.key', 'b.key', 'c.key', 'd.asc'];
const scratch = createScratch('replacement');

let folders = 0;
async function prepareFolder(): Promise<string> {
  folders += 1;
  const root = join(scratch, `certs-${folders}`);
  await mkdir(root);
  for (const name of NAMES) await writeFile(join(root, name), 'old');
  return root;
}

const readAll = (root: string): Promise<string[]> =>
  Promise.all(NAMES.map((name) => readFile(join(root, name), 'utf8')));

const filesOf = (content: string) => NAMES.map((name) => ({ name, content, mode: 0o600 }));

describe('files replaced together', () => {
  it('are all new, and nothing else is left', async () => {
    const root = await prepareFolder();
    await replaceTogether(root, filesOf('new'));
    expect(await readAll(root)).toEqual(['new', 'new', 'new', 'new']);
    expect((await readdir(root)).sort()).toEqual(NAMES);
  });

  it('are all old where the disk takes none', async () => {
    const root = await prepareFolder();
    const files = [...filesOf('new'), { name: 'no/such/folder', content: '', mode: 0o600 }];
    await expect(replaceTogether(root, files)).rejects.toThrow('ENOENT');
    expect(await readAll(root)).toEqual(['old', 'old', 'old', 'old']);
    expect((await readdir(root)).sort()).toEqual(NAMES);
  });

  it('are all old where it was killed before the deed', async () => {
    const root = await prepareFolder();
    await mkdir(join(root, '.replacement.new'));
    await writeFile(join(root, '.replacement.new/a.key'), 'ne');
    await finishReplacing(root);
    expect(await readAll(root)).toEqual(['old', 'old', 'old', 'old']);
    expect((await readdir(root)).sort()).toEqual(NAMES);
  });

  it('are all new where it was killed after the deed, however far it had come', async () => {
    for (let moved = 0; moved <= NAMES.length; moved += 1) {
      const root = await prepareFolder();
      await mkdir(join(root, '.replacement'));
      for (const [position, name] of NAMES.entries()) {
        const folder = position < moved ? root : join(root, '.replacement');
        await writeFile(join(folder, name), 'new');
      }
      await finishReplacing(root);
      expect(await readAll(root)).toEqual(['new', 'new', 'new', 'new']);
      expect((await readdir(root)).sort()).toEqual(NAMES);
    }
  });

  it('are of one kind after kill -9 at any moment', async () => {
    const root = await prepareFolder();
    for (const lines of [1, 2, 3, 5, 8, 13]) {
      await killAfterLines('authority/replace-for-ever.ts', [root, ...NAMES], lines);
      await finishReplacing(root);
      expect(new Set(await readAll(root)).size).toBe(1);
      expect((await readdir(root)).sort()).toEqual(NAMES);
    }
  });
});
