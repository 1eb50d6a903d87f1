/** What examples/ci/ offers to build jobs: the script uploads with curl alone, the rest is well-formed. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { buildSource } from '../deb/build-source.ts';
import {
  CHECKOUT,
  cleanEnvironment,
  createScratch,
  type Outcome,
  run,
  succeed,
} from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { type Client, issueClient } from './site.ts';

const EXAMPLES = join(CHECKOUT, 'examples/ci');

const scratch = createScratch('ci');
const data = join(scratch, 'data');
let server: Server;
let job: Client;

const upload = (client: Client, ...folders: string[]): Promise<Outcome> =>
  run(join(EXAMPLES, 'upload'), folders, {
    env: {
      ...cleanEnvironment(),
      APTKEEP_URL: server.url,
      APTKEEP_SUITE: 'stable',
      APTKEEP_CERT: client.certificate,
      APTKEEP_KEY: client.key,
      APTKEEP_CA: client.ca,
    },
  });

beforeAll(async () => {
  server = await startServer({ data });
  job = await issueClient(data, 'ci', 'uploader');
});

afterAll(() => server.stop());

describe('the script of a build job', () => {
  it('uploads a .changes with all that it names', async () => {
    const folder = join(scratch, 'built with a blank');
    await mkdir(folder);
    for (const [name, bytes] of buildSource({ name: 'from-ci', extras: true })) {
      await writeFile(join(folder, name), bytes);
    }
    const outcome = await upload(job, folder);
    expect(outcome.status, outcome.stdout + outcome.stderr).toBe(0);
    const { packages } = JSON.parse(
      await aptkeep('package', 'list', 'from-ci', '--json', '--data', data),
    );
    expect(packages).toHaveLength(4);
  });

  it('uploads packages where there is no .changes, and ends with an error where one is refused', async () => {
    const folder = join(scratch, 'packages');
    await mkdir(folder);
    await buildSmall({ name: 'plain', version: '1' }, folder);
    expect((await upload(job, folder)).status).toBe(0);
    const host = await issueClient(data, 'web', 'host');
    const refused = await upload(host, folder);
    expect(refused.status).not.toBe(0);
    expect(refused.stdout).toContain('"code":"ROLE_FORBIDDEN"');
    const nothing = await upload(job, join(scratch, 'nothing'));
    expect([nothing.status, nothing.stderr]).toEqual([
      1,
      expect.stringContaining('no .changes and no .deb in '),
    ]);
  });

  it('has no fault that shellcheck finds', async () => {
    expect(await succeed('shellcheck', [join(EXAMPLES, 'upload')])).toBe('');
  });
});

describe('the snippets', () => {
  it('are YAML, and run the script', async () => {
    const read = async (file: string): Promise<string> => readFile(join(EXAMPLES, file), 'utf8');
    const { jobs } = parse(await read('github.yaml'));
    expect(jobs.package.steps.at(-1).run).toContain('debian/upload ..');
    const { package: gitlab } = parse(await read('gitlab.yaml'));
    expect(gitlab.script).toContain('debian/upload ..');
    expect(await read('Jenkinsfile')).toContain("sh 'debian/upload ..'");
  });

  it('give GitHub a step that shellcheck finds nothing in', async () => {
    const { jobs } = parse(await readFile(join(EXAMPLES, 'github.yaml'), 'utf8'));
    const script = `#!/bin/bash -e\n${jobs.package.steps.at(-1).run}`;
    expect(await succeed('shellcheck', ['-'], { input: script })).toBe('');
  });
});
