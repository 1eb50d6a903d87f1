/**
 * A repository with a past, copied for every experiment, and what is asked of one that was killed
 * or whose disk was full in the middle of an operation.
 */
import { cp, mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { CHECKOUT, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, findFreePort, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, enrolHost, issueClient, listFiles, putFile } from './site.ts';
import { readIndex } from './stanzas.ts';

const AGE_DAYS = 30;
export const POINTS = join(CHECKOUT, 'test/e2e/points.ts');

export interface Past {
  /** The data directory that copies are made of. */
  data: string;
  port: number;
  uploader: Client;
  host: Client;
  root: AptRoot;
  /** A package that is not there yet. */
  fresh: string;
  /** What stable lists, as `name version`. */
  listed: string[];
}

/** Some packages in several publications, one of them taken out again, and a host that knows it. */
export async function makePast(scratch: string): Promise<Past> {
  const data = join(scratch, 'past');
  const port = await findFreePort();
  const built = join(scratch, 'built');
  const server = await startServer({ data, port });
  const uploader = await issueClient(data, 'build-server', 'uploader');
  const { client: host, root } = await enrolHost(data, 'web', join(scratch, 'web'));
  for (const [name, version] of [
    ['moodle', '1.0'],
    ['moodle', '1.1'],
    ['theme', '2'],
    ['withdrawn', '3'],
  ] as const) {
    const file = await buildSmall({ name, version, payloadBytes: 3000 }, built);
    expect((await putFile(uploader, server.url, file)).status).toBe(201);
  }
  const fresh = await buildSmall({ name: 'fresh', version: '1', payloadBytes: 30_000 }, built);
  await aptkeep('package', 'remove', 'withdrawn=3', '--suite', 'stable', '--data', data);
  expect(await server.stop()).toBe(0);
  await growOld(data);
  const listed = ['moodle 1.0', 'moodle 1.1', 'theme 2'];
  return { data, port, uploader, host, root, fresh, listed };
}

/**
 * All that happened, happened a month ago, and a crash of then left a file: so there is something
 * to sweep.
 */
async function growOld(data: string): Promise<void> {
  const orphan = join(data, 'pool/main/o/orphan/orphan_1_all.deb');
  await mkdir(dirname(orphan), { recursive: true });
  await writeFile(orphan, 'left by a crash');
  const catalog = new DatabaseSync(join(data, 'catalog.sqlite'));
  for (const table of ['suite', 'publication']) {
    const back = `strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '-${AGE_DAYS} days')`;
    catalog.exec(`UPDATE ${table} SET created_at = ${back}`);
  }
  catalog.close();
  const then = Date.now() / 1000 - AGE_DAYS * 86_400 + 60;
  for (const tree of ['pool', 'dists']) {
    for (const file of await listFiles(join(data, tree))) {
      await utimes(join(data, tree, file), then, then);
    }
  }
}

/** A server on a copy of the past, told what to do at which step once it is armed. */
export async function startArmed(past: Past, data: string, point: string): Promise<Server> {
  await cp(past.data, data, { recursive: true, preserveTimestamps: true });
  const env = { DISK_POINT: point, NODE_OPTIONS: `--import=${POINTS}` };
  const server = await startServer({ data, port: past.port, env });
  server.process.kill('SIGUSR2');
  await waitFor('the server to be armed', () => server.output().includes('armed') || undefined);
  return server;
}

/** Acknowledged; refused because there is no room; or without an answer. */
export type End = 'done' | 'full' | 'cut';
/** What somebody does with the server. */
export type Deed = (past: Past, server: Server, data: string) => Promise<End>;

const ENDS: Record<number, End> = { 0: 'cut', 200: 'done', 201: 'done', 507: 'full' };

const perform =
  (...words: string[]): Deed =>
  async (_past, _server, data) => {
    const { status, stderr } = await runAptkeep([...words, '--data', data]);
    if (status === 0) return 'done';
    return /no room left/.test(stderr) ? 'full' : 'cut';
  };

interface Experiment {
  deed: Deed;
  /** What stable lists when it is done. */
  after: (listed: string[]) => string[];
  /** Whether a full disk gives back its reserve for it. */
  spends?: boolean;
}

export const DEEDS: Record<string, Experiment> = {
  upload: {
    deed: async (past, server) => {
      const { status } = await putFile(past.uploader, server.url, past.fresh);
      return ENDS[status] ?? expect.fail(`an upload was answered with ${status}`);
    },
    after: (listed) => [...listed, 'fresh 1'],
  },
  publication: { deed: perform('publish', 'stable'), after: (listed) => listed },
  removal: {
    deed: perform('package', 'remove', 'moodle=1.0', '--suite', 'stable'),
    after: (listed) => listed.filter((one) => one !== 'moodle 1.0'),
    spends: true,
  },
  rollback: {
    deed: perform('publication', 'rollback', 'stable', '--to', '3', '--reason', 'test'),
    after: () => ['moodle 1.0', 'moodle 1.1'],
  },
  sweep: { deed: perform('sweep'), after: (listed) => listed, spends: true },
};

/** The steps that a deed takes, to the end of what it sets going in the background. */
export async function countSteps(past: Past, data: string, deed: Deed): Promise<string[]> {
  const server = await startArmed(past, data, 'count');
  expect(await deed(past, server, data)).toBe('done');
  server.process.kill('SIGUSR2');
  await waitFor('the steps', () => server.output().includes('points: steps') || undefined);
  expect(await server.stop()).toBe(0);
  await rm(data, { recursive: true });
  return JSON.parse(/^points: steps (.*)$/m.exec(server.output())?.[1] ?? '[]') as string[];
}

/** What apt is given, `name version`, after an update with nothing remembered. */
export async function updateFromNothing({ root }: Past): Promise<string[]> {
  await rm(join(root.directory, 'var/lib/apt/lists'), { recursive: true, force: true });
  const update = await root.aptGet('update');
  expect(`exit ${update.status}\n${update.stderr}`).toBe('exit 0\n');
  const lists = await listFiles(join(root.directory, 'var/lib/apt/lists'));
  const [index = ''] = lists.filter((name) => name.endsWith('binary-amd64_Packages'));
  const text = await readFile(join(root.directory, 'var/lib/apt/lists', index), 'utf8');
  return [...readIndex(text).keys()].map((key) => key.replace(/ all$/, '')).sort();
}

/** Each package is there to be fetched, whole: apt compares it with what the index says. */
export async function fetchAll(past: Past, listed: readonly string[]): Promise<void> {
  const names = listed.map((one) => one.replace(' ', '='));
  for (const name of names) {
    const got = await past.root.aptGet('install', '--download-only', '--reinstall', name);
    expect(`exit ${got.status}\n${got.stderr}`).toBe('exit 0\n');
  }
}

/** After a sweep nothing is wrong, and nothing is there that nobody needs. */
export async function proveWhole(data: string): Promise<void> {
  await aptkeep('sweep', '--data', data);
  const { status, stdout, stderr } = await runAptkeep(['check', '--json', '--data', data]);
  expect(`exit ${status}\n${stderr}`, stdout).toBe('exit 0\n');
  expect(JSON.parse(stdout)).toMatchObject({ faults: 0, findings: [] });
  expect(await listFiles(join(data, 'pool/main/o'))).toEqual([]);
  expect(await listFiles(join(data, 'pool/.staging'))).toEqual([]);
}
