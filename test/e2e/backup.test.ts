/**
 * A backup made while the server serves and takes uploads, restored into an empty directory: real
 * hosts of before go on with it, certificates and all, and never see a Date go back. Whatever is
 * wrong with a tar leaves nothing behind. Tars are looked at with GNU tar.
 */
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { extract, pack } from 'tar-stream';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, run, succeed } from './command.ts';
import { buildSmall } from './packages.ts';
import {
  APTKEEP,
  aptkeep,
  findFreePort,
  programEnvironment,
  runAptkeep,
  type Server,
  startServer,
} from './program.ts';
import { type Client, curl, enrolHost, issueClient } from './site.ts';

const scratch = createScratch('backup');
const data = join(scratch, 'data');
const tar = join(scratch, 'backup.tar');
let port: number;
let server: Server;
let root: AptRoot;
let client: Client;

const build = (name: string, version: string): Promise<string> =>
  buildSmall({ name, version }, join(scratch, 'built'));

async function upload(directory: string, name: string, version: string): Promise<void> {
  await aptkeep('upload', await build(name, version), '--suite', 'stable', '--data', directory);
}

async function update(): Promise<string> {
  const outcome = await root.aptGet('update');
  expect([outcome.status, outcome.stderr]).toEqual([0, '']);
  return outcome.stdout;
}

interface Publication {
  number: number;
  date: string;
}

const listPublications = async (directory: string): Promise<Publication[]> =>
  (
    JSON.parse(await aptkeep('publication', 'list', 'stable', '--json', '--data', directory)) as {
      publications: Publication[];
    }
  ).publications;

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
  await writeFile(join(data, 'aptkeep.yaml'), 'suite:\n  validFor: 9d\n');
  port = await findFreePort();
  server = await startServer({ data, port });
  ({ root, client } = await enrolHost(data, 'web', join(scratch, 'host')));
  await issueClient(data, 'thief', 'uploader');
  await upload(data, 'alpha', '1.0');
  await upload(data, 'beta', '1:2.0~rc1+b1');
});

describe('a backup of a running server', () => {
  it('is a tar for its owner alone, with the keys as they are at rest', async () => {
    const uploads = Promise.all(['x1', 'x2', 'x3'].map((name) => upload(data, name, '1')));
    const made = JSON.parse(await aptkeep('backup', tar, '--data', data, '--json'));
    expect(made).toMatchObject({ file: tar, keys: true });
    await uploads;
    expect((await stat(tar)).mode & 0o777).toBe(0o600);
    const names = (await succeed('tar', ['-tf', tar])).split('\n').filter(Boolean);
    expect(names.slice(0, 2)).toEqual(['aptkeep-backup.json', 'catalog.sqlite']);
    expect(names.at(-1)).toBe('aptkeep-backup.end');
    for (const name of ['certs/client-ca.key', 'certs/archive-key.asc', 'aptkeep.yaml']) {
      expect(names).toContain(name);
    }
    const key = await succeed('tar', ['-xOf', tar, 'certs/client-ca.key']);
    expect(key).toBe(await readFile(join(data, 'certs/client-ca.key'), 'utf8'));
    expect((await readdir(data)).filter((name) => name.endsWith('.snapshot'))).toEqual([]);
  });

  it('goes to standard output as well, and without the keys where that is asked for', async () => {
    const line = `"$0" backup - --without-keys --data "$1" | tar -tf -`;
    const env = programEnvironment();
    const names = await succeed('sh', ['-c', line, APTKEEP, data], { env });
    expect(names).toContain('pool/main/a/alpha/alpha_1.0_all.deb');
    expect(names).toContain('certs/client-ca.crt');
    expect(names).not.toMatch(/\.key\b|archive-key\.asc/);
  });

  it('leaves nothing where it cannot be written', async () => {
    const outcome = await runAptkeep([
      'backup',
      join(scratch, 'no/such/place.tar'),
      '--data',
      data,
    ]);
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringContaining('ENOENT')]);
    expect((await readdir(data)).filter((name) => name.endsWith('.snapshot'))).toEqual([]);
  });
});

describe('a restore', () => {
  const restored = join(scratch, 'restored');
  let after: Publication | undefined;
  let crl: string;

  it('takes over from the lost server, and its hosts notice nothing', async () => {
    await update();
    expect((await root.aptGet('install', 'alpha', 'beta')).status).toBe(0);
    // What the backup does not know.
    await upload(data, 'alpha', '1.1');
    await aptkeep('cert', 'revoke', 'thief', '--data', data);
    crl = join(scratch, 'newest-crl.pem');
    await copyFile(join(data, 'certs/crl.pem'), crl);
    await update();
    [after] = await listPublications(data);
    await server.stop();

    const words = ['restore', tar, '--data', restored, '--crl', crl, '--json'];
    expect(JSON.parse(await aptkeep(...words))).toMatchObject({ suites: ['stable'], keys: true });
    const check = await runAptkeep(['check', '--data', restored]);
    expect(check.status, check.stdout).toBe(0);
    server = await startServer({ data: restored, port });
    expect(server.output()).not.toContain('internal error');
    expect(await update()).toContain('Get:');
    const outcome = await root.aptGet('install', '--reinstall', 'beta');
    expect([outcome.status, outcome.stderr]).toEqual([0, '']);
  });

  it('goes on beyond the numbers and the Dates that hosts have seen', async () => {
    const [first] = await listPublications(restored);
    expect(first?.number).toBe(1_000_001);
    expect(Date.parse(first?.date ?? '')).toBeGreaterThan(Date.parse(after?.date ?? ''));
    await upload(restored, 'alpha', '1.2');
    await update();
    expect((await root.aptGet('install', 'alpha')).status).toBe(0);
    expect((await root.listInstalled()).get('alpha')).toBe('1.2');
  });

  it('takes no revocation back', async () => {
    const thief = join(`${data}-clients`, 'thief');
    const answer = await curl(
      { ...client, certificate: join(thief, 'thief.crt'), key: join(thief, 'thief.key') },
      `${server.url}/dists/stable/InRelease`,
    );
    expect([answer.status, answer.exit === 0 && answer.reason]).not.toEqual([200, 'OK']);
    const shown = await aptkeep('cert', 'test', join(thief, 'thief.crt'), '--data', restored).catch(
      String,
    );
    expect(shown).toMatch(/revoked/i);
  });

  it('keeps the audit log whole, and is written there', async () => {
    await aptkeep('audit', 'verify', '--data', restored);
    expect(await aptkeep('audit', '--json', '--data', restored)).toContain('backup.restore');
  });

  it('wants an empty directory', async () => {
    const outcome = await runAptkeep(['restore', tar, '--data', restored]);
    expect([outcome.status, outcome.stderr]).toEqual([
      1,
      expect.stringMatching(/^aptkeep: directory not accepted: .* is not empty/),
    ]);
  });
});

describe('a tar that is not what it should be', () => {
  /** The backup without one of its members. */
  async function leaveOut(name: string, member: string): Promise<string> {
    const [before, after] = [extract(), pack()];
    createReadStream(tar).pipe(before);
    for await (const entry of before) {
      const content = await buffer(entry);
      if (entry.header.name !== member) after.entry(entry.header, content);
    }
    after.finalize();
    const path = join(scratch, `${name}.tar`);
    await writeFile(path, await buffer(after));
    return path;
  }

  /** Members before the backup's own, or in place of it. */
  async function forge(
    name: string,
    member: { name: string; type?: 'symlink' | 'file'; linkname?: string; body?: string },
  ): Promise<string> {
    const folder = join(scratch, `${name}-parts`);
    await mkdir(folder);
    await succeed('tar', ['-xf', tar, '-C', folder]);
    const archive = pack();
    const add = async (path: string): Promise<void> => {
      archive.entry({ name: path }, await readFile(join(folder, path)));
    };
    await add('aptkeep-backup.json');
    await add('catalog.sqlite');
    const { body = '', ...header } = member;
    archive.entry({ type: 'file', ...header } as never, body);
    archive.finalize();
    const path = join(scratch, `${name}.tar`);
    await writeFile(path, await buffer(archive));
    await rm(folder, { recursive: true });
    return path;
  }

  const cases: [string, () => Promise<string>, RegExp][] = [
    [
      'cut off',
      async () => {
        const path = join(scratch, 'cut.tar');
        const bytes = await readFile(tar);
        await writeFile(path, bytes.subarray(0, bytes.length - 60_000));
        return path;
      },
      /no tar archive, or a damaged one|missing from it|cut off/,
    ],
    ['without its end', () => leaveOut('endless', 'aptkeep-backup.end'), /it is cut off/],
    [
      'without an object',
      () => leaveOut('hole', 'pool/main/a/alpha/alpha_1.0_all.deb'),
      /1 objects are missing from it, "pool\/main\/a\/alpha\/alpha_1\.0_all\.deb"/,
    ],
    [
      'with a byte changed',
      async () => {
        const path = join(scratch, 'changed.tar');
        const bytes = await readFile(tar);
        const at = bytes.indexOf('!<arch>\n') + 300;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        await writeFile(path, bytes);
        return path;
      },
      /has SHA256 [0-9a-f]{64}; its catalog says/,
    ],
    [
      'with a path that leads elsewhere',
      () => forge('upwards', { name: '../../escaped', body: 'x' }),
      /is nothing that its catalog refers to/,
    ],
    [
      'with an absolute path',
      () => forge('absolute', { name: '/tmp/escaped', body: 'x' }),
      /is nothing that its catalog refers to/,
    ],
    [
      'with a link',
      () => forge('link', { name: 'pool/main', type: 'symlink', linkname: '/tmp' }),
      /is a symlink; only files are restored/,
    ],
    [
      'with another file of certs/',
      () => forge('certs', { name: 'certs/../../x', body: 'x' }),
      /is no file of certs\//,
    ],
    [
      'with an object of another size',
      () => forge('size', { name: 'pool/main/a/alpha/alpha_1.0_all.deb', body: 'x' }),
      /has 1 bytes; its catalog says/,
    ],
    [
      'that is no tar',
      async () => {
        const path = join(scratch, 'none.tar');
        await writeFile(path, 'hello '.repeat(1000));
        return path;
      },
      /no tar archive/,
    ],
  ];

  it.each(cases)('%s', async (_name, make, why) => {
    const path = await make();
    const target = join(scratch, 'refused');
    const outcome = await runAptkeep(['restore', path, '--data', target]);
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringMatching(why)]);
    expect(outcome.stderr).toMatch(/^aptkeep: backup not accepted: /);
    expect((await run('ls', ['-A', target])).status).not.toBe(0);
    expect((await run('ls', [join(scratch, '../escaped'), '/tmp/escaped'])).stdout).toBe('');
  });
});
