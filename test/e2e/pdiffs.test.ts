/**
 * Patches of indexes as the real apt uses them. Whatever is wrong with one, apt fetches the whole
 * index and says nothing: so what counts is what it asked for, and what its list file then is.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readDiffIndex } from '../../src/deb/diff-index.ts';
import { ask, type IssuedClient, put, type Site, startSite } from '../http/start.ts';
import { createPackage } from '../repository/open.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch } from './command.ts';
import { enrolHost } from './site.ts';

const PACKAGES = 60;
const INDEX = 'main/binary-amd64/Packages';

const scratch = createScratch('pdiffs');
const data = join(scratch, 'data');
let site: Site;
let uploader: IssuedClient;
let reader: IssuedClient;

const upload = async (name: string, version = '1.0'): Promise<void> => {
  // Of its own, so that a patch is as large as what it adds and no larger.
  const fields = `Homepage: https://example.org/${randomBytes(60).toString('hex')}\n`;
  const answer = await put(site, uploader, createPackage({ name, version, fields }));
  expect(answer.status, answer.text).toBe(201);
};

async function remove(...names: string[]): Promise<void> {
  const packages = names.map((name) => ({ package: name, version: '1.0' }));
  await site.perform('package.remove', { suite: 'stable', packages });
}

async function fetchPlain(): Promise<Buffer> {
  return (await ask(site, reader, `/dists/stable/${INDEX}`)).body;
}

/** What apt asked this server for, in its own words; the path below dists/stable/. */
async function update(root: AptRoot, ...settings: string[]): Promise<string[]> {
  const options = ['Debug::Acquire::https=true', ...settings].flatMap((one) => ['-o', one]);
  const outcome = await root.aptGet('update', ...options);
  expect(outcome.status, outcome.stderr).toBe(0);
  const lists = join(root.directory, 'var/lib/apt/lists');
  const list = readdirSync(lists).find((file) => file.endsWith('binary-amd64_Packages')) ?? '';
  expect(readFileSync(join(lists, list)).equals(await fetchPlain())).toBe(true);
  const asked = [...outcome.stderr.matchAll(/^GET \/+dists\/stable\/(\S+) HTTP/gm)];
  return asked.map((match) => match[1] ?? '').filter((path) => path.includes('amd64'));
}

const PATCH = expect.stringMatching(/^main\/binary-amd64\/Packages\.diff\/[0-9a-f]{64}\.gz$/);
const DIFF_INDEX = expect.stringMatching(
  /^main\/binary-amd64\/Packages\.diff\/by-hash\/SHA256\/[0-9a-f]{64}$/,
);
const WHOLE = expect.stringMatching(/^main\/binary-amd64\/by-hash\/SHA256\/[0-9a-f]{64}$/);

beforeAll(async () => {
  site = await startSite(data);
  uploader = await site.issue('build', 'uploader');
  reader = await site.issue('reader', 'observer');
  await Promise.all(Array.from({ length: PACKAGES }, (_, i) => upload(`base-${i}`)));
  await site.perform('suite.set', { suite: 'stable', options: { pdiffs: true } });
});
afterAll(() => site.daemon.stop());

let hosts = 0;
/** A host that has just fetched what is published. */
async function openHost(): Promise<AptRoot> {
  hosts += 1;
  const { root } = await enrolHost(data, `host-${hosts}`, join(scratch, `host-${hosts}`));
  await update(root);
  return root;
}

describe('a host that follows a suite with pdiffs', () => {
  it('fetches a patch where a package came', async () => {
    const root = await openHost();
    await upload('one-more');
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
    expect(await update(root)).toEqual([]);
  });

  it('fetches one patch over several steps, and over removals in between', async () => {
    const root = await openHost();
    await upload('several-1');
    await remove('base-7', 'base-8', 'base-30');
    await upload('several-2');
    await remove('several-1');
    await remove('base-59');
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
  });

  it('fetches a patch where a version was replaced', async () => {
    const root = await openHost();
    await upload('base-20', '2.0');
    await site.perform('package.remove', {
      suite: 'stable',
      packages: [{ package: 'base-20', version: '1.0' }],
    });
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
  });

  it('fetches a patch where the suite went back to what it was', async () => {
    const { publication: to } = await site.perform('suite.show', { suite: 'stable' });
    await upload('not-to-stay');
    await remove('base-40', 'base-41');
    const root = await openHost();
    const reason = 'as before';
    await site.perform('publication.rollback', { suite: 'stable', to, reason });
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
  });

  it('fetches the Index by its name where by-hash is off', async () => {
    const root = await openHost();
    await upload('by-name');
    expect(await update(root, 'Acquire::By-Hash=false')).toEqual([`${INDEX}.diff/Index`, PATCH]);
  });

  it('fetches the whole where it asks for no patches', async () => {
    const root = await openHost();
    await upload('whole');
    expect(await update(root, 'Acquire::PDiffs=false')).toEqual([WHOLE]);
  });

  it('goes on with patches after the server was started again', async () => {
    const root = await openHost();
    await upload('before-restart');
    await site.daemon.stop();
    const settings = { listen: `127.0.0.1:${site.port}` };
    site = await startSite(data, { settings });
    await upload('after-restart');
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
  });

  it('fetches nothing of the index where it was only signed again', async () => {
    const root = await openHost();
    await site.perform('suite.publish', { suite: 'stable' });
    expect(await update(root)).toEqual([]);
    await upload('after-signing');
    expect(await update(root)).toEqual([DIFF_INDEX, PATCH]);
  });

  it('fetches the whole where it is too far behind', async () => {
    const root = await openHost();
    for (let i = 0; i < 29; i += 1) await upload(`far-${i}`);
    const asked = await update(root);
    expect(asked).toEqual([DIFF_INDEX, WHOLE]);
  });

  it('fetches the whole where a patch would be larger', async () => {
    const root = await openHost();
    const content = randomBytes(40_000).toString('hex');
    const fields = Array.from(
      { length: 100 },
      (_, i) => `X-Field-${i}: ${content.slice(i * 500, (i + 1) * 500)}\n`,
    ).join('');
    const answer = await put(site, uploader, createPackage({ name: 'large', fields }));
    expect(answer.status, answer.text).toBe(201);
    const stanzas = (await fetchPlain()).toString().split('\n\n');
    const packages = stanzas.flatMap((stanza) => {
      const [, name = '', version = ''] = /^Package: (\S+)\nVersion: (\S+)\n/.exec(stanza) ?? [];
      return ['', 'large'].includes(name) ? [] : [{ package: name, version }];
    });
    await site.perform('package.remove', { suite: 'stable', packages });
    const asked = await update(root);
    expect(asked.at(-1)).toEqual(WHOLE);
    expect(asked).not.toContainEqual(PATCH);
  });
});

describe('what is published', () => {
  it('keeps the patches of an Index that a host has read, whatever came since', async () => {
    const old = (await ask(site, reader, `/dists/stable/${INDEX}.diff/Index`)).body;
    await upload('since');
    const { patches } = readDiffIndex(old);
    expect(patches.length).toBeGreaterThan(0);
    for (const { name, script, download } of patches) {
      const answer = await ask(site, reader, `/dists/stable/${INDEX}.diff/${name}.gz`);
      expect(answer.status).toBe(200);
      const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
      expect(hash(answer.body)).toBe(download.sha256);
      expect(hash(gunzipSync(answer.body))).toBe(script.sha256);
    }
  });

  it('is without patches when the suite asks for none any more', async () => {
    await site.perform('suite.set', { suite: 'stable', options: { pdiffs: false } });
    expect((await ask(site, reader, `/dists/stable/${INDEX}.diff/Index`)).status).toBe(404);
    const root = await openHost();
    await upload('without');
    expect(await update(root)).toEqual([WHOLE]);
  });
});
