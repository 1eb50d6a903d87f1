/**
 * Leaving: an exported tree served by a web server that knows nothing of us, and from the disk, to a
 * real host; brought up to date by the next export. Judged by apt, gpgv and sha256sum.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { join, normalize } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AptRoot, createAptRoot } from './apt-root.ts';
import { createScratch, succeed, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, findFreePort, runAptkeep, type Server, startServer } from './program.ts';
import { listFiles } from './site.ts';

const scratch = createScratch('export');
const data = join(scratch, 'data');
const tree = join(scratch, 'tree');
const asked: string[] = [];
let server: Server;
let web: HttpServer;
let port: number;

const build = (name: string, version: string): Promise<string> =>
  buildSmall({ name, version }, join(scratch, 'built'));

async function upload(name: string, version: string): Promise<void> {
  await aptkeep('upload', await build(name, version), '--suite', 'stable', '--data', data);
}

interface Exported {
  suites: { suite: string; publication: number }[];
  files: number;
  written: number;
  removed: number;
}

const exportTo = async (folder: string, ...words: string[]): Promise<Exported> =>
  JSON.parse(await aptkeep('export', folder, ...words, '--json', '--data', data)) as Exported;

async function createHost(name: string, uri: string): Promise<AptRoot> {
  const root = await createAptRoot(join(scratch, name));
  await root.install(
    'etc/apt/sources.list.d/exported.list',
    `deb [signed-by=${tree}/archive-keyring.gpg] ${uri} stable main\n`,
  );
  return root;
}

async function update(root: AptRoot): Promise<void> {
  const outcome = await root.aptGet('update');
  expect([outcome.status, outcome.stderr]).toEqual([0, '']);
}

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
  server = await startServer({ data });
  await upload('alpha', '1.0');
  await upload('beta', '1:2.0~rc1+b1');
  port = await findFreePort();
  web = createServer((request, response) => {
    const path = normalize(decodeURIComponent(request.url ?? '/'));
    asked.push(path);
    readFile(join(tree, path)).then(
      (bytes) => response.writeHead(200, { 'Content-Length': bytes.length }).end(bytes),
      () => response.writeHead(404, { 'Content-Length': 0 }).end(),
    );
  }).listen(port, '127.0.0.1');
});

afterAll(() => {
  web.close();
});

/** What Packages lists, and what is there. */
async function comparePool(): Promise<[string[], string[]]> {
  const index = await succeed(
    'sh',
    ['-c', 'zcat dists/*/main/binary-amd64/Packages.gz | sed -n "s/^Filename: //p" | sort -u'],
    { cwd: tree },
  );
  const found = (await listFiles(join(tree, 'pool'))).map((path) => `pool/${path}`);
  return [found, index.split('\n').filter(Boolean)];
}

describe('an export', () => {
  it('is a tree of the signed bytes, and of what they list', async () => {
    expect(await exportTo(tree, '--suite', 'stable')).toMatchObject({ removed: 0 });
    for (const name of ['InRelease', 'Release', 'Release.gpg']) {
      const exported = await readFile(join(tree, 'dists/stable', name));
      // The mirror follows in the background.
      await waitFor(`the mirror of ${name}`, async () => {
        const ours = await readFile(join(data, 'dists/stable', name));
        return ours.equals(exported) || undefined;
      });
    }
    const keyring = join(tree, 'archive-keyring.gpg');
    await succeed('gpgv', ['--keyring', keyring, join(tree, 'dists/stable/InRelease')]);
    const sums =
      'sed -n "/^SHA256:/,/^[^ ]/s/^ \\([0-9a-f]*\\) *[0-9]* \\(.*\\)/\\1  \\2/p" Release | sha256sum --check --strict --quiet';
    await succeed('sh', ['-c', sums], { cwd: join(tree, 'dists/stable') });
    const [found, listed] = await comparePool();
    expect(found).toEqual(listed);
    expect(found).toHaveLength(2);
  });

  it('shares the files of the pool where it can', async () => {
    const path = 'pool/main/a/alpha/alpha_1.0_all.deb';
    expect((await stat(join(tree, path))).ino).toBe((await stat(join(data, path))).ino);
  });

  it('serves a real host by any web server, by hash', async () => {
    const root = await createHost('by-http', `http://127.0.0.1:${port}`);
    await update(root);
    const outcome = await root.aptGet('install', 'alpha', 'beta');
    expect([outcome.status, outcome.stderr]).toEqual([0, '']);
    expect(asked.some((path) => path.includes('/by-hash/SHA256/'))).toBe(true);
  });

  it('serves one from the disk', async () => {
    const root = await createHost('by-file', `file:${tree}`);
    await update(root);
    expect((await root.aptGet('install', 'beta')).status).toBe(0);
  });
});

describe('the next export', () => {
  it('brings what changed, and takes away what went', async () => {
    const root = await createHost('later', `http://127.0.0.1:${port}`);
    await update(root);
    await upload('alpha', '1.1');
    await aptkeep('package', 'remove', 'alpha=1.0', '--suite', 'stable', '--data', data);
    const made = await exportTo(tree, '--suite', 'stable');
    expect(made.removed).toBeGreaterThan(0);
    const [found, listed] = await comparePool();
    expect(found).toEqual(listed);
    expect(found.join()).toContain('alpha_1.1_all.deb');
    expect(found.join()).not.toContain('alpha_1.0_all.deb');
    await update(root);
    expect((await root.aptGet('install', 'alpha')).status).toBe(0);
    expect((await root.listInstalled()).get('alpha')).toBe('1.1');
  });

  it('writes nothing where nothing changed', async () => {
    expect(await exportTo(tree, '--suite', 'stable')).toMatchObject({ written: 0, removed: 0 });
  });

  it('works without a server, and of all suites', async () => {
    await server.stop();
    await aptkeep('suite', 'create', 'testing', '--origin', 'O', '--label', 'L', '--data', data);
    const made = await exportTo(tree);
    expect(made.suites.map(({ suite }) => suite)).toEqual(['stable', 'testing']);
    expect(await listFiles(join(tree, 'dists/testing'))).toContain('InRelease');
  });
});

describe('a folder that is not for it', () => {
  it('is left as it is', async () => {
    const folder = join(scratch, 'other');
    await mkdir(folder);
    await writeFile(join(folder, 'precious'), 'x');
    const outcome = await runAptkeep(['export', folder, '--data', data]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(
        /^aptkeep: directory not accepted: .* is neither empty nor an earlier export/,
      ),
    ]);
    expect(await listFiles(folder)).toEqual(['precious']);
  });

  it('is not believed where its list names what no export makes', async () => {
    const folder = join(scratch, 'forged');
    await mkdir(folder);
    const list = { format: 1, files: [['../data/catalog.sqlite', 'x']] };
    await writeFile(join(folder, '.aptkeep-export'), JSON.stringify(list));
    expect((await runAptkeep(['export', folder, '--data', data])).status).toBe(1);
    expect((await stat(join(data, 'catalog.sqlite'))).isFile()).toBe(true);
  });
});
