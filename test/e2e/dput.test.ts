/**
 * dput and dput-ng as Debian ships them, through `aptkeep dput-proxy`: all that a .changes names is
 * published together or not at all, a refusal is read by whoever ran them, and nobody else on the
 * machine gets through.
 */
import { cp, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Built, buildSource, type WantedSource } from '../deb/build-source.ts';
import {
  cleanEnvironment,
  createScratch,
  type Outcome,
  run,
  startProcess,
  succeed,
  waitFor,
} from './command.ts';
import { APTKEEP, aptkeep, programEnvironment, type Server, startServer } from './program.ts';
import { type Client, curl, issueClient, listFiles, putFile, remoteFlags } from './site.ts';

const scratch = createScratch('dput');
const data = join(scratch, 'data');
const built = join(scratch, 'built');
const out = join(scratch, 'out');
let server: Server;
let uploader: Client;

async function write(wanted: WantedSource): Promise<{ files: Built; changes: string }> {
  const files = buildSource(wanted);
  await mkdir(built, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(built, name), bytes);
  const changes = [...files.keys()].find((name) => name.endsWith('.changes')) ?? '';
  return { files, changes: join(built, changes) };
}

/** dput-ng cannot be installed beside dput: it is unpacked, and finds its own files in "skel". */
async function unpackDputNg(): Promise<string> {
  const folder = join(scratch, 'dput-ng');
  await mkdir(join(folder, 'skel'), { recursive: true });
  await succeed('apt-get', ['download', 'dput-ng', 'python3-dput'], { cwd: folder });
  const packages = (await listFiles(folder)).filter((file) => file.endsWith('.deb'));
  expect(packages).toHaveLength(2);
  for (const file of packages) await succeed('dpkg-deb', ['-x', file, '.'], { cwd: folder });
  for (const part of ['usr/share/dput-ng', 'etc/dput.d']) {
    const isWanted = (path: string): boolean => !path.endsWith('/README');
    await cp(join(folder, part), join(folder, 'skel'), { recursive: true, filter: isWanted });
  }
  return folder;
}

/** The arguments of `aptkeep dput-proxy`, before the command it runs. */
const proxyArguments = (client: Client, ...flags: string[]): string[] => [
  'dput-proxy',
  ...['--suite', 'stable', '--suite', 'next', '--out', out],
  ...remoteFlags(client, server.url),
  ...flags,
];

const runProxied = (client: Client, flags: string[], words: string[], env = {}, cwd = scratch) =>
  run(APTKEEP, [...proxyArguments(client, ...flags), '--', ...words], {
    env: { ...programEnvironment(), ...env },
    cwd,
  });

const dput = (client: Client, changes: string, ...flags: string[]): Promise<Outcome> =>
  runProxied(client, flags, ['dput', '-c', join(out, 'dput.cf'), 'aptkeep', changes]);

const listPackages = async (name: string): Promise<string[]> => {
  const { packages } = JSON.parse(await aptkeep('package', 'list', name, '--json', '--data', data));
  return packages.map(
    (one: Record<string, string>) => `${one.suite} ${one.package} ${one.architecture}`,
  );
};

const countPublications = async (suite: string): Promise<number> =>
  JSON.parse(await aptkeep('publication', 'list', suite, '--json', '--data', data)).publications
    .length;

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build', 'uploader');
  await aptkeep('suite', 'create', 'next', '--origin', 'T', '--label', 'T', '--data', data);
});

afterAll(() => server.stop());

describe('dput', () => {
  it('uploads a source and its packages into one publication', async () => {
    const before = await countPublications('stable');
    const { changes } = await write({ name: 'whole', version: '1:0.1-1', extras: true });
    const outcome = await dput(uploader, changes);
    expect(outcome.status, outcome.stdout + outcome.stderr).toBe(0);
    expect(outcome.stdout).toContain('Successfully uploaded packages.');
    expect(outcome.stderr).toContain('whole_0.1-1_all.deb: waits for its .changes');
    expect((await listPackages('whole')).sort()).toEqual([
      'stable whole all',
      'stable whole source',
      'stable whole-dbgsym all',
      'stable whole-udeb all',
    ]);
    expect(await countPublications('stable')).toBe(before + 1);
    expect(await listFiles(out)).toEqual([]);
  });

  it('publishes nothing where a file of the .changes has not come', async () => {
    const before = await countPublications('stable');
    const { changes } = await write({ name: 'torn', version: '1.0-1' });
    const missing = join(scratch, 'missing');
    await mkdir(missing);
    for (const file of await listFiles(built)) {
      if (/^torn_1.0-1(_all.deb|_\w+.(changes|buildinfo)|.dsc)$/.test(file)) {
        await cp(join(built, file), join(missing, file));
      }
    }
    const name = (await listFiles(missing)).find((file) => file.endsWith('.changes')) ?? '';
    const put = (file: string): string =>
      `curl -sS -o /dev/null -w '%{http_code} ' -T ${missing}/${file} "$place/"`;
    const place = `place=http://$(sed -n 's/^fqdn = //p' ${out}/dput.cf | head -1)$(sed -n 's/^incoming = //p' ${out}/dput.cf | head -1)`;
    const info = name.replace('.changes', '.buildinfo');
    const files = ['torn_1.0-1.dsc', 'torn_1.0-1_all.deb', info, name].map(put).join('; ');
    const outcome = await runProxied(uploader, [], ['sh', '-c', `${place}; ${files}`]);
    expect(outcome.stdout.trim()).toBe('202 202 202 422');
    expect(outcome.stderr).toMatch(/Files missing: .*torn_1\.0\.orig\.tar\.gz/);
    expect(await listPackages('torn')).toEqual([]);
    expect(await countPublications('stable')).toBe(before);
    // What waited is taken by the whole upload.
    expect((await dput(uploader, changes)).status).toBe(0);
    expect((await listPackages('torn')).sort()).toEqual(['stable torn all', 'stable torn source']);
  });

  it('reads why it is refused: the role, the suite, the distribution', async () => {
    const { changes } = await write({ name: 'refused', version: '1.0-1' });
    const host = await issueClient(data, 'web', 'host');
    const limited = await issueClient(data, 'limited', 'uploader', '--suites', 'next');
    const byHost = await dput(host, changes);
    expect([byHost.status, byHost.stdout]).toEqual([
      1,
      expect.stringMatching(/Upload failed: 400 Role not allowed: /),
    ]);
    const byLimited = await dput(limited, changes);
    expect(byLimited.stdout).toMatch(
      /Upload failed: 400 .*limited may add to next, not to "stable"/,
    );
    const { changes: other } = await write({ name: 'other', distribution: 'unstable' });
    const wrong = await dput(uploader, other);
    expect([wrong.status, wrong.stdout]).toEqual([1, expect.stringMatching(/422 .*unstable/)]);
    expect(await listPackages('refused')).toEqual([]);
    expect((await dput(uploader, other, '--any-distribution')).status).toBe(0);
    expect(await listPackages('other')).toHaveLength(2);
  });

  it('says so where the server is not there', async () => {
    const { changes } = await write({ name: 'nowhere' });
    const flags = proxyArguments(uploader).map((word) =>
      word === server.url ? 'https://localhost:9' : word,
    );
    const words = ['dput', '-c', join(out, 'dput.cf'), 'aptkeep', changes];
    const outcome = await run(APTKEEP, [...flags, '--', ...words], { env: programEnvironment() });
    expect([outcome.status, outcome.stdout]).toEqual([
      1,
      expect.stringMatching(/Upload failed: 502 Server unreachable/),
    ]);
  });
});

describe('dput-ng', () => {
  it('uploads with its profile, to the suite that it names, and reads why it is refused', async () => {
    const folder = await unpackDputNg();
    const home = join(scratch, 'home');
    await mkdir(home);
    await symlink(out, join(home, '.dput.d'));
    const env = {
      HOME: home,
      PYTHONPATH: join(folder, 'usr/lib/python3/dist-packages'),
      no_proxy: '127.0.0.1',
    };
    const program = join(folder, 'usr/bin/dput');
    const { changes } = await write({ name: 'by-ng', version: '2.0-1', distribution: 'next' });
    const words = ['/usr/bin/python3', program, 'aptkeep-next', changes];
    const outcome = await runProxied(uploader, [], words, env, folder);
    expect(outcome.status, outcome.stdout + outcome.stderr).toBe(0);
    expect((await listPackages('by-ng')).sort()).toEqual(['next by-ng all', 'next by-ng source']);
    const host = await issueClient(data, 'web1', 'host');
    const { changes: more } = await write({ name: 'by-host', distribution: 'next' });
    const again = ['/usr/bin/python3', program, 'aptkeep-next', more];
    const refused = await runProxied(host, [], again, env, folder);
    expect(refused.status, refused.stdout + refused.stderr).not.toBe(0);
    expect(refused.stdout + refused.stderr).toContain('Role not allowed: ');
  });
});

describe('the listener', () => {
  it('is for whoever may read its configuration, for PUT, for its suites, for no page', async () => {
    const args = proxyArguments(uploader);
    const child = startProcess(APTKEEP, args, { env: programEnvironment() });
    const said: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => said.push(chunk));
    const url = await waitFor(
      'the line "ready"',
      () =>
        /^aptkeep: ready (http:\/\/127\.0\.0\.1:\d+)$/m.exec(Buffer.concat(said).toString())?.[1],
    );
    const configuration = await readFile(join(out, 'dput.cf'), 'utf8');
    const token = /^incoming = \/([\w-]{32})\/stable$/m.exec(configuration)?.[1] ?? '';
    expect(token).toHaveLength(32);
    for (const file of await listFiles(out)) {
      expect((await stat(join(out, file))).mode & 0o777, file).toBe(0o600);
    }
    const { files } = await write({ name: 'alone', version: '3.0-1' });
    const deb = join(built, [...files.keys()].find((name) => name.endsWith('.deb')) ?? '');
    const ask = async (path: string, ...flags: string[]): Promise<string> =>
      (
        await run('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', ...flags, url + path], {
          env: cleanEnvironment(),
        })
      ).stdout;
    const put = ['--upload-file', deb];
    expect(await ask(`/${token}/stable/x.deb`, ...put)).toBe('202');
    expect(await ask('/stable/x.deb', ...put)).toBe('404');
    expect(await ask(`/${token.slice(1)}A/stable/x.deb`, ...put)).toBe('404');
    expect(await ask(`/${token}/other/x.deb`, ...put)).toBe('400');
    expect(await ask(`/${token}/stable/../other/x.deb`, '--path-as-is', ...put)).toBe('404');
    expect(await ask(`/${token}/stable/x.deb?publish=`, ...put)).toBe('404');
    expect(await ask(`/${token}/stable/x.deb`)).toBe('405');
    expect(await ask(`/${token}/v1/status`)).toBe('405');
    expect(await ask(`/${token}/stable/x.deb`, ...put, '-H', 'Origin: http://evil')).toBe('403');
    expect(await listPackages('alone')).toEqual([]);
    // Without the proxy, and as ever, a package that comes alone is published at once.
    expect((await putFile(uploader, server.url, deb)).status).toBe(201);
    child.kill('SIGTERM');
    await waitFor('its end', () => (child.exitCode === 0 ? true : undefined));
    expect(await listFiles(out)).toEqual([]);
  });

  it('listens where no other machine reaches it, and nowhere else', async () => {
    for (const place of ['0.0.0.0:0', '[::]:0', '192.0.2.1:0', 'example.org:80', '127.0.0.1']) {
      const outcome = await runProxied(uploader, ['--listen', place], ['true']);
      expect([outcome.status, outcome.stderr], place).toEqual([
        2,
        expect.stringContaining(`--listen ${place}`),
      ]);
    }
  });

  it('ends as its command does', async () => {
    expect((await runProxied(uploader, [], ['sh', '-c', 'exit 7'])).status).toBe(7);
    expect((await runProxied(uploader, [], ['no-such-program'])).status).toBe(2);
    expect(await listFiles(out)).toEqual([]);
    const answer = await curl(
      uploader,
      `${server.url}/upload/stable/x.deb?publish=maybe`,
      '-T',
      APTKEEP,
    );
    expect(answer.status).toBe(400);
  });
});
