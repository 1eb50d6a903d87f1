/**
 * Hosts that update all the time, by plain names and by hash, with pdiffs and without, while
 * packages come, go and are promoted, a suite goes back, the signing key is rotated and the house is
 * swept: not one update that fails, not one hash that differs, not one file that is missing.
 * APTKEEP_TEST_UPDATES asks for more of them than the suite of tests does.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, putFile } from './site.ts';

/** Each run of apt-get updates every source once. */
const UPDATES_A_HOST = Number(process.env.APTKEEP_TEST_UPDATES ?? 2000) / 4;
const SUITES = ['stable', 'staged'];
/** The same server under two names: two sources with options of their own. */
const NAMES = ['localhost', '127.0.0.1'];
/** In which turn of what is done meanwhile. */
const ROTATION = { begins: 4, ends: 9 };
const HOSTS = {
  'by-hash-and-pdiffs': { byHash: 'yes', pdiffs: 'yes' },
  'by-hash': { byHash: 'force', pdiffs: 'no' },
  'plain-and-pdiffs': { byHash: 'no', pdiffs: 'yes' },
  plain: { byHash: 'no', pdiffs: 'no' },
} as const;

const scratch = createScratch('torn');
const data = join(scratch, 'data');
const built = join(scratch, 'built');
let server: Server;
let uploader: Client;
const hosts: { name: string; root: AptRoot; client: Client }[] = [];

/** Sources under every name, and the certificate for whichever name. */
async function configure(root: AptRoot, client: Client, name: keyof typeof HOSTS): Promise<void> {
  const { byHash, pdiffs } = HOSTS[name];
  const at = (path: string) => join(root.directory, 'etc/apt', path);
  const sources = NAMES.flatMap((host) =>
    SUITES.map((suite) =>
      [
        'Types: deb',
        `URIs: https://${host}:${server.port}/`,
        `Suites: ${suite}`,
        'Components: main',
        `Signed-By: ${at('keyrings/aptkeep.asc')}`,
        `By-Hash: ${byHash}`,
        `PDiffs: ${pdiffs}`,
        '',
      ].join('\n'),
    ),
  );
  const options = ['CaInfo "ca.crt"', 'SslCert "host.crt"', 'SslKey "host.key"'].map((option) =>
    `Acquire::https::${option};`.replace(/"(.*)"/, `"${at('aptkeep')}/$1"`),
  );
  await root.install('etc/apt/sources.list.d/aptkeep.sources', sources.join('\n'));
  await root.install(
    'etc/apt/apt.conf.d/60torn',
    `${options.join('\n')}\nAcquire::Languages "none";\n`,
  );
  expect(client.name).toBe(name);
}

const perform = (...words: string[]): Promise<string> => aptkeep(...words, '--data', data);

/** As the client package does it: the file is replaced in one step. */
async function giveKeyring(): Promise<void> {
  const keyring = await perform('key', 'export', '--armor');
  for (const { root } of hosts) {
    const path = join(root.directory, 'etc/apt/keyrings/aptkeep.asc');
    await writeFile(`${path}.new`, keyring, { mode: 0o644 });
    await rename(`${path}.new`, path);
  }
}

let builtNumber = 0;
/** A package that is not there yet, in a suite. */
async function uploadNext(suite: string): Promise<string> {
  builtNumber += 1;
  const wanted = { name: `churn${builtNumber % 7}`, version: `${builtNumber}` };
  const file = await buildSmall({ ...wanted, payloadBytes: 2000 }, built);
  expect((await putFile(uploader, server.url, file, `${suite}/`)).status).toBe(201);
  return `${wanted.name}=${wanted.version}`;
}

/** What people and jobs do meanwhile, in turns, until `isOver`. */
async function churn(isOver: () => boolean): Promise<number> {
  const uploaded: string[] = [];
  let turns = 0;
  for (; !isOver(); turns += 1) {
    uploaded.push(await uploadNext('stable'));
    if (turns % 2 === 0) {
      await perform('package', 'copy', uploaded.at(-1) ?? '', '--from', 'stable', '--to', 'staged');
    }
    if (turns % 3 === 2)
      await perform('package', 'remove', uploaded.shift() ?? '', '--suite', 'stable');
    if (turns % 5 === 4) {
      const { publication } = JSON.parse(await perform('suite', 'show', 'staged', '--json'));
      const to = String(Math.max(1, publication - 3));
      await perform('publication', 'rollback', 'staged', '--to', to, '--reason', 'test');
    }
    if (turns % 7 === 6) await perform('sweep');
    if (turns === ROTATION.begins) {
      await perform('key', 'rotate');
      await giveKeyring();
    }
    if (turns === ROTATION.ends) {
      await perform('key', 'rotate', '--finish', '--force');
      await giveKeyring();
    }
    if (turns % 11 === 10) await perform('publish', '--all');
  }
  return turns;
}

/** One after another; what went wrong, in apt's words. */
async function updateAll(root: AptRoot, times: number): Promise<string[]> {
  const faults: string[] = [];
  for (let time = 0; time < times; time += 1) {
    const { status, stdout, stderr } = await root.aptGet('update', '-o', 'Debug::Acquire::https=1');
    const said = `${stdout}\n${stderr}`.split('\n');
    const wrong = said.filter((line) => /^(W|E|Err):|HTTP\/1\.1 [45]\d\d/.test(line));
    if (status !== 0 || wrong.length > 0) faults.push(`exit ${status}: ${wrong.join('; ')}`);
  }
  return faults;
}

beforeAll(async () => {
  server = await startServer({ data });
  await perform('suite', 'create', 'staged', '--origin', 'Test', '--label', 'Test', '--pdiffs');
  await perform('suite', 'set', 'stable', '--pdiffs');
  uploader = await issueClient(data, 'build-server', 'uploader');
  for (const suite of SUITES) await uploadNext(suite);
  for (const name of Object.keys(HOSTS) as (keyof typeof HOSTS)[]) {
    const { root, client } = await enrolHost(data, name, join(scratch, name));
    await configure(root, client, name);
    hosts.push({ name, root, client });
  }
});

describe('hosts that update all the time', () => {
  it('see one whole publication after another, whatever happens', async () => {
    let over = false;
    const churning = churn(() => over);
    const runs = Math.ceil(UPDATES_A_HOST / (SUITES.length * NAMES.length));
    const faults = await Promise.all(
      hosts.map(async ({ name, root }) => [name, await updateAll(root, runs)] as const),
    ).finally(() => {
      over = true;
    });
    const turns = await churning;
    expect(Object.fromEntries(faults)).toEqual(
      Object.fromEntries(Object.keys(HOSTS).map((name) => [name, []])),
    );
    expect(turns).toBeGreaterThan(ROTATION.ends);
  }, 1_800_000);

  it('end with what the server has', async () => {
    for (const { name, root, client } of hosts) {
      expect(await updateAll(root, 1), name).toEqual([]);
      for (const suite of SUITES) {
        const path = `dists/${suite}/main/binary-amd64/Packages`;
        const served = (await curl(client, `${server.url}/${path}`)).body;
        const host = `localhost:${server.port}`;
        const list = `var/lib/apt/lists/${host}_${path.replaceAll('/', '_')}`;
        expect(await root.read(list), `${name} ${suite}`).toBe(served);
      }
    }
  });
});
