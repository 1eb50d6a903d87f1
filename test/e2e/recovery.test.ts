/**
 * A lost catalog: made again from the pool, the mirror and certs/, so that hosts go on as if nothing
 * had happened, where they may; what was revoked stays revoked, and nobody is let in who was not
 * shown again.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, run } from './command.ts';
import { buildSmall } from './packages.ts';
import { APTKEEP, aptkeep, programEnvironment, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, putFile } from './site.ts';

const scratch = createScratch('recovery');
const data = join(scratch, 'data');
const catalog = join(data, 'catalog.sqlite');
let server: Server;
let uploader: Client;
let revoked: Client;
let web: { client: Client; root: AptRoot };

const build = (name: string, version: string): Promise<string> =>
  buildSmall({ name, version, payloadBytes: 2000 }, scratch);

/** Without a fault: the exit status and what apt complained of. */
async function update(root: AptRoot): Promise<void> {
  const { status, stderr } = await root.aptGet('update');
  expect(`exit ${status}\n${stderr}`).toBe('exit 0\n');
}

async function loseCatalog(): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) await rm(catalog + suffix, { force: true });
}

async function repair(...flags: string[]): Promise<{
  recovered: { loss: string; suites: unknown[]; certificates: { revoked: number } } & Record<
    string,
    unknown
  >;
  faults: number;
}> {
  const answer = await aptkeep('check', '--repair', '--data', data, '--json', ...flags);
  return JSON.parse(answer);
}

const dateOf = async (): Promise<number> =>
  Date.parse(
    /^Date: (.*)$/m.exec(await readFile(join(data, 'dists/stable/Release'), 'utf8'))?.[1] ?? '',
  );

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  revoked = await issueClient(data, 'stolen', 'host');
  web = await enrolHost(data, 'web', join(scratch, 'web'));
  expect((await putFile(uploader, server.url, await build('hello', '1.0'))).status).toBe(201);
  expect((await putFile(uploader, server.url, await build('other', '1.0'))).status).toBe(201);
  await update(web.root);
  expect((await web.root.aptGet('install', 'hello')).status).toBe(0);
  await aptkeep('cert', 'revoke', 'stolen', '--data', data);
  await server.stop();
});

describe('a catalog that is gone', () => {
  it('is asked for by name, and nothing starts without it', async () => {
    await loseCatalog();
    const args = ['status', '--data', data];
    const { status, stderr } = await run(APTKEEP, args, { env: programEnvironment() });
    expect(status).toBe(1);
    expect(stderr).toContain('`aptkeep check --repair` makes it again');
  });

  it('is made again, and the host that was shown again notices nothing', async () => {
    const before = await dateOf();
    const shown = [web.client.certificate, revoked.certificate, uploader.certificate];
    const { recovered, faults } = await repair('--certificates', shown.join(','));
    expect(faults).toBe(0);
    expect(recovered).toMatchObject({
      ...{ loss: 'gone', packages: 2, unlisted: { count: 0 } },
      suites: [{ suite: 'stable', packages: 2 }],
      certificates: { revoked: 1, recorded: [{ name: 'web', role: 'host' }] },
    });
    expect(JSON.stringify(recovered)).toMatch(/stolen, serial \w+, is revoked/);
    expect(JSON.stringify(recovered)).toMatch(/build-server is uploader: its limits are lost/);
    server = await startServer({ data, port: server.port });
    expect(await dateOf()).toBeGreaterThan(before);
    await update(web.root);
    expect((await web.root.aptGet('install', 'other')).status).toBe(0);
    expect([...(await web.root.listInstalled()).keys()].sort()).toEqual(['hello', 'other']);
  });

  it('lets nobody in who was revoked, or was not shown', async () => {
    expect(await curl(revoked, `${server.url}/dists/stable/InRelease`)).toMatchObject({
      status: 403,
      reason: expect.stringContaining('revoked'),
    });
    expect(await curl(uploader, `${server.url}/dists/stable/InRelease`)).toMatchObject({
      status: 403,
      reason: expect.stringContaining('unknown'),
    });
    expect(await aptkeep('crl', 'show', '--data', data)).toMatch(/^revoked +1$/m);
  });

  it('goes on: uploads are published, and reach the host', async () => {
    uploader = await issueClient(data, 'build-2', 'uploader');
    expect((await putFile(uploader, server.url, await build('hello', '2.0'))).status).toBe(201);
    await update(web.root);
    expect((await web.root.aptGet('upgrade')).status).toBe(0);
    expect((await web.root.listInstalled()).get('hello')).toBe('2.0');
    expect(await aptkeep('check', '--data', data)).toMatch(/^no fault/);
  });
});

describe('a catalog that is damaged', () => {
  it('is moved aside and made again', async () => {
    await server.stop();
    await loseCatalog();
    await writeFile(
      catalog,
      'this is no database, and it is longer than a header would be'.repeat(9),
    );
    const { recovered, faults } = await repair('--certificates', web.client.certificate);
    expect(recovered).toMatchObject({ loss: 'damaged', packages: 3 });
    expect(faults).toBe(0);
    server = await startServer({ data, port: server.port });
    await update(web.root);
  });
});

describe('a pool without dists/', () => {
  it('asks for the suite, and then serves what is in the pool', async () => {
    await server.stop();
    await loseCatalog();
    await rm(join(data, 'dists'), { recursive: true });
    const nameless = ['check', '--repair', '--data', data];
    const refused = await run(APTKEEP, nameless, { env: programEnvironment() });
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('--suite');
    const flags = ['--suite', 'stable', '--certificates', web.client.certificate];
    const { recovered } = await repair(...flags);
    expect(recovered).toMatchObject({ suites: [{ suite: 'stable', packages: 3 }] });
    server = await startServer({ data, port: server.port });
    await update(web.root);
    expect((await web.root.aptGet('install', '--reinstall', 'hello')).status).toBe(0);
    await server.stop();
  });
});
