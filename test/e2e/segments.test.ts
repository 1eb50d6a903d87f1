/**
 * Indexes of several segments as apt and curl see them: whole, by range across the seams, by hash of
 * publications long past, from workers, after kill -9 and a new start.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { runDpkgDeb } from '../deb/build.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch, succeed } from './command.ts';
import { type Server, startServer } from './program.ts';
import { checkListedFiles, nameByHash, readListedFiles, readServed } from './signatures.ts';
import { type Client, curlFlags, enrolHost, issueClient, putFile } from './site.ts';

const INDEX = 'main/binary-amd64/Packages.gz';

const scratch = createScratch('segments');
const data = join(scratch, 'data');
let server: Server;
let uploader: Client;
let observer: Client;
let root: AptRoot;
/** Release as it was after each upload. */
const releases: string[] = [];

const served = () => readServed(observer, `${server.url}/dists/stable`, join(scratch, 'served'));
const indexOf = (release: string) => {
  const file = readListedFiles(release).find(({ path }) => path === INDEX);
  if (!file) throw new Error('Release lists no index');
  return file;
};

/** @param noise bytes of a field that no compression shortens: a segment is as long as it says. */
async function upload(name: string, noise: number): Promise<void> {
  const fields = noise > 0 ? `X-Noise: ${randomBytes(noise).toString('base64')}\n` : '';
  const file = join(scratch, `${name}_1.0_all.deb`);
  const control = `Package: ${name}\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: made for a test\n${fields}`;
  await writeFile(file, runDpkgDeb(control, ['-Zgzip'], { [`usr/share/${name}/f`]: 'hello\n' }));
  expect((await putFile(uploader, server.url, file)).status).toBe(201);
  releases.push((await served()('Release')).toString());
}

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build', 'uploader');
  observer = await issueClient(data, 'watcher', 'observer');
  ({ root } = await enrolHost(data, 'web', join(scratch, 'web')));
  // Each a quarter of the one before, or less: none is joined with another.
  for (const noise of [160_000, 30_000, 5000, 700]) await upload(`noise${noise}`, noise);
});

const updateAndInstall = async (...names: string[]): Promise<void> => {
  const update = await root.aptGet('update');
  expect(`exit ${update.status}\n${update.stderr}`).toBe('exit 0\n');
  const installed = await root.aptGet('install', ...names);
  expect(`exit ${installed.status}\n${installed.stderr}`).toBe('exit 0\n');
};

describe('an index of several segments', () => {
  it('is more than one object on disk', async () => {
    expect((await readdir(join(data, 'dists/stable/.segments'))).length).toBeGreaterThanOrEqual(4);
  });

  it('is served whole, by name and by hash, and unpacks to the plain one', async () => {
    const read = served();
    const files = readListedFiles(releases.at(-1) ?? '');
    expect(await checkListedFiles(files, read)).toEqual([]);
    expect(await checkListedFiles(nameByHash(files), read)).toEqual([]);
    const plain = (await read('main/binary-amd64/Packages')).toString();
    expect(await succeed('zcat', [join(scratch, 'served', INDEX.replaceAll('/', '_'))])).toBe(
      plain,
    );
  });

  it('is served by ranges that go across the seams, as curl resumes', async () => {
    const { sha256, size } = indexOf(releases.at(-1) ?? '');
    const whole = await served()(INDEX);
    const url = `${server.url}/dists/stable/main/binary-amd64/by-hash/SHA256/${sha256}`;
    const path = join(scratch, 'resumed');
    for (const have of [1, 150_000, 190_000, size - 500, size - 1]) {
      await writeFile(path, whole.subarray(0, have));
      await succeed('curl', [
        ...[...curlFlags(observer), '--fail', '--continue-at', '-', '--output', path, url],
      ]);
      expect((await readFile(path)).equals(whole), `${have}`).toBe(true);
    }
    for (const range of ['0-0', '155000-165000', '1-199999', '-300', `${size - 1}-`]) {
      const flags = [...curlFlags(observer), '--fail', '--output', path, '--range', range];
      await succeed('curl', [...flags, `${server.url}/dists/stable/${INDEX}`]);
      const [first = '', last = ''] = range.split('-');
      const start = first === '' ? size - Number(last) : Number(first);
      const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
      expect((await readFile(path)).equals(whole.subarray(start, end)), range).toBe(true);
    }
  });

  it('is one from which apt installs', () => updateAndInstall('noise160000', 'noise700'));

  it('goes on after kill -9, from workers, and past ones are still fetched', async () => {
    const { port } = server;
    await server.kill();
    server = await startServer({ data, port, env: { APTKEEP_WORKERS: '2' } });
    await upload('after', 0);
    await updateAndInstall('after', 'noise5000');
    const read = served();
    for (const release of releases) {
      const files = nameByHash(readListedFiles(release));
      expect(await checkListedFiles(files, read)).toEqual([]);
    }
    expect(await server.stop()).toBe(0);
    const mirror = (path: string) => readFile(join(data, 'dists/stable', path));
    expect((await mirror('Release')).toString()).toBe(releases.at(-1));
    expect(await checkListedFiles(readListedFiles(releases.at(-1) ?? ''), mirror)).toEqual([]);
  });
});
