/**
 * The main job, from a git tag to six upgraded web servers: real packages go in, real hosts with
 * certificates of their own update, install and upgrade, and one that was revoked does not.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, succeed, waitFor } from './command.ts';
import { INSTALLABLE, MINIMUM_PACKAGES, prepareCorpus } from './corpus.ts';
import { buildMoodle, showFields } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import {
  checkListedFiles,
  nameByHash,
  readField,
  readListedFiles,
  readServed,
  verifySignatures,
} from './signatures.ts';
import { type Client, enrolHost, issueClient, remoteFlags } from './site.ts';
import { compareIndexes, indexPool, readIndex } from './stanzas.ts';

const HOSTS = ['1', '2', '3', '4', '5', '6'].map((number) => `moodle-web${number}`);
const REVOKED = 'moodle-web3';
const CONFIG = '/etc/lu-moodle-lu/config.php';

const scratch = createScratch('main-job');
const data = join(scratch, 'data');
const hosts = new Map<string, { client: Client; root: AptRoot }>();
let server: Server;
let uploader: Client;
let observer: Client;
let corpus: string[] = [];
let newMoodle = '';

const eachHost = <Value>(
  visit: (root: AptRoot, name: string) => Promise<Value>,
  names: readonly string[] = HOSTS,
): Promise<Value[]> =>
  Promise.all(
    names.map((name) => {
      const host = hosts.get(name);
      if (!host) throw new Error(`${name} is not enrolled`);
      return visit(host.root, name);
    }),
  );

/** apt-get that has to succeed and to say nothing worth a warning. */
async function aptGet(root: AptRoot, ...args: string[]): Promise<string> {
  const outcome = await root.aptGet(...args);
  const said = `${outcome.stdout}${outcome.stderr}`;
  expect(`exit ${outcome.status}\n${said}`).toMatch(/^exit 0\n/);
  expect(said).not.toMatch(/^[WEN]: /m);
  return said;
}

const hashFile = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

/** The name of the control member, the second of the archive. */
async function readControlMember(file: string): Promise<string> {
  const handle = await open(file);
  const { buffer } = await handle.read(Buffer.alloc(160), 0, 160, 0);
  await handle.close();
  return /control\.tar[.\w]*/.exec(buffer.toString('latin1'))?.[0] ?? '';
}

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  observer = await issueClient(data, 'monitor', 'observer');
  corpus = await prepareCorpus(join(scratch, 'corpus'));
});

describe('packages go in', () => {
  it('has real packages of every kind to offer', async () => {
    expect(corpus.length).toBeGreaterThanOrEqual(MINIMUM_PACKAGES);
    const facts: string[] = [];
    for (const file of corpus) {
      const shown = await showFields(file, 'Version', 'Architecture', 'Multi-Arch');
      facts.push([await readControlMember(file), ...shown].join(' '));
    }
    const kinds = {
      xz: /^control\.tar\.xz /,
      gz: /^control\.tar\.gz /,
      zst: /^control\.tar\.zst /,
      uncompressed: /^control\.tar /,
      epoch: /^\S+ \d+:/,
      tilde: /^\S+ \S*~/,
      plus: /^\S+ \S*\+/,
      all: / all /,
      same: / same$/,
      foreign: / foreign$/,
    };
    const missing = Object.entries(kinds).filter(([, kind]) => !facts.some((f) => kind.test(f)));
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it('takes Moodle from the build server', async () => {
    const file = await buildMoodle('2.5.0-0', join(scratch, 'moodle'));
    newMoodle = await buildMoodle('2.5.1-0', join(scratch, 'moodle-new'));
    await aptkeep('upload', file, '--suite', 'stable', ...remoteFlags(uploader, server.url));
  });

  it('takes packages from Debian, a whole folder at once', async () => {
    await aptkeep('upload', ...corpus, '--suite', 'stable', ...remoteFlags(uploader, server.url));
  });
});

describe('what is served', () => {
  const folder = join(scratch, 'served');
  const keyring = join(data, 'certs/archive-keyring.gpg');

  it('is signed: gpgv and sqv verify InRelease and Release.gpg', async () => {
    const read = readServed(observer, `${server.url}/dists/stable`, folder);
    for (const name of ['InRelease', 'Release', 'Release.gpg']) await read(name);
    await verifySignatures(folder, keyring);
    const onDisk = join(data, 'dists/stable');
    await waitFor('the mirror', async () =>
      (await hashFile(join(onDisk, 'InRelease'))) === (await hashFile(join(folder, 'InRelease')))
        ? true
        : undefined,
    );
    for (const name of ['InRelease', 'Release', 'Release.gpg']) {
      expect(await hashFile(join(onDisk, name))).toBe(await hashFile(join(folder, name)));
    }
  });

  it('is what Release says, byte for byte, on disk, by name and by hash', async () => {
    const files = readListedFiles(await readFile(join(folder, 'Release'), 'utf8'));
    expect(files.map((file) => file.path)).toContain('main/binary-amd64/Packages.gz');
    const fromDisk = (path: string) => readFile(join(data, 'dists/stable', path));
    expect(await checkListedFiles(files, fromDisk)).toEqual([]);
    const read = readServed(observer, `${server.url}/dists/stable`, folder);
    expect(await checkListedFiles(files, read)).toEqual([]);
    const stored = files.filter((file) => file.path.endsWith('.gz'));
    expect(await checkListedFiles(nameByHash(stored), read)).toEqual([]);
  });

  it('lists what apt-ftparchive lists for the same files, field by field', async () => {
    const served = await readFile(join(data, 'dists/stable/main/binary-amd64/Packages'), 'utf8');
    const ours = readIndex(served);
    expect(ours.size).toBe(corpus.length + 1);
    expect(compareIndexes(ours, await indexPool(data, 'pool'))).toEqual([]);
  });

  it('never dates anything ahead of the clock, and says until when it holds', async () => {
    const release = await readFile(join(folder, 'Release'), 'utf8');
    expect(Date.parse(readField(release, 'Date') ?? '')).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(readField(release, 'Valid-Until') ?? '')).toBeGreaterThan(Date.now());
    expect(readField(release, 'Acquire-By-Hash')).toBe('yes');
  });
});

describe('six hosts with six certificates', () => {
  it('enrols them', async () => {
    for (const name of HOSTS) {
      hosts.set(name, await enrolHost(data, name, join(scratch, name)));
    }
    const certificates = [...hosts.values()].map(({ client }) => hashFile(client.certificate));
    expect(new Set(await Promise.all(certificates)).size).toBe(HOSTS.length);
  });

  it('update, and a second time find nothing new', async () => {
    await eachHost((root) => aptGet(root, 'update'));
    const again = await eachHost((root) => aptGet(root, 'update'));
    for (const said of again) {
      expect(said).toMatch(/^Hit:/m);
      expect(said).not.toMatch(/^Get:/m);
    }
  });

  it('install Moodle and packages of Debian, really unpacked', async () => {
    await eachHost((root) => aptGet(root, 'install', 'lu-moodle-lu', ...INSTALLABLE));
    await eachHost(async (root) => {
      const installed = await root.listInstalled();
      expect(installed.get('lu-moodle-lu')).toBe('2.5.0-0');
      expect([...installed.keys()].sort()).toEqual(['lu-moodle-lu', ...INSTALLABLE].sort());
      expect(await succeed('dpkg', [`--root=${root.directory}`, '--verify'])).toBe('');
      expect(await root.read('/usr/share/lu-moodle-lu/index.php')).toContain('<?php');
      expect(await root.read('/var/lib/lu-moodle-lu/release')).toBe('2.5.0-0\n');
    });
  });

  it('fetch every package under its name, epochs, tildes and all', async () => {
    const [name = ''] = HOSTS;
    const folder = join(scratch, 'fetched');
    const wanted: string[] = [];
    for (const file of corpus) {
      wanted.push((await showFields(file, 'Package', 'Version')).join('='));
    }
    await mkdir(folder);
    await chmod(folder, 0o777); // apt's sandbox user writes here
    await eachHost(
      async (root) => {
        const outcome = await root.aptGetIn(folder, 'download', ...wanted);
        expect(`exit ${outcome.status}\n${outcome.stderr}`).toBe('exit 0\n');
      },
      [name],
    );
    const sums = (files: string[]) => Promise.all(files.map(hashFile));
    const fetched = (await succeed('find', [folder, '-name', '*.deb'])).trim().split('\n');
    expect((await sums(fetched)).sort()).toEqual((await sums(corpus)).sort());
  });

  it('upgrade to the newer Moodle and keep their own settings', async () => {
    const config = await eachHost(async (root, name) => {
      const changed = `${await root.read(CONFIG)}// settings of ${name}\n`;
      await root.install(CONFIG, changed);
      return changed;
    });
    await aptkeep('upload', newMoodle, '--suite', 'stable', ...remoteFlags(uploader, server.url));
    await eachHost((root) => aptGet(root, 'update'));
    await eachHost((root) => aptGet(root, 'upgrade'));
    const kept = await eachHost(async (root) => {
      expect((await root.listInstalled()).get('lu-moodle-lu')).toBe('2.5.1-0');
      expect(await root.read('/var/lib/lu-moodle-lu/release')).toBe('2.5.1-0\n');
      return root.read(CONFIG);
    });
    expect(kept).toEqual(config);
  });
});

describe('a host is revoked', () => {
  it('is refused with the reason, exit 100, while the others go on', async () => {
    const reason = ['--reason', 'keyCompromise'];
    await aptkeep('cert', 'revoke', REVOKED, ...reason, '--data', data);
    const others = HOSTS.filter((name) => name !== REVOKED);
    await Promise.all([
      eachHost(
        async (root) => {
          const outcome = await root.aptGet('update');
          expect(outcome.status).toBe(100);
          expect(outcome.stderr).toMatch(/403\s+Certificate revoked/);
        },
        [REVOKED],
      ),
      eachHost(async (root) => {
        await aptGet(root, 'update');
        await aptGet(root, 'install', '--reinstall', 'lu-moodle-lu');
      }, others),
    ]);
  });
});

describe('at the end', () => {
  it('stops with exit status 0', async () => {
    expect(await server.stop()).toBe(0);
  });
});
