/**
 * kill -9 at many moments of many uploads: whatever was acknowledged is there after the next start,
 * and the repository is one that apt accepts.
 */
import { createHash } from 'node:crypto';
import { existsSync, watch } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, succeed, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { checkListedFiles, readListedFiles, readServed } from './signatures.ts';
import { type Client, enrolHost, issueClient, listFiles, putFile } from './site.ts';
import { compareIndexes, indexPool, readIndex } from './stanzas.ts';

/**
 * When the server is killed in each round: once the data directory has changed so many times since
 * the uploads began, or once so many of them have been acknowledged. Counted, not timed, so that
 * the moments are spread over the work on a fast machine and on a slow one.
 */
const MOMENTS: { changes?: number; acknowledged?: number }[] = [
  ...[1, 4, 9, 16, 25, 36, 49, 64, 81, 100].map((changes) => ({ changes })),
  ...[1, 2, 5].map((acknowledged) => ({ acknowledged })),
];
const UPLOADS_A_ROUND = 8;

const scratch = createScratch('crash');
const data = join(scratch, 'data');
const onDisk = (path: string) => readFile(join(data, 'dists/stable', path));
let server: Server;
let uploader: Client;
let observer: Client;
let root: AptRoot;
/** Files by the name of their package. */
const acknowledged = new Map<string, string>();

const hashFile = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

/** The index that is in force, once disk has it, after every file that Release lists was checked. */
async function readWholeIndex() {
  const served = readServed(observer, `${server.url}/dists/stable`, join(scratch, 'served'));
  const release = (await served('Release')).toString();
  await waitFor('the mirror', async () =>
    (await onDisk('InRelease')).toString().includes(release.trim()) ? true : undefined,
  );
  const files = readListedFiles(release);
  expect(await checkListedFiles(files, onDisk)).toEqual([]);
  expect(await checkListedFiles(files, served)).toEqual([]);
  return readIndex((await onDisk('main/binary-amd64/Packages')).toString());
}

/** Folders, below the data directory, where an upload leaves its marks. */
const MARKED = [
  '.',
  'pool/.staging',
  'pool/main',
  'dists/stable',
  'dists/stable/main/binary-amd64',
];

/** Calls `changed` for everything that happens there; ended by the answer. */
function watchData(changed: () => void): () => void {
  const folders = MARKED.map((folder) => join(data, folder)).filter((one) => existsSync(one));
  const watchers = folders.map((folder) => watch(folder, changed));
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  observer = await issueClient(data, 'watcher', 'observer');
  ({ root } = await enrolHost(data, 'web', join(scratch, 'web')));
  await mkdir(join(scratch, 'built'));
});

describe('kill -9', () => {
  it.each(MOMENTS.map((moment, round) => ({ round, moment })))(
    'loses nothing: $moment',
    async ({ round, moment }) => {
      const built = join(scratch, 'built');
      const files = await Promise.all(
        Array.from({ length: UPLOADS_A_ROUND }, (_, number) =>
          buildSmall(
            { name: `round${round}-${number}`, version: '1', payloadBytes: 20_000 },
            built,
          ),
        ),
      );
      const { port } = server;
      const seen = { changes: 0, acknowledged: 0 };
      let killed: Promise<void> | undefined;
      const see = (what: keyof typeof seen): void => {
        seen[what] += 1;
        if (seen[what] === moment[what]) killed = server.kill();
      };
      const unwatch = watchData(() => see('changes'));
      const uploads = files.map(async (file) => {
        const { status } = await putFile(uploader, server.url, file);
        expect([0, 201]).toContain(status);
        if (status !== 201) return;
        acknowledged.set(basename(file).split('_')[0] ?? '', file);
        see('acknowledged');
      });
      await Promise.all(uploads);
      unwatch();
      await (killed ?? server.kill());
      server = await startServer({ data, port });
      expect(await listFiles(join(data, 'pool/.staging'))).toEqual([]);
      const index = await readWholeIndex();
      const missing = [...acknowledged.keys()].filter((name) => !index.has(`${name} 1 all`));
      expect(missing).toEqual([]);
      const update = await root.aptGet('update');
      expect(`exit ${update.status}\n${update.stderr}`).toBe('exit 0\n');
    },
  );

  it('has acknowledged some uploads and cut others off', () => {
    expect(acknowledged.size).toBeGreaterThan(0);
    expect(acknowledged.size).toBeLessThan(MOMENTS.length * UPLOADS_A_ROUND);
  });

  it('leaves every acknowledged package to be fetched and installed', async () => {
    const names = [...acknowledged.keys()].sort();
    const installed = await root.aptGet('install', ...names);
    expect(`exit ${installed.status}\n${installed.stderr}`).toBe('exit 0\n');
    expect([...(await root.listInstalled()).keys()].sort()).toEqual(names);
  });

  it('leaves in the pool what was uploaded, and takes what was cut off once more', async () => {
    const built = join(scratch, 'built');
    const files = (await listFiles(built)).filter((file) => file.endsWith('.deb'));
    for (const file of files) {
      const { status } = await putFile(uploader, server.url, join(built, file));
      const isKept = acknowledged.has(file.split('_')[0] ?? '');
      expect(isKept ? [200] : [200, 201]).toContain(status);
    }
    const index = await readWholeIndex();
    expect(index.size).toBe(files.length);
    expect(compareIndexes(index, await indexPool(data, 'pool'))).toEqual([]);
    for (const [, fields] of index) {
      const file = join(data, fields.get('Filename') ?? '');
      expect(await hashFile(file)).toBe(fields.get('SHA256'));
    }
  });

  it('keeps revocations and serials', async () => {
    const lost = await issueClient(data, 'lost', 'host');
    await aptkeep('cert', 'revoke', 'lost', '--data', data);
    await server.kill();
    server = await startServer({ data, port: server.port });
    const list = JSON.parse(await aptkeep('cert', 'list', '--json', '--data', data)).certificates;
    const serials = list.map((one: { serial: string }) => one.serial);
    expect(new Set(serials).size).toBe(serials.length);
    const text = await succeed('openssl', ['x509', '-in', lost.certificate, '-noout', '-serial']);
    const serial = text.trim().replace('serial=', '').toLowerCase().replace(/^0+/, '');
    const found = list.find((one: { serial: string }) => one.serial === serial);
    expect(found.status).toBe('revoked');
    const crl = ['crl', '-in', join(data, 'certs/crl.pem'), '-noout', '-text'];
    expect((await succeed('openssl', crl)).toLowerCase()).toContain(serial);
  });
});
