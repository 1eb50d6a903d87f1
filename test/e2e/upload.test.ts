/** Uploads as people and their build servers make them, and every way in which they are refused. */
import { copyFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, issueClient, listFiles, putFile, remoteFlags } from './site.ts';

const LIMIT_BYTES = 64 * 1024;

const scratch = createScratch('upload');
const data = join(scratch, 'data');
const built = join(scratch, 'built');
let server: Server;
let uploader: Client;
let host: Client;

const small = (name: string, version = '1.0', payloadBytes?: number): Promise<string> => {
  const size = payloadBytes === undefined ? {} : { payloadBytes };
  return buildSmall({ name, version, ...size }, built);
};

const readPublication = async (): Promise<number> =>
  JSON.parse(await aptkeep('suite', 'show', 'stable', '--json', '--data', data)).publication;

/** The code of an application/problem+json answer. */
const readCode = (body: string): string => JSON.parse(body).code;

beforeAll(async () => {
  server = await startServer({ data, env: { APTKEEP_UPLOAD_MAX_SIZE: '64KiB' } });
  uploader = await issueClient(data, 'build-server', 'uploader');
  host = await issueClient(data, 'web1', 'host');
});

describe('what is taken', () => {
  it('curl -T: 201 with what was added, and it can be fetched at once', async () => {
    const before = await readPublication();
    const answer = await putFile(uploader, server.url, await small('first'));
    expect(answer.status).toBe(201);
    const added = JSON.parse(answer.body);
    expect(added).toMatchObject({
      package: 'first',
      version: '1.0',
      architecture: 'all',
      suite: 'stable',
      component: 'main',
      filename: 'pool/main/f/first/first_1.0_all.deb',
      publication: before + 1,
    });
    expect(added.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect((await curl(host, `${server.url}/${added.filename}`)).status).toBe(200);
  });

  it('the same bytes again: 200 with the same words and no publication', async () => {
    const file = await small('same');
    const first = await putFile(uploader, server.url, file);
    const again = await putFile(uploader, server.url, file);
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(JSON.parse(again.body)).toEqual(JSON.parse(first.body));
    expect(await readPublication()).toBe(JSON.parse(first.body).publication);
  });

  it('a component named in the path', async () => {
    const answer = await putFile(uploader, server.url, await small('placed'), 'stable/main/');
    expect(answer.status).toBe(201);
  });

  it('curl -F with several parts: all of them, in one publication', async () => {
    const before = await readPublication();
    const files = [await small('form-a'), await small('form-b'), await small('form-c')];
    const parts = files.flatMap((file) => ['--form', `package=@${file}`]);
    const answer = await curl(uploader, `${server.url}/upload/stable`, ...parts);
    expect(answer.status).toBe(201);
    const { packages } = JSON.parse(answer.body);
    expect(packages.map((one: { package: string }) => one.package).sort()).toEqual([
      'form-a',
      'form-b',
      'form-c',
    ]);
    expect(await readPublication()).toBe(before + 1);
  });

  it('aptkeep upload, over the network and on the server itself', async () => {
    const remote = [
      'upload',
      await small('remote-a'),
      await small('remote-b'),
      '--suite',
      'stable',
    ];
    await aptkeep(...remote, ...remoteFlags(uploader, server.url));
    await aptkeep('upload', await small('local'), '--suite', 'stable', '--data', data);
    const shown = await aptkeep('package', 'list', '--json', '--data', data);
    const names = JSON.parse(shown).packages.map((one: { package: string }) => one.package);
    expect(names).toEqual(expect.arrayContaining(['remote-a', 'remote-b', 'local']));
  });

  it('twenty at once, in far fewer publications than uploads', async () => {
    const files: string[] = [];
    for (let number = 1; number <= 20; number += 1) files.push(await small(`burst-${number}`));
    const before = await readPublication();
    const answers = await Promise.all(files.map((file) => putFile(uploader, server.url, file)));
    expect(answers.map((answer) => answer.status)).toEqual(files.map(() => 201));
    expect((await readPublication()) - before).toBeLessThanOrEqual(10);
    const current = await curl(host, `${server.url}/dists/stable/main/binary-amd64/Packages`);
    expect(current.body.match(/^Package: burst-/gm)).toHaveLength(20);
  });
});

describe('what is refused', () => {
  it('409: other bytes under the same name, version and architecture; both hashes are named', async () => {
    const first = await small('conflict');
    expect((await putFile(uploader, server.url, first)).status).toBe(201);
    const other = await buildSmall({ name: 'conflict', version: '1.0' }, join(scratch, 'other'));
    const answer = await putFile(uploader, server.url, other);
    expect([answer.status, readCode(answer.body)]).toEqual([409, 'PACKAGE_CONFLICT']);
    expect(JSON.parse(answer.body).detail.match(/[0-9a-f]{64}/g)).toHaveLength(2);
  });

  it('422: no package, and half a package', async () => {
    const text = join(scratch, 'text.deb');
    await writeFile(text, 'this is no package\n'.repeat(20));
    const answer = await putFile(uploader, server.url, text);
    expect([answer.status, readCode(answer.body)]).toEqual([422, 'PACKAGE_MALFORMED']);
    const half = join(scratch, 'half.deb');
    const whole = await small('half', '1.0', 4096);
    await copyFile(whole, half);
    await truncate(half, 2000);
    expect((await putFile(uploader, server.url, half)).status).toBe(422);
  });

  it('413: larger than upload.maxSize, announced or not', async () => {
    const large = await small('large', '1.0', LIMIT_BYTES * 4);
    const announced = await putFile(uploader, server.url, large);
    expect([announced.status, readCode(announced.body)]).toEqual([413, 'TOO_LARGE']);
    const url = `${server.url}/upload/stable/large_1.0_all.deb`;
    const chunked = ['--upload-file', large, '--header', 'Transfer-Encoding: chunked'];
    expect((await curl(uploader, url, ...chunked)).status).toBe(413);
    const form = ['--form', `package=@${large}`];
    expect((await curl(uploader, `${server.url}/upload/stable`, ...form)).status).toBe(413);
  });

  it('403: a host, and an uploader of another suite', async () => {
    const file = await small('forbidden');
    const byHost = await putFile(host, server.url, file);
    expect([byHost.status, readCode(byHost.body)]).toEqual([403, 'ROLE_FORBIDDEN']);
    const identity = ['--origin', 'Test', '--label', 'Test'];
    await aptkeep('suite', 'create', 'testing', ...identity, '--data', data);
    const limited = await issueClient(data, 'tester', 'uploader', '--suites', 'testing');
    const elsewhere = await putFile(limited, server.url, file);
    expect([elsewhere.status, readCode(elsewhere.body)]).toEqual([403, 'SUITE_FORBIDDEN']);
    expect((await putFile(limited, server.url, file, 'testing/')).status).toBe(201);
  });

  it('404: no such suite, no such component', async () => {
    const file = await small('lost');
    const noSuite = await putFile(uploader, server.url, file, 'nowhere/');
    expect([noSuite.status, readCode(noSuite.body)]).toEqual([404, 'SUITE_UNKNOWN']);
    const noComponent = await putFile(uploader, server.url, file, 'stable/nowhere/');
    expect([noComponent.status, readCode(noComponent.body)]).toEqual([404, 'COMPONENT_UNKNOWN']);
  });

  it('400: a form with a part of another name, or none', async () => {
    const file = await small('misnamed');
    const url = `${server.url}/upload/stable`;
    expect((await curl(uploader, url, '--form', `file=@${file}`)).status).toBe(400);
    expect((await curl(uploader, url, '--data', 'nothing')).status).toBe(400);
  });

  it('all of a form where one part is refused', async () => {
    const before = await readPublication();
    const text = join(scratch, 'text.deb');
    await writeFile(text, 'this is no package\n');
    const parts = ['--form', `package=@${await small('alone')}`, '--form', `package=@${text}`];
    expect((await curl(uploader, `${server.url}/upload/stable`, ...parts)).status).toBe(422);
    expect(await readPublication()).toBe(before);
  });

  it('on the command line: exit 1 and a sentence; exit 2 for wrong usage', async () => {
    const conflict = await buildSmall({ name: 'conflict', version: '1.0' }, join(scratch, 'third'));
    const flags = remoteFlags(uploader, server.url);
    const refused = await runAptkeep(['upload', conflict, '--suite', 'stable', ...flags]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^aptkeep: .*conflict/m);
    const missing = await runAptkeep(['upload', conflict, ...flags]);
    expect(missing.status).toBe(2);
    expect(missing.stderr).toContain('--suite');
  });
});

describe('in the end', () => {
  it('leaves nothing in staging', async () => {
    expect(await listFiles(join(data, 'pool/.staging'))).toEqual([]);
  });

  it('leaves no connection that a stop would have to wait for', { timeout: 15_000 }, async () => {
    expect(await server.stop()).toBe(0);
  });
});
