/**
 * Papers at the edge: a .changes with its files in one form, or one file after another as dput
 * sends them. dpkg-buildpackage makes them.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildSource, fileOf, filesOf, type WantedSource } from '../deb/build-source.ts';
import { createScratch } from '../e2e/command.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb, buildForm } from './packages.ts';
import {
  type Answer,
  ask,
  createClock,
  type IssuedClient,
  put,
  readCode,
  type Site,
  startSite,
} from './start.ts';

const HOUR_MS = 3_600_000;
const MAX_WAITING = 64 * 1024;

const data = join(createScratch('sources-edge'), 'data');
const clock = createClock();
let site: Site;
let uploader: IssuedClient;

const listWaiting = (): Promise<string[]> => listFiles(join(data, 'pool/.staging'));
const listPool = async (): Promise<string[]> =>
  (await listFiles(join(data, 'pool'))).filter((file) => !file.startsWith('.staging'));
const readPublication = async (): Promise<number> =>
  (await site.perform('suite.show', { suite: 'stable' })).publication;

const build = (wanted: WantedSource) => {
  const files = buildSource(wanted);
  return { files, sent: filesOf(files, fileOf(files, '.changes')) };
};
const post = (files: readonly Uint8Array[], path = '/upload/stable'): Promise<Answer> => {
  const { type, body } = buildForm(files.map((bytes) => ['package', bytes]));
  return ask(site, uploader, path, { method: 'POST', body, headers: { 'Content-Type': type } });
};
/** As dput does: in the order of the .changes, that last. */
const listInOrder = (files: ReadonlyMap<string, Buffer>): [string, Buffer][] => {
  const changes = fileOf(files, '.changes').toString();
  const named = [...changes.matchAll(/^ [0-9a-f]{64} \d+ (.*)$/gm)].map(([, name = '']) => name);
  const paper = [...files.keys()].find((name) => name.endsWith('.changes')) ?? '';
  return [...named, paper].map((name) => [name, files.get(name) ?? Buffer.alloc(0)]);
};

beforeAll(async () => {
  const settings = { 'crl.lifetime': '3650d', 'upload.maxSize': '64KiB', 'upload.waitFor': '6h' };
  site = await startSite(data, { clock, settings });
  uploader = await site.issue('build', 'uploader');
});
afterEach(async () => {
  clock.advance(7 * HOUR_MS);
  await site.parts.incoming.expire();
  expect(await listWaiting()).toEqual([]);
});
afterAll(() => site.daemon.stop());

describe('POST', () => {
  it('takes a .changes with all that it names in one publication', async () => {
    const before = await readPublication();
    const { sent } = build({ name: 'form', extras: true });
    const answer = await post(sent);
    expect(answer.status).toBe(201);
    const { packages } = JSON.parse(answer.text);
    expect(packages.map((one: { architecture: string }) => one.architecture).sort()).toEqual([
      ...['all', 'all', 'all', 'source'],
    ]);
    expect(await readPublication()).toBe(before + 1);
    expect((await post(sent)).status).toBe(200);
    expect(await readPublication()).toBe(before + 1);
  });

  it('422 where a file is missing, by name; nothing is kept', async () => {
    const before = [await listPool(), await readPublication()];
    const { sent } = build({ name: 'part' });
    const answer = await post(sent.slice(0, -1));
    expect([answer.status, readCode(answer)]).toEqual([422, 'UPLOAD_INCOMPLETE']);
    expect(JSON.parse(answer.text).detail).toMatch(/part_1\.0/);
    expect([await listPool(), await readPublication()]).toEqual(before);
  });

  it('takes another distribution where it is told to', async () => {
    const { sent } = build({ name: 'other', distribution: 'unstable' });
    expect(readCode(await post(sent))).toBe('PACKAGE_UNACCEPTABLE');
    expect(readCode(await post(sent, '/upload/stable?distribution=some'))).toBe('INPUT_INVALID');
    expect((await post(sent, '/upload/stable?distribution=any')).status).toBe(201);
  });

  it('403 for a suite whose signers have not signed', async () => {
    const { fingerprint, keyring } = await createSigner();
    await site.perform('signer.add', { keyring });
    const options = { signers: [fingerprint.toLowerCase()] };
    await site.perform('suite.create', { name: 'signed', origin: 'T', label: 'T', options });
    const { sent } = build({ name: 'mine', distribution: 'signed' });
    for (const files of [sent, [buildDeb('alone')]]) {
      const answer = await post(files, '/upload/signed');
      expect([answer.status, readCode(answer)]).toEqual([403, 'SIGNATURE_REQUIRED']);
      expect(answer.reason).toBe('Signature required');
      expect(answer.text).toContain(fingerprint);
    }
    const lone = await put(site, uploader, buildDeb('alone'), 'signed/alone.deb');
    expect([lone.status, readCode(lone)]).toEqual([403, 'SIGNATURE_REQUIRED']);
  });
});

async function createSigner(): Promise<{ fingerprint: string; keyring: string }> {
  const { exportKeyring, generateSigningKey, readSigningKey } = await import(
    '../../src/signing/key.ts'
  );
  const key = await readSigningKey(await generateSigningKey('Signer', new Date(0)));
  return {
    fingerprint: key.getFingerprint().toUpperCase(),
    keyring: exportKeyring([key]).armored,
  };
}

describe('PUT of one file after another', () => {
  it('publishes the packages, keeps the rest waiting, and takes it with the .changes', async () => {
    const { files } = build({ name: 'dput' });
    const statuses = new Map<string, number>();
    for (const [name, bytes] of listInOrder(files)) {
      const answer = await put(site, uploader, bytes, `stable/${name}`);
      statuses.set(name.replace(/^.*?\.(?=[a-z])/, ''), answer.status);
      if (answer.status !== 202) continue;
      expect(JSON.parse(answer.text).waiting).toMatchObject({ file: name, size: bytes.length });
    }
    expect(Object.fromEntries(statuses)).toEqual({
      ...{ dsc: 202, 'orig.tar.gz': 202, 'debian.tar.xz': 202, buildinfo: 202 },
      ...{ deb: 201, changes: 201 },
    });
    expect(await listWaiting()).toEqual([]);
    expect((await listPool()).filter((file) => file.includes('/dput/'))).toHaveLength(4);
    const again = await put(site, uploader, fileOf(files, '.changes'), 'stable/x.changes');
    expect(again.status).toBe(200);
  });

  it('publishes a .dsc as soon as the last of its files is there', async () => {
    const files = buildSource({ name: 'loose', flags: ['-S'] });
    for (const extension of ['.orig.tar.gz', '.debian.tar.xz']) {
      const answer = await put(site, uploader, fileOf(files, extension), `stable/x${extension}`);
      expect(answer.status).toBe(202);
    }
    const answer = await put(site, uploader, fileOf(files, '.dsc'), 'stable/x.dsc');
    expect([answer.status, JSON.parse(answer.text).architecture]).toEqual([201, 'source']);
  });

  it('422 for a .changes whose files are not all there; they go on waiting', async () => {
    const { files } = build({ name: 'late', flags: ['-S'] });
    const all = listInOrder(files);
    const paper = all.at(-1);
    const missing = all.find(([name]) => name.includes('.orig.'));
    const rest = all.filter((one) => one !== paper && one !== missing);
    for (const [name, bytes] of rest) await put(site, uploader, bytes, `stable/${name}`);
    const send = (one: [string, Buffer] | undefined) =>
      put(site, uploader, one?.[1] ?? Buffer.alloc(0), `stable/${one?.[0]}`);
    const refused = await send(paper);
    expect([refused.status, readCode(refused)]).toEqual([422, 'UPLOAD_INCOMPLETE']);
    expect(await listWaiting()).toHaveLength(rest.length);
    expect((await send(missing)).status).toBe(202);
    expect((await send(paper)).status).toBe(201);
  });

  it('gives nobody what another sender has waiting, nor another suite', async () => {
    const files = buildSource({ name: 'apart', flags: ['-S'] });
    const other = await site.issue('other-build', 'uploader');
    for (const extension of ['.orig.tar.gz', '.debian.tar.xz']) {
      await put(site, uploader, fileOf(files, extension), `stable/x${extension}`);
    }
    const theirs = await put(site, other, fileOf(files, '.dsc'), 'stable/x.dsc');
    const elsewhere = await put(site, uploader, fileOf(files, '.dsc'), 'stable/main/x.dsc');
    expect([theirs.status, elsewhere.status]).toEqual([202, 202]);
  });

  it('replaces what waits under the same name, and keeps no more than may wait', async () => {
    const send = (name: string, bytes: number) =>
      put(site, uploader, Buffer.alloc(bytes, 'x'), `stable/${name}.tar.gz`);
    expect((await send('a', MAX_WAITING)).status).toBe(202);
    expect((await send('a', MAX_WAITING - 1)).status).toBe(202);
    expect(await listWaiting()).toHaveLength(1);
    expect((await send('b', 1)).status).toBe(202);
    const full = await send('c', 1);
    expect([full.status, readCode(full)]).toEqual([413, 'TOO_LARGE']);
    const elsewhere = await send('main/c', 1);
    expect([elsewhere.status, readCode(elsewhere)]).toEqual([413, 'TOO_LARGE']);
    expect(await listWaiting()).toHaveLength(2);
  });

  it('keeps all of what comes at the same time, up to what may wait', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `stable/at-once-${i}.tar.gz`);
    const bytes = Buffer.alloc(MAX_WAITING / 8);
    const answers = await Promise.all(names.map((name) => put(site, uploader, bytes, name)));
    const statuses = answers.map((answer) => answer.status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(8);
    expect(statuses.filter((status) => status === 413)).toHaveLength(4);
    expect(await listWaiting()).toHaveLength(8);
  });

  it('forgets what nothing has named in time', async () => {
    await put(site, uploader, Buffer.from('x'), 'stable/old.tar.gz');
    clock.advance(5 * HOUR_MS);
    await site.parts.incoming.expire();
    expect(await readdir(join(data, 'pool/.staging'))).toHaveLength(1);
    clock.advance(2 * HOUR_MS);
    expect(site.parts.incoming.due).toBeLessThanOrEqual(clock.now());
    await site.parts.incoming.expire();
    expect(await readdir(join(data, 'pool/.staging'))).toEqual([]);
  });
});
