/** The same words and the same output: on the directory, through its socket, over mutual TLS. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../src/deb/build.ts';
import { createScratch, run } from '../e2e/command.ts';
import { aptkeep, runAptkeep, type Server, startServer } from '../e2e/program.ts';

const scratch = createScratch('cli');
/** Longer than the kernel lets the path of a socket be. */
const data = join(
  scratch,
  'a-data-directory-whose-path-is-longer-than-a-socket-may-have'.repeat(2),
  'data',
);
const admin = join(scratch, 'admin');
const good = join(scratch, 'good_1.0_all.deb');
const bad = join(scratch, 'bad.deb');
let server: Server;

const remote = (): string[] => [
  ...['--server', server.url, '--cert', join(admin, 'root.crt')],
  ...['--key', join(admin, 'root.key'), '--ca', join(admin, 'ca.crt')],
];

/** What every command that prints facts is asked; none of it changes anything. */
const QUESTIONS: string[][] = [
  ['cert', 'list'],
  ['cert', 'show', 'root'],
  ['crl', 'show'],
  ['crl', 'export'],
  ['suite', 'list'],
  ['suite', 'show', 'stable'],
  ['publication', 'list', 'stable'],
  ['publication', 'show', 'stable', '1'],
  ['package', 'list'],
  ['package', 'show', 'good'],
  ['key', 'show'],
  ['key', 'export', '--armor'],
  ['host', 'list'],
  ['host', 'show', 'web0'],
  ['host', 'show', 'web0', '--apt'],
];

const ask = async (words: string[], target: string[]): Promise<string> =>
  (await Promise.all([aptkeep(...words, ...target), aptkeep(...words, '--json', ...target)])).join(
    '\n--\n',
  );

/** Ports and lists differ from one start to the next; nothing else may. */
const steady = (text: string): string => text.replace(/(localhost|127\.0\.0\.1):\d+/g, 'HOST');

const direct = new Map<string, string>();

beforeAll(async () => {
  await mkdir(scratch, { recursive: true });
  const fields = {
    Package: 'good',
    Version: '1.0',
    Architecture: 'all',
    Maintainer: 'T <t@x>',
    Description: 'x',
  };
  await writeFile(good, await buildPackage(fields, [], 1));
  await writeFile(bad, 'no package at all');
  await aptkeep('init', '--data', data, '--name', 'Uni');
  await aptkeep('cert', 'issue', 'root', '--role', 'admin', '--out', admin, '--data', data);
  await aptkeep(
    'cert',
    'issue',
    'web0',
    '--role',
    'host',
    '--out',
    join(scratch, 'web0'),
    '--data',
    data,
  );
  await aptkeep('upload', good, '--suite', 'stable', '--data', data);
  server = await startServer({ data });
}, 120_000);

afterAll(async () => {
  await server.stop();
});

describe('three ways', () => {
  it.each(QUESTIONS)('%s %s %s: through the socket and over TLS alike', async (...words) => {
    const asked = words.filter((word) => word !== undefined);
    const [local, far] = await Promise.all([ask(asked, ['--data', data]), ask(asked, remote())]);
    expect(steady(far)).toBe(steady(local));
    direct.set(asked.join(' '), local);
  });

  it('and on the directory itself, where no server runs', async () => {
    expect(await server.stop()).toBe(0);
    for (const words of QUESTIONS.filter((one) => one[0] !== 'crl')) {
      expect(steady(await ask(words, ['--data', data]))).toBe(
        steady(direct.get(words.join(' ')) ?? ''),
      );
    }
    server = await startServer({ data });
  });

  it('shows the same health in a status', async () => {
    const read = async (target: string[]) => {
      const { health, door, suites } = JSON.parse(await aptkeep('status', '--json', ...target));
      return { health, door, suites };
    };
    const [local, far] = await Promise.all([read(['--data', data]), read(remote())]);
    expect(far).toEqual(local);
    expect(local).toMatchObject({
      health: 'ok',
      door: 'open',
      suites: [{ name: 'stable', packages: 1 }],
    });
  });
});

describe('failures', () => {
  const refused: [string, string[], RegExp][] = [
    ['an unknown certificate', ['cert', 'show', 'nobody'], /no such certificate: .*"nobody"/],
    ['an unknown suite', ['suite', 'show', 'nowhere'], /no such suite: .*"nowhere"/],
    ['an unknown package', ['package', 'show', 'nothing'], /no such package: .*"nothing"/],
    ['an unknown host', ['host', 'show', 'nobody'], /no such host: .*"nobody"/],
    ['an unreadable file', ['cert', 'test', join(scratch, 'absent')], /absent: ENOENT/],
    [
      'a broken package',
      ['upload', bad, '--suite', 'stable'],
      /bad\.deb: not a well-formed package: /,
    ],
    ['sources', ['upload', join(scratch, 'x.dsc'), '--suite', 'stable'], /\.dsc/],
  ];
  it.each(refused)(
    '%s: status 1, nothing on standard output, the same words both ways',
    async (_name, words, why) => {
      const outcomes = await Promise.all([
        runAptkeep([...words, '--data', data]),
        runAptkeep([...words, ...remote()]),
      ]);
      for (const { status, stdout, stderr } of outcomes) {
        expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
        expect(stderr).toMatch(/^aptkeep: /);
        expect(stderr).toMatch(why);
      }
      expect(outcomes[0]?.stderr).toBe(outcomes[1]?.stderr);
    },
  );

  it('a server that is not there', async () => {
    const { status, stderr } = await runAptkeep([
      'status',
      ...remote().map((word) => (word === server.url ? 'https://127.0.0.1:1' : word)),
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^aptkeep: server not reached: https:\/\/127\.0\.0\.1:1: /);
  });

  it('an empty folder, which stays empty', async () => {
    const empty = join(scratch, 'empty');
    await mkdir(empty);
    const { status, stderr } = await runAptkeep(['status', '--data', empty]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^aptkeep: not initialised: /);
    expect(await readdir(empty)).toEqual([]);
  });

  it('of several files one is bad: the good ones are in, the status is 1', async () => {
    const { status, stdout, stderr } = await runAptkeep([
      'upload',
      good,
      bad,
      '--suite',
      'stable',
      '--data',
      data,
    ]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^good +1\.0 +all/m);
    expect(stderr).toMatch(/^aptkeep: bad\.deb: /);
  });
});

describe('cert', () => {
  it('issue makes a key that only its owner reads, and refuses to overwrite it', async () => {
    const out = join(scratch, 'jenkins');
    const words = [
      'cert',
      'issue',
      'jenkins',
      '--role',
      'uploader',
      '--suites',
      'stable',
      '--out',
      out,
      '--data',
      data,
    ];
    await aptkeep(...words);
    expect((await stat(join(out, 'jenkins.key'))).mode & 0o777).toBe(0o600);
    expect((await readdir(out)).sort()).toEqual(['ca.crt', 'jenkins.crt', 'jenkins.key']);
    const before = await readFile(join(out, 'jenkins.key'), 'utf8');
    const again = await runAptkeep(words);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/jenkins\.(crt|key) exists; --force replaces it/);
    expect(await readFile(join(out, 'jenkins.key'), 'utf8')).toBe(before);
    const [listed] = JSON.parse(
      await aptkeep('cert', 'show', 'jenkins', '--json', '--data', data),
    ).certificates;
    expect(listed).toMatchObject({ role: 'uploader', suites: ['stable'], status: 'valid' });
    await aptkeep(...words, '--force');
    expect(await readFile(join(out, 'jenkins.key'), 'utf8')).not.toBe(before);
  });

  it('issue --csr certifies the key of the request, and of it nothing else', async () => {
    const out = join(scratch, 'csr');
    await mkdir(out);
    const key = join(out, 'own.key');
    const csr = join(out, 'own.csr');
    await run('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-out',
      csr,
      '-subj',
      '/OU=admin/CN=evil',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-addext',
      'basicConstraints=CA:TRUE',
    ]);
    await aptkeep(
      'cert',
      'issue',
      'web9',
      '--role',
      'host',
      '--csr',
      csr,
      '--out',
      out,
      '--data',
      data,
    );
    const { stdout } = await run('openssl', [
      'x509',
      '-in',
      join(out, 'web9.crt'),
      '-noout',
      '-text',
      '-nameopt',
      'RFC2253',
    ]);
    expect(stdout).toMatch(/Subject: CN=web9,OU=host/);
    expect(stdout).toMatch(/CA:FALSE/);
    expect(stdout).not.toMatch(/DNS:|evil|CA:TRUE/);
    expect(await readdir(out)).not.toContain('web9.key');
    const publicKeys = await Promise.all([
      run('openssl', ['x509', '-in', join(out, 'web9.crt'), '-noout', '-pubkey']),
      run('openssl', ['pkey', '-in', key, '-pubout']),
    ]);
    expect(publicKeys[0]?.stdout).toBe(publicKeys[1]?.stdout);
  });

  it('test says who is let in, and by its status too', async () => {
    const file = join(scratch, 'web0', 'web0.crt');
    expect(await aptkeep('cert', 'test', file, '--data', data)).toMatch(/^let in: host web0, /);
    await aptkeep('cert', 'revoke', 'web0', '--reason', 'superseded', '--data', data);
    const { status, stdout } = await runAptkeep(['cert', 'test', file, '--data', data]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^refused: host web0, .*revoked\n$/);
  });
});
