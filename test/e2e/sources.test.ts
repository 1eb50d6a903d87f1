/**
 * Sources by the real programs: built by dpkg-buildpackage, uploaded by aptkeep, indexed as apt-ftparchive does, fetched and unpacked by apt-get source.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Built, buildSource, type WantedSource } from '../deb/build-source.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch, succeed } from './command.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, remoteFlags } from './site.ts';
import { compareIndexes, readIndex } from './stanzas.ts';

const scratch = createScratch('sources');
const data = join(scratch, 'data');
const built = join(scratch, 'built');
let server: Server;
let uploader: Client;
let host: { client: Client; root: AptRoot };

async function write(wanted: WantedSource): Promise<{ files: Built; changes: string }> {
  const files = buildSource(wanted);
  await mkdir(built, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(built, name), bytes);
  const changes = [...files.keys()].find((name) => name.endsWith('.changes')) ?? '';
  return { files, changes: join(built, changes) };
}

beforeAll(async () => {
  await mkdir(data, { recursive: true });
  server = await startServer({ data });
  uploader = await issueClient(data, 'build', 'uploader');
  const { changes } = await write({ name: 'hello', extras: true, components: ['doc'] });
  const flags = ['--suite', 'stable', ...remoteFlags(uploader, server.url)];
  const said = await aptkeep('upload', changes, '--json', ...flags);
  expect(JSON.parse(said).packages).toHaveLength(4);
  host = await enrolHost(data, 'web', join(scratch, 'web'));
});

describe('aptkeep upload', () => {
  it('sends a .changes with all that it names, and says so again', async () => {
    const { changes } = await write({ name: 'hello', extras: true, components: ['doc'] });
    const said = await aptkeep('upload', changes, '--suite', 'stable', '--data', data);
    expect(said.match(/was there already/g)).toHaveLength(4);
  });

  it('sends a .dsc with what lies beside it, and the package apart', async () => {
    const { files } = await write({ name: 'apart', version: '2.0-1' });
    const names = [...files.keys()].filter((name) => /\.(dsc|deb)$/.test(name));
    const paths = names.map((name) => join(built, name));
    const said = await aptkeep('upload', ...paths, '--suite', 'stable', '--data', data);
    expect(said.match(/ added/g)).toHaveLength(2);
  });

  it('refuses a part without its paper, and a paper without its parts', async () => {
    const { changes } = await write({ name: 'alone', version: '3.0-1' });
    const flags = ['--suite', 'stable', '--data', data];
    const part = await runAptkeep(['upload', join(built, 'alone_3.0.orig.tar.gz'), ...flags]);
    expect([part.status, part.stderr]).toEqual([2, expect.stringContaining('.changes or .dsc')]);
    await succeed('rm', [join(built, 'alone_3.0.orig.tar.gz')]);
    const paper = await runAptkeep(['upload', changes, ...flags]);
    expect([paper.status, paper.stderr]).toEqual([
      1,
      expect.stringMatching(/alone_3\.0-1_\w+\.changes: files missing: alone_3\.0\.orig\.tar\.gz/),
    ]);
  });
});

describe('a host', () => {
  it('fetches a source package and unpacks it, with deb-src in its sources', async () => {
    const { root } = host;
    expect(await root.read('etc/apt/sources.list.d/aptkeep.sources')).toContain(
      'Types: deb deb-src\n',
    );
    expect((await root.aptGet('update')).status).toBe(0);
    const folder = join(scratch, 'fetched');
    await mkdir(folder, { mode: 0o777 });
    const fetched = await root.aptGetIn(folder, 'source', 'hello');
    expect([fetched.status, fetched.stderr]).toEqual([0, expect.any(String)]);
    expect(await succeed('cat', [join(folder, 'hello-1.0/upstream')])).toBe('hello');
    expect(await succeed('cat', [join(folder, 'hello-1.0/doc/file')])).toBe('doc');
    expect((await root.aptGet('install', 'hello')).status).toBe(0);
    expect((await root.aptGet('install', 'hello-udeb')).status).not.toBe(0);
  });

  it('is given what apt-ftparchive says of the same files', async () => {
    const hashes = ['-o', 'APT::FTPArchive::SHA512=false'];
    const theirs = await succeed('apt-ftparchive', [...hashes, 'sources', 'pool'], { cwd: data });
    const url = `${server.url}/dists/stable/main/source/Sources`;
    const ours = (await curl(host.client, url)).body;
    expect(compareIndexes(readIndex(ours), readIndex(theirs))).toEqual([]);
    expect(readIndex(ours).size).toBeGreaterThan(1);
  });

  it('of another group fetches none of its files', async () => {
    await aptkeep('suite', 'create', 'other', '--origin', 'T', '--label', 'T', '--data', data);
    await aptkeep('group', 'create', 'apart', '--suites', 'other', '--data', data);
    const stranger = await issueClient(data, 'stranger', 'host');
    await aptkeep('host', 'set', 'stranger', '--group', 'apart', '--data', data);
    for (const file of ['hello_1.0-1.dsc', 'hello_1.0.orig.tar.gz']) {
      const url = `${server.url}/pool/main/h/hello/${file}`;
      expect((await curl(host.client, url, '--head')).status).toBe(200);
      expect((await curl(stranger, url, '--head')).status).toBe(403);
    }
  });
});
