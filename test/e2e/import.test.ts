/**
 * Moving in: repositories made by reprepro and by aptly, folders and servers, each imported by the
 * program; a real host that used the old one goes on with ours and notices nothing.
 */
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Built, buildSource } from '../deb/build-source.ts';
import { createPackage } from '../repository/open.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch, startProcess, succeed, waitFor } from './command.ts';
import {
  createForeignKey,
  type ForeignKey,
  fillAptly,
  fillReprepro,
  includeChanges,
  OLD_UNI,
  serveFolder,
} from './foreign-trees.ts';
import { buildSmall } from './packages.ts';
import {
  APTKEEP,
  aptkeep,
  findFreePort,
  programEnvironment,
  runAptkeep,
  startServer,
} from './program.ts';
import { enrolHost, fingerprintFolder, listFiles } from './site.ts';

interface Imported {
  suite: string;
  publication: number;
  added: number;
  present: number;
  refused: { file: string; code: string; why: string }[];
}

const scratch = createScratch('import');
const reprepro = join(scratch, 'reprepro');
const aptly = join(scratch, 'aptly');
const flat = join(scratch, 'flat');
const data = join(scratch, 'data');
let key: ForeignKey;

const build = (name: string, version: string): Promise<string> =>
  buildSmall({ name, version }, join(scratch, 'built'));

async function writeBuilt(folder: string, built: Built): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of built) await writeFile(join(folder, name), bytes);
}

async function importInto(...words: string[]): Promise<Imported> {
  return JSON.parse(await aptkeep('import', ...words, '--json', '--data', data)) as Imported;
}

interface Suite {
  origin: string;
  label: string;
  codename: string;
  components: string[];
  architectures: string[];
  packages: number;
  publication: number;
}

const showSuite = async (name: string): Promise<Suite> =>
  JSON.parse(await aptkeep('suite', 'show', name, '--json', '--data', data)) as Suite;

beforeAll(async () => {
  key = await createForeignKey(join(scratch, 'key'));
  const files = [await build('alpha', '1.0'), await build('beta', '2:1.5~rc1')];
  await fillReprepro(reprepro, key, 'main', files);
  await fillReprepro(reprepro, key, 'contrib', [await build('gamma', '3')]);
  await fillAptly(aptly, key, [...files, await build('delta', '4+b1')]);
  await mkdir(join(flat, 'some/where'), { recursive: true });
  for (const file of files)
    await copyFile(file, join(flat, 'some/where', `x${file.split('/').at(-1)}`));
  await aptkeep('init', '--data', data, '--name', 'Uni');
});

describe('a reprepro tree', () => {
  it('becomes a suite of its identity, in one publication, and is left as it was', async () => {
    const before = await fingerprintFolder(reprepro);
    const made = await importInto(reprepro, '--suite', 'plain', '--keyring', key.keyring);
    expect(made).toMatchObject({ suite: 'plain', added: 3, present: 0, refused: [] });
    expect(await showSuite('plain')).toMatchObject({
      origin: OLD_UNI.origin,
      label: OLD_UNI.label,
      codename: OLD_UNI.codename,
      components: ['main', 'contrib'],
      architectures: ['amd64', 'arm64'],
      packages: 3,
      publication: made.publication,
    });
    expect(await fingerprintFolder(reprepro)).toBe(before);
  });

  it('holds in the pool what dpkg says it does', async () => {
    const listed = JSON.parse(
      await aptkeep('package', 'list', '--suite', 'plain', '--json', '--data', data),
    ) as { packages: { package: string; filename: string; sha256: string; component: string }[] };
    for (const { package: name, filename, sha256 } of listed.packages) {
      const file = join(data, filename);
      expect(await succeed('dpkg-deb', ['--field', file, 'Package'])).toBe(`${name}\n`);
      expect(await succeed('sha256sum', [file])).toContain(sha256);
      expect((await stat(file)).mode & 0o777).toBe(0o644);
    }
    expect(listed.packages.map((one) => `${one.component} ${one.package}`)).toEqual([
      'main alpha',
      'main beta',
      'contrib gamma',
    ]);
  });

  it('again brings nothing and makes no publication; what came since comes with the next', async () => {
    const before = await showSuite('plain');
    expect(await importInto(reprepro, '--suite', 'plain')).toMatchObject({ added: 0, present: 3 });
    expect((await showSuite('plain')).publication).toBe(before.publication);
    await fillReprepro(reprepro, key, 'main', [await build('late', '1')]);
    expect(await importInto(reprepro, '--suite', 'plain')).toMatchObject({ added: 1, present: 3 });
  });

  it('can be taken in part', async () => {
    const words = [reprepro, '--suite', 'part', '--components', 'contrib'];
    await importInto(...words, '--architectures', 'amd64');
    expect(await showSuite('part')).toMatchObject({
      components: ['contrib'],
      architectures: ['amd64'],
      packages: 1,
    });
    const outcome = await runAptkeep([
      'import',
      reprepro,
      '--suite',
      'x',
      '--components',
      'non-free',
      '--data',
      data,
    ]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      'aptkeep: repository not accepted: it has no component "non-free"; it has main, contrib\n',
    ]);
  });
});

describe('other sources', () => {
  it('an aptly tree is found below public/', async () => {
    expect(await importInto(aptly, '--suite', 'from-aptly')).toMatchObject({ added: 3 });
    expect(await showSuite('from-aptly')).toMatchObject({
      origin: OLD_UNI.origin,
      codename: OLD_UNI.codename,
      components: ['main'],
    });
  });

  it('a folder of packages goes to a suite that is there', async () => {
    const words = ['import', flat, '--suite', 'loose', '--data', data];
    expect((await runAptkeep(words)).stderr).toMatch(/^aptkeep: no such suite: .*suite create/);
    await aptkeep('suite', 'create', 'loose', '--origin', 'O', '--label', 'L', '--data', data);
    expect(await importInto(flat, '--suite', 'loose')).toMatchObject({ added: 2 });
  });

  it('a server, verified with its keyring and no further than that', async () => {
    const port = await findFreePort();
    const pair = { cert: join(data, 'certs/server.crt'), key: join(data, 'certs/server.key') };
    const site = await serveFolder(reprepro, pair, port);
    const url = `https://localhost:${port}/`;
    const ca = ['--source-ca', join(data, 'certs/server-ca.crt')];
    const words = [url, '--suite', 'web', '--distribution', 'bookworm', ...ca];
    try {
      const bare = await runAptkeep(['import', ...words, '--data', data]);
      expect([bare.status, bare.stderr]).toEqual([1, expect.stringContaining('--keyring')]);
      const other = await createForeignKey(join(scratch, 'other'));
      const wrong = await runAptkeep([
        'import',
        ...words,
        '--keyring',
        other.keyring,
        '--data',
        data,
      ]);
      expect([wrong.status, wrong.stderr]).toEqual([
        1,
        expect.stringMatching(/no signature counts/),
      ]);
      expect(await importInto(...words, '--keyring', key.keyring)).toMatchObject({ added: 4 });
      expect(site.asked.filter((path) => path.endsWith('.deb'))).toHaveLength(4);
    } finally {
      await site.close();
    }
  });
});

describe('source packages', () => {
  const tree = join(scratch, 'with-sources');
  const loose = join(scratch, 'loose-sources');

  beforeAll(async () => {
    const upload = join(scratch, 'upload');
    await writeBuilt(
      upload,
      buildSource({ name: 'moved', distribution: 'bookworm', extras: true }),
    );
    await fillReprepro(tree, key, 'main', [await build('omega', '1.0')]);
    const [changes = ''] = (await readdir(upload)).filter((name) => name.endsWith('.changes'));
    await includeChanges(tree, key, join(upload, changes));
    for (const version of ['1.0-1', '1.0-2']) {
      const flags = { flags: ['-S', '-sa'], upstream: 'the same' };
      await writeBuilt(loose, buildSource({ name: 'twice', version, ...flags }));
    }
  });

  it('come with the installer packages and the debugging symbols beside them', async () => {
    await importInto(tree, '--suite', 'sources', '--keyring', key.keyring);
    const suite = join(data, 'dists/sources');
    // As reprepro has them, but for where the files lie.
    const names = async (folder: string, path: string): Promise<string[]> =>
      (await succeed('sh', ['-c', `zcat ${path}.gz | grep ^Package:`], { cwd: folder }))
        .split('\n')
        .filter(Boolean)
        .sort();
    const old = join(tree, 'dists/bookworm');
    for (const path of [
      'main/binary-amd64/Packages',
      'main/debian-installer/binary-amd64/Packages',
      'main/source/Sources',
    ]) {
      const ours = await waitFor(`the mirror of ${path}`, () =>
        names(suite, path).catch(() => undefined),
      );
      expect([path, ours]).toEqual([path, await names(old, path)]);
    }
  });

  it('are fetched by a real apt, whole', async () => {
    const server = await startServer({ data });
    try {
      const { root } = await enrolHost(data, 'builder', join(scratch, 'builder'));
      const [list] = await readdir(join(scratch, 'builder/etc/apt/sources.list.d'));
      const text = await root.read(`etc/apt/sources.list.d/${list}`);
      const own = text.split('\n\n').find((one) => /^Suites: sources$/m.test(one)) ?? '';
      const added = `${own.replace(/^Types: deb$/m, 'Types: deb deb-src').replace(/^Components: .*$/m, 'Components: main')}\n`;
      await root.install(
        `etc/apt/sources.list.d/${list}`,
        added.replace(/https:\/\/localhost:\d+/g, server.url),
      );
      const update = await root.aptGet('update');
      expect([update.status, update.stderr]).toEqual([0, '']);
      const folder = join(scratch, 'fetched');
      await mkdir(folder);
      const outcome = await root.aptGetIn(folder, 'source', '--download-only', 'moved');
      // As root apt says that its sandbox user cannot write here.
      expect([outcome.status, outcome.stderr]).toEqual([0, expect.not.stringMatching(/^E:/m)]);
      const [dsc = ''] = (await readdir(folder)).filter((name) => name.endsWith('.dsc'));
      await succeed('dpkg-source', ['--no-check', '-x', dsc, 'unpacked'], { cwd: folder });
    } finally {
      await server.stop();
    }
  });

  it('of a folder, two versions that share a file', async () => {
    await aptkeep('suite', 'create', 'folder', '--origin', 'O', '--label', 'L', '--data', data);
    expect(await importInto(loose, '--suite', 'folder')).toMatchObject({ added: 2, refused: [] });
    expect(await importInto(loose, '--suite', 'folder')).toMatchObject({ added: 0, present: 2 });
    const origs = await succeed('find', [join(data, 'pool'), '-name', 'twice_1.0.orig.tar.*']);
    expect(origs.trim().split('\n')).toHaveLength(1);
  });

  it('a file that a .dsc names and that is missing refuses it', async () => {
    const folder = join(scratch, 'no-orig');
    await succeed('cp', ['-r', loose, folder]);
    await succeed('sh', ['-c', 'rm *.orig.tar.*'], { cwd: folder });
    const outcome = await runAptkeep(['import', folder, '--suite', 'folder', '--data', data]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(/twice_1\.0-1\.dsc: twice_1\.0\.orig\.tar\.\w+: there is no such file/),
    ]);
  });
});

describe('what is not accepted', () => {
  const bad = join(scratch, 'bad');

  beforeAll(async () => {
    await mkdir(bad);
    await copyFile(await build('good', '1'), join(bad, 'good.deb'));
    await writeFile(join(bad, 'broken.deb'), 'not a package');
    await writeFile(join(bad, 'source_1.dsc'), 'a source\n');
  });

  it('refuses all of it, with the names and the reasons, and changes nothing', async () => {
    const words = ['import', bad, '--suite', 'loose', '--data', data];
    const before = await showSuite('loose');
    const outcome = await runAptkeep(words);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(
        /2 of 3 packages are not accepted.*\n {2}broken\.deb: this is not a Debian package/,
      ),
    ]);
    expect(await showSuite('loose')).toEqual(before);
  });

  it('is named and left, where the others are asked for', async () => {
    const made = await importInto(bad, '--suite', 'loose', '--skip-bad');
    expect(made).toMatchObject({ added: 1 });
    expect(made.refused).toEqual([
      { file: 'broken.deb', code: 'PACKAGE_MALFORMED', why: expect.any(String) },
      { file: 'source_1.dsc', code: 'PACKAGE_MALFORMED', why: 'it is no .dsc' },
    ]);
  });

  it('a file that is not the one its index lists', async () => {
    const torn = join(scratch, 'torn');
    await succeed('cp', ['-r', reprepro, torn]);
    const file = (await succeed('find', [torn, '-name', 'alpha_*.deb'])).trim();
    const bytes = await readFile(file);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    await writeFile(file, bytes);
    const outcome = await runAptkeep(['import', torn, '--suite', 'torn', '--data', data]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(
        /alpha_1\.0_all\.deb: the file has SHA256 [0-9a-f]{64}; its index says/,
      ),
    ]);
    expect((await runAptkeep(['suite', 'show', 'torn', '--data', data])).status).toBe(1);
  });

  it('a suite of another identity', async () => {
    const outcome = await runAptkeep(['import', reprepro, '--suite', 'stable', '--data', data]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(/Origin is Uni here and Old Uni there; .*Codename is stable here/),
    ]);
  });
});

describe('an import that is killed', () => {
  const COUNT = 60;

  const countPool = async (prefix: string): Promise<number> =>
    (await listFiles(join(data, 'pool/main/m'))).filter((path) => path.startsWith(prefix)).length;

  /** What tells how far it is, from outside. */
  const points: [string, string, (prefix: string) => Promise<boolean>][] = [
    ['at once', 'ma', async () => true],
    ['when the first bytes are in the pool', 'mb', async (prefix) => (await countPool(prefix)) > 0],
    ['when all of them are', 'mc', async (prefix) => (await countPool(prefix)) >= COUNT],
  ];

  it.each(points)(
    '%s leaves all or nothing, and the next one ends it',
    async (_, name, isReached) => {
      const folder = join(scratch, `many-${name}`);
      await mkdir(folder);
      for (let i = 0; i < COUNT; i += 1) {
        await writeFile(join(folder, `${i}.deb`), createPackage({ name: `${name}-${i}` }));
      }
      const identity = ['--origin', 'O', '--label', 'L', '--data', data];
      await aptkeep('suite', 'create', name, ...identity);
      const args = ['import', folder, '--suite', name, '--data', data];
      const child = startProcess(APTKEEP, args, { env: programEnvironment() });
      await waitFor('the moment', async () =>
        (await isReached(name)) || child.exitCode !== null ? true : undefined,
      );
      child.kill('SIGKILL');
      expect([0, COUNT]).toContain((await showSuite(name)).packages);
      await importInto(folder, '--suite', name);
      expect((await showSuite(name)).packages).toBe(COUNT);
      await aptkeep('check', '--data', data);
    },
  );
});

describe('a host of the old repository', () => {
  let root: AptRoot;
  const port = findFreePort();

  const update = async (): Promise<void> => {
    const outcome = await root.aptGet('update');
    expect([outcome.status, outcome.stdout + outcome.stderr]).toEqual([0, expect.any(String)]);
    expect(outcome.stderr).toBe('');
  };

  beforeAll(async () => {
    const folder = join(scratch, 'host');
    ({ root } = await enrolHost(data, 'old-host', folder));
    await rm(join(folder, 'etc/apt/sources.list.d'), { recursive: true });
    await root.install('etc/apt/keyrings/old.gpg', await readFile(key.keyring));
    const source = [
      'Types: deb',
      `URIs: https://localhost:${await port}`,
      'Suites: bookworm',
      'Components: main contrib',
      `Signed-By: ${folder}/etc/apt/keyrings/old.gpg`,
    ];
    await root.install('etc/apt/sources.list.d/old.sources', `${source.join('\n')}\n`);
  });

  it('goes on with ours at the same address, with the key and the identity that it knows', async () => {
    const pair = { cert: join(data, 'certs/server.crt'), key: join(data, 'certs/server.key') };
    const old = await serveFolder(reprepro, pair, await port);
    await update();
    expect((await root.aptGet('install', 'alpha')).status).toBe(0);
    await old.close();

    const words = [reprepro, '--suite', 'bookworm', '--signing-key', key.secret];
    expect(await importInto(...words)).toMatchObject({ added: 4 });
    const server = await startServer({ data, port: await port });
    try {
      await update();
      const fresh = await build('alpha', '1.1');
      await aptkeep('upload', fresh, '--suite', 'bookworm', '--data', data);
      await update();
      const outcome = await root.aptGet('install', 'alpha', 'gamma');
      expect([outcome.status, outcome.stderr]).toEqual([0, '']);
      const installed = await root.listInstalled();
      expect([installed.get('alpha'), installed.get('gamma')]).toEqual(['1.1', '3']);
    } finally {
      await server.stop();
    }
  });

  it('sees a Date beyond the one it had, and both keys on every suite', async () => {
    const readDate = async (file: string): Promise<number> =>
      Date.parse(/^Date: (.*)$/m.exec(await readFile(file, 'utf8'))?.[1] ?? '');
    const theirs = await readDate(join(reprepro, 'dists/bookworm/InRelease'));
    const ours = await readDate(join(data, 'dists/bookworm/InRelease'));
    expect(ours).toBeGreaterThan(theirs);
    for (const suite of ['stable', 'bookworm']) {
      const args = ['--homedir', scratch, '--status-fd', '1', '--keyring', key.keyring];
      const status = await succeed('sh', [
        '-c',
        'gpgv "$@" || test $? = 2',
        'gpgv',
        ...args,
        join(data, 'dists', suite, 'InRelease'),
      ]);
      expect(status).toContain(`VALIDSIG ${key.fingerprint}`);
      expect(status).toContain('ERRSIG');
    }
  });
});
