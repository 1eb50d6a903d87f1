/**
 * Several processes that want to publish to one data directory: one after the other, never
 * interleaved, each publication on the one before it. Without a server, and with one that comes in
 * between.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { enrolHost } from './site.ts';

const WRITERS = 6;

const scratch = createScratch('two-writers');
const data = join(scratch, 'data');
let files: string[];

const buildAll = (prefix: string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: WRITERS }, (_, number) =>
      buildSmall({ name: `${prefix}${number}`, version: '1' }, join(scratch, 'built')),
    ),
  );

const upload = async (file: string): Promise<number> => {
  const words = ['upload', file, '--suite', 'stable', '--data', data, '--json'];
  const { status, stdout, stderr } = await runAptkeep(words);
  expect(`exit ${status}\n${stderr}`).toBe('exit 0\n');
  return Number(/"publication": ?(\d+)/.exec(stdout)?.[1]);
};

const listNumbers = async (): Promise<number[]> => {
  const text = await aptkeep('publication', 'list', 'stable', '--json', '--data', data);
  const { publications } = JSON.parse(text) as { publications: { number: number }[] };
  return publications.map((one) => one.number).reverse();
};

const countFrom = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

beforeAll(async () => {
  await aptkeep('init', '--data', data);
  files = await buildAll('alone');
});

describe('processes that write to one data directory', () => {
  it('take turns: each has a publication of its own, and none is lost', async () => {
    const numbers = await Promise.all(files.map(upload));
    expect([...numbers].sort((a, b) => a - b)).toEqual(countFrom(WRITERS).map((n) => n + 1));
    expect(await listNumbers()).toEqual(countFrom(WRITERS + 1));
  });

  it('go through a server that starts in between, and apt sees them all', async () => {
    const later = await buildAll('served');
    const uploads = later.map(upload);
    const server: Server = await startServer({ data });
    await Promise.all(uploads);
    const numbers = await listNumbers();
    expect(numbers).toEqual(countFrom(numbers.length));
    const { root } = await enrolHost(data, 'web', join(scratch, 'web'));
    const update = await root.aptGet('update');
    expect(`exit ${update.status}\n${update.stderr}`).toBe('exit 0\n');
    const names = [...files, ...later].map((file) => file.replace(/.*\/(.*?)_.*/, '$1'));
    const installed = await root.aptGet('install', ...names);
    expect(`exit ${installed.status}\n${installed.stderr}`).toBe('exit 0\n');
    expect([...(await root.listInstalled()).keys()].sort()).toEqual(names.sort());
    expect(await server.stop()).toBe(0);
  });
});
