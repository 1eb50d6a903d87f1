/** The first five minutes: `npm start` in an empty directory, and every command that it prints. */
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { CHECKOUT, createScratch, run, startProcess, succeed } from './command.ts';
import {
  APTKEEP,
  aptkeep,
  findFreePort,
  programEnvironment,
  runAptkeep,
  type Server,
  startServer,
  watchServer,
} from './program.ts';
import { readServed, verifySignatures } from './signatures.ts';
import { fingerprintFolder, issueClient } from './site.ts';

const scratch = createScratch('start');
const data = join(scratch, 'data');
let server: Server;

/** npm with the program's own Node, as package.json of a fresh checkout has it. */
async function startWithNpm(): Promise<Server> {
  const flags = ['--data', data, '--listen', `127.0.0.1:${await findFreePort()}`];
  const env = programEnvironment();
  return watchServer(startProcess('npm', ['start', '--', ...flags], { env, cwd: CHECKOUT }));
}

beforeAll(async () => {
  server = await startWithNpm();
});

describe('npm start on an empty directory', () => {
  it('prints the fingerprints of the CA and of the signing key', async () => {
    const certificate = join(data, 'certs/server-ca.crt');
    const args = ['x509', '-in', certificate, '-noout', '-fingerprint', '-sha256'];
    const [, fingerprint = 'none'] = (await succeed('openssl', args)).trim().split('=');
    expect(server.output()).toContain(fingerprint);
    const observer = await issueClient(data, 'monitor', 'observer');
    const folder = join(scratch, 'served');
    const read = readServed(observer, `${server.url}/dists/stable`, folder);
    for (const name of ['InRelease', 'Release', 'Release.gpg']) await read(name);
    const signer = await verifySignatures(folder, join(data, 'certs/archive-keyring.gpg'));
    expect(server.output().toUpperCase()).toContain(signer);
  });

  it('keeps its secrets to itself', async () => {
    expect((await stat(join(data, 'certs'))).mode & 0o777).toBe(0o700);
    const secrets = ['client-ca.key', 'server-ca.key', 'server.key', 'archive-key.asc'];
    for (const name of secrets) {
      expect((await stat(join(data, 'certs', name))).mode & 0o777, name).toBe(0o600);
      const lines = (await readFile(join(data, 'certs', name), 'utf8')).split('\n');
      const longest = lines.reduce((one, other) => (other.length > one.length ? other : one));
      expect(server.output()).not.toContain(longest);
    }
    expect((await stat(join(data, 'aptkeep.sock'))).mode & 0o777).toBe(0o600);
  });

  it('prints commands that work when they are pasted', async () => {
    const [, block = ''] = /^Next.*:\n\n((?: {4}.+\n|\n)+)/m.exec(server.output()) ?? [];
    const commands = block
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(commands.length).toBeGreaterThanOrEqual(3);
    const trial = /\/tmp\/aptkeep-[0-9a-f]+/.exec(block)?.[0];
    expect(trial).toBeDefined();
    onTestFinished(() => rm(String(trial), { recursive: true, force: true }));
    for (const command of commands) {
      const outcome = await run('sh', ['-c', command], { cwd: CHECKOUT });
      expect(`${command}\n${outcome.stderr}\nexit ${outcome.status}`).toMatch(/exit 0$/);
    }
    const listed = await aptkeep('package', 'list', '--json', '--data', data);
    const names = JSON.parse(listed).packages.map((one: { package: string }) => one.package);
    expect(names).toEqual(['lu-moodle-lu']);
  });

  it('ends with exit status 0 on SIGTERM', async () => {
    expect(await server.stop()).toBe(0);
  });

  it('starts again with the same keys, and without the files of the first day', async () => {
    const before = await fingerprintFolder(join(data, 'certs'));
    await rm(join(data, 'aptkeep.sock'), { force: true });
    server = await startServer({ data });
    const after = await fingerprintFolder(join(data, 'certs'));
    const withoutList = (text: string) => text.replace(/^.*crl\.pem$/gm, '');
    expect(withoutList(after)).toBe(withoutList(before));
    expect(await server.stop()).toBe(0);
  });
});

describe('init', () => {
  it('on an initialised directory refuses and changes nothing', async () => {
    const before = await fingerprintFolder(data);
    const refused = await runAptkeep(['init', '--data', data, '--name', 'Another']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^aptkeep: already initialised: /);
    expect(await fingerprintFolder(data)).toBe(before);
  });

  it('while a server runs there refuses too', async () => {
    server = await startServer({ data });
    const refused = await runAptkeep(['init', '--data', data]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^aptkeep: (already initialised|data directory in use): /);
    expect(await server.stop()).toBe(0);
  });

  it('makes a directory that works without a server', async () => {
    const offline = join(scratch, 'offline');
    await aptkeep('init', '--data', offline, '--name', 'Uni Example');
    const release = await readFile(join(offline, 'dists/stable/Release'), 'utf8');
    expect(release).toMatch(/^Origin: Uni Example$/m);
    await issueClient(offline, 'web1', 'host');
    const list = JSON.parse(await aptkeep('cert', 'list', '--json', '--data', offline));
    expect(list.certificates).toHaveLength(1);
  });
});

describe('wrong usage', () => {
  it.each([
    [['serve', '--listen', 'nowhere'], 'listen'],
    [['cert', 'issue', 'web1', '--out', '.'], '--role'],
    [['no-such-command'], 'no-such-command'],
  ])('%j: exit status 2, and says what was wrong', async (args, word) => {
    const outcome = await runAptkeep(args);
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain(word);
  });

  it('a bad value in the environment names its key', async () => {
    const outcome = await runAptkeep(['serve', '--data', data], { APTKEEP_CRL_LIFETIME: 'soon' });
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('crl.lifetime');
  });

  it('a second server on the same directory is refused', async () => {
    server = await startServer({ data });
    const args = ['serve', '--data', data, '--listen', `127.0.0.1:${await findFreePort()}`];
    const outcome = await run(APTKEEP, args, { env: programEnvironment() });
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(/^aptkeep: data directory in use: /m);
    expect(await server.stop()).toBe(0);
  });
});
