/**
 * Indexes as .xz: one stream of blocks, for apt and for xz itself, whatever came and went; and what
 * is compressed again when something does.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readXzBlocks } from '../../src/deb/xz-stream.ts';
import { pipeThrough } from '../deb/build.ts';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { createPackage } from '../repository/open.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch } from './command.ts';
import { enrolHost } from './site.ts';

const INDEX = 'main/binary-amd64/Packages';
/** Some 700 KB of stanzas: three blocks. */
const PACKAGES = 90;
const FIELD_BYTES = 3500;

const scratch = createScratch('xz');
const data = join(scratch, 'data');
let site: Site;
let uploader: IssuedClient;
let reader: IssuedClient;
let root: AptRoot;

async function upload(name: string, place = 'stable/sample.deb'): Promise<void> {
  const fields = `X-Filler: ${randomBytes(FIELD_BYTES).toString('hex')}\n`;
  const answer = await put(site, uploader, createPackage({ name, fields }), place);
  expect(answer.status, answer.text).toBe(201);
}

const fetchBytes = async (path: string): Promise<Buffer> => {
  const answer = await ask(site, reader, `/dists/${path}`);
  expect(answer.status, path).toBe(200);
  return answer.body;
};

/** The index, proven by xz to be one sound stream of what the plain file is. */
async function fetchProven(suite = 'stable'): Promise<Buffer> {
  const stream = await fetchBytes(`${suite}/${INDEX}.xz`);
  expect(pipeThrough('xz', ['--test'], stream)).toHaveLength(0);
  const script = 'f=$(mktemp --suffix=.xz); cat >$f; xz --robot --list $f; rm $f';
  const file = pipeThrough('sh', ['-c', script], stream).toString().split('\n')[1]?.split('\t');
  expect(file?.[1], 'streams').toBe('1');
  const plain = await fetchBytes(`${suite}/${INDEX}`);
  expect(pipeThrough('xz', ['--decompress', '--stdout'], stream).equals(plain)).toBe(true);
  expect(pipeThrough('gzip', ['-dc'], await fetchBytes(`${suite}/${INDEX}.gz`)).equals(plain)).toBe(
    true,
  );
  return stream;
}

/** What apt asked for of the amd64 index; its list is then what the server has. */
async function update(): Promise<string[]> {
  const outcome = await root.aptGet('update', '-o', 'Debug::Acquire::https=true');
  expect(outcome.status, outcome.stderr).toBe(0);
  const lists = join(root.directory, 'var/lib/apt/lists');
  const list = readdirSync(lists).find((file) => file.endsWith('binary-amd64_Packages')) ?? '';
  expect(await root.read(`var/lib/apt/lists/${list}`)).toBe(
    (await fetchBytes(`stable/${INDEX}`)).toString(),
  );
  const asked = [...outcome.stderr.matchAll(/^GET \/+dists\/stable\/(\S+) HTTP/gm)];
  return asked.map((match) => match[1] ?? '').filter((path) => path.includes('amd64'));
}

const listBlocks = (stream: Buffer): string[] =>
  readXzBlocks(stream).map((block) => block.bytes.toString('base64'));

beforeAll(async () => {
  site = await startSite(data);
  uploader = await site.issue('build', 'uploader');
  reader = await site.issue('reader', 'observer');
  const names = Array.from({ length: PACKAGES }, (_, i) => `base-${i}`);
  await Promise.all(names.map((name) => upload(name)));
  await site.perform('suite.set', { suite: 'stable', options: { xz: true } });
  root = (await enrolHost(data, 'web', join(scratch, 'web'))).root;
});
afterAll(() => site.daemon.stop());

describe('a suite with .xz', () => {
  it('is read by apt from the .xz, and so are later publications', async () => {
    const blocks = listBlocks(await fetchProven());
    expect(blocks.length).toBeGreaterThan(2);
    const release = (await fetchBytes('stable/Release')).toString();
    expect(release).toContain(` ${INDEX}.xz\n`);
    expect(release).toContain(` ${INDEX}.gz\n`);
    await update();
    await upload('one-more');
    const asked = await update();
    expect(asked).toHaveLength(1);
    const fetched = await fetchBytes(`stable/${asked[0]}`);
    expect(fetched.equals(await fetchProven())).toBe(true);
    expect((await root.aptGet('install', '--download-only', 'one-more')).status).toBe(0);
  });

  it('compresses what changed and nothing else', async () => {
    const before = listBlocks(await fetchProven());
    await upload('at-the-end');
    const after = listBlocks(await fetchProven());
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    const named = (await fetchBytes(`stable/${INDEX}`)).toString();
    const middle = [...named.matchAll(/^Package: (\S+)$/gm)].map((match) => match[1] ?? '')[45];
    const packages = [{ package: middle ?? '', version: '1.0' }];
    await site.perform('package.remove', { suite: 'stable', packages });
    const rest = listBlocks(await fetchProven());
    const kept = after.filter((block) => rest.includes(block));
    expect(kept.length).toBeGreaterThanOrEqual(after.length - 2);
    expect(kept.length).toBeLessThan(after.length);
    expect(await update()).toHaveLength(1);
  });

  it('goes on from what is published after the server was started again', async () => {
    const before = listBlocks(await fetchProven());
    await site.daemon.stop();
    site = await startSite(data, { settings: { listen: `127.0.0.1:${site.port}` } });
    await upload('after-restart');
    const after = listBlocks(await fetchProven());
    expect(after.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    expect(await update()).toHaveLength(1);
  });

  it('is as good when it is empty', async () => {
    const options = { xz: true };
    const suite = { name: 'empty', origin: 'Uni', label: 'Uni', options };
    await site.perform('suite.create', suite);
    expect(await fetchProven('empty')).toHaveLength(32);
    await upload('first', 'empty/first.deb');
    expect(readXzBlocks(await fetchProven('empty'))).toHaveLength(1);
  });

  it('holds up no other suite', async () => {
    await site.perform('suite.create', { name: 'other', origin: 'Uni', label: 'Uni' });
    let isOver = false;
    await site.perform('suite.set', { suite: 'stable', options: { xz: false } });
    const slow = site
      .perform('suite.set', { suite: 'stable', options: { xz: true } })
      .finally(() => {
        isOver = true;
      });
    await upload('meanwhile', 'other/meanwhile.deb');
    expect(isOver).toBe(false);
    await slow;
    await fetchProven();
  });

  it('has none any more when it asks for none', async () => {
    await site.perform('suite.set', { suite: 'stable', options: { xz: false } });
    expect((await ask(site, reader, `/dists/stable/${INDEX}.xz`)).status).toBe(404);
    expect((await fetchBytes('stable/Release')).toString()).not.toContain('.xz');
    await upload('without');
    expect(await update()).toHaveLength(1);
  });
});

describe('a machine without the program xz', () => {
  const { PATH } = process.env;
  afterAll(() => {
    process.env.PATH = PATH;
  });

  it('is told so when a suite asks for .xz, and when a server starts that needs it', async () => {
    process.env.PATH = '/nonexistent';
    const missing = { code: 'PROGRAM_MISSING', message: expect.stringContaining('xz-utils') };
    const asked = site.perform('suite.set', { suite: 'stable', options: { xz: true } });
    await expect(asked).rejects.toMatchObject(missing);
    const made = site.perform('suite.create', {
      ...{ name: 'third', origin: 'Uni', label: 'Uni', options: { xz: true } },
    });
    await expect(made).rejects.toMatchObject(missing);
    await upload('still-published');
    await site.daemon.stop();
    // Suite "empty" has .xz.
    await expect(startSite(data)).rejects.toMatchObject(missing);
    process.env.PATH = PATH;
    site = await startSite(data, { settings: { listen: `127.0.0.1:${site.port}` } });
    await upload('served-again');
  });
});
