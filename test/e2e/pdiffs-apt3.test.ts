/** Patches and .xz as apt 3 of Debian 13 uses them, in a chroot: what it asked for, what it has. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { createPackage } from '../repository/open.ts';
import { createTrees, type Host, makeTree } from './chroot.ts';
import { aptkeep } from './program.ts';

const PACKAGES = 60;
const INDEX = 'main/binary-amd64/Packages';

const scratch = createTrees('pdiffs-apt3');
const data = join(scratch, 'data');
let site: Site;
let uploader: IssuedClient;
let reader: IssuedClient;
let host: Host;

async function upload(name: string): Promise<void> {
  const fields = `Homepage: https://example.org/${randomBytes(60).toString('hex')}\n`;
  const answer = await put(site, uploader, createPackage({ name, fields }));
  expect(answer.status, answer.text).toBe(201);
}

/** What apt asked for below dists/stable/; its list is then what the server has. */
async function update(...settings: string[]): Promise<string[]> {
  const options = ['APT::Update::Error-Mode=any', 'Debug::Acquire::https=true', ...settings];
  const words = options.flatMap((option) => ['-o', option]);
  const { status, stderr } = await host.run('apt-get', 'update', ...words);
  expect(status, stderr).toBe(0);
  const list = '/var/lib/apt/lists/*_dists_stable_main_binary-amd64_Packages*';
  const text = await host.shell(`/usr/lib/apt/apt-helper cat-file ${list}`);
  expect(text).toBe((await ask(site, reader, `/dists/stable/${INDEX}`)).text);
  const asked = [...stderr.matchAll(/^GET \/+dists\/stable\/(\S+) HTTP/gm)];
  return asked.map((match) => match[1] ?? '').filter((path) => path.includes('amd64'));
}

beforeAll(async () => {
  site = await startSite(data);
  uploader = await site.issue('build', 'uploader');
  reader = await site.issue('reader', 'observer');
  await Promise.all(Array.from({ length: PACKAGES }, (_, i) => upload(`base-${i}`)));
  const options = { xz: true, pdiffs: true };
  await site.perform('suite.set', { suite: 'stable', options });
  host = await (await makeTree(scratch, 'trixie')).unpack('web');
  await host.write('/root/kit.sh', await aptkeep('host', 'add', 'web', '--data', data));
  await host.shell('sh /root/kit.sh');
}, 400_000);
afterAll(() => site.daemon.stop());

describe('apt 3', () => {
  const patch = expect.stringMatching(/^main\/binary-amd64\/Packages\.diff\/[0-9a-f]{64}\.gz$/);
  const index = expect.stringMatching(/^main\/binary-amd64\/Packages\.diff\/by-hash\/SHA256\//);

  it('fetches one patch, however far behind it is', async () => {
    expect(await host.shell('apt-get --version')).toMatch(/^apt 3\./);
    await update();
    await upload('one');
    expect(await update()).toEqual([index, patch]);
    await upload('two');
    const packages = [{ package: 'base-7', version: '1.0' }];
    await site.perform('package.remove', { suite: 'stable', packages });
    await upload('three');
    expect(await update()).toEqual([index, patch]);
  });

  it('fetches the .xz where it takes no patch', async () => {
    await upload('four');
    const asked = await update('Acquire::PDiffs=false');
    const live = site.parts.repository.live.get('stable');
    const hash = live?.files.get(`${INDEX}.xz`)?.sha256;
    expect(asked).toEqual([`main/binary-amd64/by-hash/SHA256/${hash}`]);
  });
});
