/** The storage in a directory: the port's suite, and what only a disk can get wrong. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearUnfinished, openDirectory } from '../../src/storage/directory.ts';
import { clearStaging, createStagingFile } from '../../src/storage/staging.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { killAfterLines, runLimited } from '../children.ts';
import { collectKeys, describeStorage } from '../conformance/storage.ts';

const KEY = 'pool/main/h/hello/hello_1.0-1_amd64.deb';
const KEY_DIRECTORY = 'pool/main/h/hello';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-storage-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describeStorage('directory', async () => {
  // On a tmpfs, where the holes of a sparse file cost nothing; what follows runs on the disk.
  const memory = mkdtempSync('/dev/shm/aptkeep-storage-');
  const storage = await openDirectory(memory);
  const close = async (): Promise<void> => {
    await storage.close();
    rmSync(memory, { recursive: true });
  };
  return { storage, staging: join(memory, 'pool/.staging'), close };
});

describe('files', () => {
  let storage: Storage;
  beforeEach(async () => {
    storage = await openDirectory(root);
  });

  it('is a plain tree that a web server can read, whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      await storage.write(KEY, Buffer.from('x'));
      const { path, handle } = await createStagingFile(join(root, 'pool/.staging'));
      await handle.close();
      expect(statSync(path).mode & 0o777).toBe(0o600);
      await storage.write('dists/stable/InRelease', { path, size: 0 });
    } finally {
      process.umask(umask);
    }
    const modes = (path: string): number => statSync(join(root, path)).mode & 0o777;
    expect(modes(KEY)).toBe(0o644);
    expect(modes('dists/stable/InRelease')).toBe(0o644);
    for (const path of [KEY_DIRECTORY, 'pool/main/h', 'pool/main', 'dists/stable']) {
      expect(modes(path).toString(8), path).toBe('755');
    }
  });

  it('leaves nothing in staging after a write', async () => {
    await storage.write(KEY, Buffer.from('x'));
    expect(readdirSync(join(root, 'pool/.staging'))).toEqual([]);
  });

  it('dates a staged file by the write', async () => {
    const { path, handle } = await createStagingFile(join(root, 'pool/.staging'));
    await handle.close();
    utimesSync(path, 1, 1);
    const before = Date.now();
    await storage.write(KEY, { path, size: 0 });
    expect((await storage.stat(KEY))?.modified).toBeGreaterThanOrEqual(before - 1);
  });

  it('removes a staged file also when the write fails', async () => {
    mkdirSync(join(root, KEY), { recursive: true });
    const { path, handle } = await createStagingFile(join(root, 'pool/.staging'));
    await handle.close();
    await expect(storage.write(KEY, { path, size: 0 })).rejects.toThrow();
    await expect(storage.write(KEY, Buffer.from('x'))).rejects.toThrow();
    expect(readdirSync(join(root, 'pool/.staging'))).toEqual([]);
  });

  it('takes a staged file from another filesystem', async () => {
    // /dev/shm is a tmpfs on every Debian; where it is the same filesystem the test says so.
    const elsewhere = mkdtempSync('/dev/shm/aptkeep-staging-');
    try {
      expect(statSync(elsewhere).dev).not.toBe(statSync(root).dev);
      const { path, handle } = await createStagingFile(elsewhere);
      await handle.writeFile('from elsewhere');
      await handle.close();
      await storage.write(KEY, { path, size: 14 });
      expect(existsSync(path)).toBe(false);
      expect(await text(await storage.read(KEY))).toBe('from elsewhere');
      expect(statSync(join(root, KEY)).mode & 0o777).toBe(0o644);
      expect(readdirSync(join(root, 'pool/.staging'))).toEqual([]);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('shares an adopted file that nobody else can change, and copies any other', async () => {
    const inodes = [0o644, 0o666, 0o600].map((mode, position) => {
      const path = join(root, `offered-${position}`);
      writeFileSync(path, `x${position}`);
      chmodSync(path, mode);
      return { path, found: statSync(path), key: `pool/main/o/o/${position}` };
    });
    await storage.adopt(
      inodes.map(({ key, path, found }) => ({ key, path, size: 2, modified: found.mtimeMs })),
    );
    const shared = inodes.map(({ key, found }) => statSync(join(root, key)).ino === found.ino);
    expect(shared).toEqual([true, false, false]);
    for (const { key, path, found } of inodes) {
      expect(statSync(join(root, key)).mode & 0o777).toBe(0o644);
      expect(statSync(path).mode).toBe(found.mode);
    }
    expect(readdirSync(join(root, 'pool/.staging'))).toEqual([]);
  });

  it('prunes the directories that a remove leaves empty, and never the trees', async () => {
    await storage.write(KEY, Buffer.from('x'));
    await storage.write('pool/main/h/other/o', Buffer.from('x'));
    await storage.remove(KEY);
    expect(readdirSync(join(root, 'pool/main/h'))).toEqual(['other']);
    await storage.remove('pool/main/h/other/o');
    expect(readdirSync(root).sort()).toEqual(['dists', 'pool']);
    expect(readdirSync(join(root, 'pool'))).toEqual(['.staging']);
    await storage.write(KEY, Buffer.from('again'));
    expect(await text(await storage.read(KEY))).toBe('again');
  });

  it.each(['file', 'directory', 'absent'])(
    'never follows a symbolic link to a %s',
    async (kind) => {
      writeFileSync(join(root, 'secret'), 'secret');
      const target = { file: join(root, 'secret'), directory: root, absent: '/nonexistent' }[kind];
      mkdirSync(join(root, KEY_DIRECTORY), { recursive: true });
      symlinkSync(target ?? '', join(root, KEY));
      await expect(storage.read(KEY)).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await storage.stat(KEY)).toBeUndefined();
      expect(await collectKeys(storage, '')).toEqual([]);
      await storage.write(KEY, Buffer.from('object'));
      expect(await text(await storage.read(KEY))).toBe('object');
      expect(await buffer(await (await openDirectory(root)).read(KEY))).toHaveLength(6);
      expect(existsSync(join(root, 'secret'))).toBe(true);
    },
  );

  it.each([
    ['pool/main/leaving/secret', '..'],
    ['pool/main/sideways/InRelease', '../../dists/stable'],
  ])('never goes through a linked directory: %s', async (key, target) => {
    writeFileSync(join(root, 'pool/secret'), 'secret');
    await storage.write('dists/stable/InRelease', Buffer.from('x'));
    await storage.write('pool/main/a', Buffer.from('x'));
    symlinkSync(target, join(root, key, '..'));
    await expect(storage.read(key)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await storage.stat(key)).toBeUndefined();
    await storage.remove(key);
    await expect(storage.write(key, Buffer.from('y'))).rejects.toThrow();
    expect(await collectKeys(storage, join(key, '../'))).toEqual([]);
    expect(existsSync(join(root, 'pool/secret'))).toBe(true);
    expect(await text(await storage.read('dists/stable/InRelease'))).toBe('x');
  });

  it('lets the trees be links, as to a larger disk', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'aptkeep-disk-'));
    try {
      const linked = join(root, 'linked');
      mkdirSync(linked);
      symlinkSync(disk, join(linked, 'pool'));
      const other = await openDirectory(linked);
      await other.write(KEY, Buffer.from('x'));
      expect(existsSync(join(disk, 'main/h/hello/hello_1.0-1_amd64.deb'))).toBe(true);
      expect(await text(await other.read(KEY))).toBe('x');
      expect(await collectKeys(other, '')).toEqual([KEY]);
      await other.remove(KEY);
      expect(readdirSync(disk)).toEqual(['.staging']);
    } finally {
      rmSync(disk, { recursive: true });
    }
  });

  it('lists neither READMEs of the trees, nor staged files, nor what is no file', async () => {
    writeFileSync(join(root, 'pool/README.md'), 'x');
    const { handle } = await createStagingFile(join(root, 'pool/.staging'));
    await handle.close();
    mkdirSync(join(root, 'pool/main/empty'), { recursive: true });
    await storage.write(KEY, Buffer.from('x'));
    expect(await collectKeys(storage, '')).toEqual([KEY]);
    expect(await collectKeys(storage, 'pool/.staging/')).toEqual([]);
  });

  it('does not hang on a pipe that stands where an object would', async () => {
    mkdirSync(join(root, KEY_DIRECTORY), { recursive: true });
    execFileSync('mkfifo', [join(root, KEY)]);
    await expect(storage.read(KEY)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await storage.stat(KEY)).toBeUndefined();
    expect(await collectKeys(storage, '')).toEqual([]);
  });

  it('says so when a file cannot be read, without the path of the server', async () => {
    await expect(storage.read(KEY)).rejects.toThrow(/^no object "pool/);
    await expect(storage.read(KEY)).rejects.not.toThrow(root);
  });

  it('closes its file when a reader stops half way', async () => {
    await storage.write(KEY, Buffer.alloc(4 * 1024 * 1024));
    const count = (): number => readdirSync('/proc/self/fd').length;
    const before = count();
    for (let round = 0; round < 20; round += 1) {
      for await (const chunk of await storage.read(KEY)) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      await expect(storage.read(KEY, { start: 5, end: 1 })).rejects.toThrow();
      await expect(storage.read(KEY_DIRECTORY)).rejects.toThrow();
    }
    expect(count()).toBeLessThanOrEqual(before + 2);
  });

  it('opens where there is nothing yet, and by a relative path', async () => {
    const relative = await openDirectory(join(root, 'not/yet/../there/'));
    await relative.write(KEY, Buffer.from('x'));
    expect(existsSync(join(root, 'not/there', KEY))).toBe(true);
  });
});

describe('staging', () => {
  it('gives every file a name of its own, for its owner alone', async () => {
    const directory = join(root, 'a/b');
    const staged = await Promise.all(
      Array.from({ length: 10 }, () => createStagingFile(directory)),
    );
    for (const { handle } of staged) await handle.close();
    expect(new Set(staged.map(({ path }) => path)).size).toBe(10);
    expect(statSync(directory).mode & 0o077).toBe(0);
  });

  it('clears what was left', async () => {
    const directory = join(root, 'staging');
    expect(await clearStaging(directory)).toBe(0);
    mkdirSync(join(directory, 'left/over'), { recursive: true });
    writeFileSync(join(directory, 'file'), 'x');
    chmodSync(join(directory, 'file'), 0);
    expect(await clearStaging(directory)).toBe(2);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('crash', () => {
  it('leaves a whole object, never older than acknowledged, when killed in a write', async () => {
    for (const lines of [1, 5, 12]) {
      const acknowledged = await killAfterLines('storage/write-for-ever.ts', [root, KEY], lines);
      const storage = await openDirectory(root);
      const bytes = await buffer(await storage.read(KEY));
      const first = bytes[0] ?? 0;
      expect(bytes.equals(Buffer.alloc(2_000_000 + first, first))).toBe(true);
      expect(first).toBeGreaterThanOrEqual(Number(acknowledged.at(-1)));
      await clearUnfinished(root);
      expect(readdirSync(join(root, 'pool/.staging'))).toEqual([]);
      expect(await collectKeys(storage, '')).toEqual([KEY]);
    }
  });

  it('refuses a write for which there is no room, and leaves the old object and no rest', async () => {
    const outcome = await runLimited('storage/write-too-much.ts', [root, KEY], 1024);
    expect(outcome).toEqual({
      code: 'SPACE_EXHAUSTED',
      message: `${KEY} could not be stored: no room left (EFBIG)`,
      old: 'old',
      staged: [],
    });
  });
});
