/**
 * Uploads that arrive together are published together, and each is told the number of the
 * publication that holds it: what that publication lists is read from its own indexes, by hash.
 */
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from '../e2e/command.ts';
import { buildDeb } from './packages.ts';
import { ask, type IssuedClient, put, type Site, startSite } from './start.ts';

const UPLOADS = 100;
const MAX_PUBLICATIONS = 20;

const data = join(createScratch('burst'), 'data');
const names = Array.from({ length: UPLOADS }, (_, number) => `burst${number}`);
let site: Site;
let host: IssuedClient;
let uploader: IssuedClient;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
  uploader = await site.issue('build', 'uploader');
  for (const name of names) buildDeb(name);
});
afterAll(() => site.daemon.stop());

/** The packages that a publication lists, from its Release file and the index that it names. */
async function listOf(number: number): Promise<Set<string>> {
  const { release } = await site.perform('publication.show', { suite: 'stable', number });
  const path = 'main/binary-amd64/Packages.gz';
  const hash = new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${path}$`, 'm').exec(release)?.[1];
  const folder = '/dists/stable/main/binary-amd64/by-hash/SHA256';
  const index = gunzipSync((await ask(site, host, `${folder}/${hash}`)).body).toString();
  return new Set([...index.matchAll(/^Package: (.*)$/gm)].map((match) => match[1] ?? ''));
}

describe('a hundred uploads at once', () => {
  it('end in a few publications, each in the one that its answer names', async () => {
    const answers = await Promise.all(names.map((name) => put(site, uploader, buildDeb(name))));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    const numbers = answers.map((answer) => JSON.parse(answer.text).publication as number);
    const made = [...new Set(numbers)].sort((a, b) => a - b);
    expect(made.length).toBeLessThan(MAX_PUBLICATIONS);
    const lists = new Map<number, Set<string>>();
    for (const number of [(made[0] ?? 0) - 1, ...made]) lists.set(number, await listOf(number));
    for (const [index, name] of names.entries()) {
      const number = numbers[index] ?? 0;
      expect(lists.get(number)?.has(name), `${name} in ${number}`).toBe(true);
      expect(lists.get(number - 1)?.has(name), `${name} before ${number}`).toBe(false);
    }
    const { publications } = await site.perform('publication.list', { suite: 'stable' });
    expect(publications[0]?.number).toBe(made.at(-1));
  });

  it('make no publication when they come again', async () => {
    const before = await site.perform('suite.show', { suite: 'stable' });
    const answers = await Promise.all(names.map((name) => put(site, uploader, buildDeb(name))));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    expect(await site.perform('suite.show', { suite: 'stable' })).toEqual(before);
  });
});
