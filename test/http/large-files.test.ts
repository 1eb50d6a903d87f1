/**
 * Files of several buffers, byte by byte: at every edge of one, many at once, to clients that leave in
 * the middle. Expected bytes are those that were uploaded.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync as readlink } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stallAnswer } from '../attack/speak.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { getRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { buildDeb } from './packages.ts';
import { ask, type IssuedClient, put, type Site, startSite } from './start.ts';

const MIB = 1024 * 1024;
const PATH = '/pool/main/l/large/large_1.0_all.deb';
const RELEASE = '/dists/stable/InRelease';

const data = join(createScratch('large-files'), 'data');
const deb = buildDeb('large', { payload: randomBytes(5 * MIB + 4321) });
let site: Site;
let host: IssuedClient;

/** Files of the pool that this process holds open. */
const countOpen = (): number =>
  readdirSync('/proc/self/fd', { withFileTypes: true }).filter((entry) => {
    try {
      return readlink(join('/proc/self/fd', entry.name)).includes('/pool/main/l/large/');
    } catch {
      return false;
    }
  }).length;

beforeAll(async () => {
  site = await startSite(data);
  host = await site.issue('web', 'host');
  const uploader = await site.issue('build', 'uploader');
  expect((await put(site, uploader, deb)).status).toBe(201);
});

afterAll(() => site.daemon.stop());

describe('a large file', () => {
  it.each([
    [0, 0],
    [MIB - 1, MIB - 1],
    [MIB - 1, MIB],
    [MIB, 2 * MIB - 1],
    [MIB, 2 * MIB],
    [1, 2 * MIB],
    [0, 3 * MIB],
    [3 * MIB - 7, deb.length - 1],
    [deb.length - 1, deb.length - 1],
  ])('is sent from byte %i to byte %i', async (start, end) => {
    const answer = await ask(site, host, PATH, { headers: { Range: `bytes=${start}-${end}` } });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end}/${deb.length}`);
    expect(answer.body.equals(deb.subarray(start, end + 1))).toBe(true);
  });

  it("is whole for thirty clients at once, and no buffer is another client's", async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, at) => {
        const start = at * 1000;
        return ask(site, host, PATH, { headers: { Range: `bytes=${start}-` } });
      }),
    );
    for (const [at, { body }] of answers.entries()) {
      expect(body.equals(deb.subarray(at * 1000)), String(at)).toBe(true);
    }
    await waitFor('every file to be closed', () => (countOpen() === 0 ? true : undefined));
  });

  it('is in order with small answers when requests are pipelined', async () => {
    const connection = await openConnection({ port: site.port, client: host, ca: site.ca });
    const requests = [PATH, RELEASE, PATH, RELEASE].map(getRequest);
    connection.send(requests.join(''));
    const heads = await waitFor('four answers', () => {
      const received = connection.received();
      const end = received.lastIndexOf('-----END PGP SIGNATURE-----');
      const lines = readStatusLines(received);
      return lines.length === 4 && received.length > 2 * deb.length && end > 2 * deb.length
        ? received
        : undefined;
    });
    connection.socket.destroy();
    const text = deb.toString('latin1');
    const first = heads.indexOf('!<arch>');
    expect(heads.slice(first, first + text.length) === text).toBe(true);
    const second = heads.indexOf('!<arch>', first + text.length);
    expect(heads.slice(first + text.length, second)).toContain(
      '-----BEGIN PGP SIGNED MESSAGE-----',
    );
    expect(heads.slice(second, second + text.length) === text).toBe(true);
  });

  it('leaves nothing open when clients leave in the middle, or are cut', async () => {
    const leaving = await site.issue('leaving', 'host');
    for (let round = 0; round < 10; round += 1) {
      const connection = await openConnection({ port: site.port, client: leaving, ca: site.ca });
      await stallAnswer(connection, getRequest(PATH));
      connection.socket.destroy();
    }
    const cut = await openConnection({ port: site.port, client: leaving, ca: site.ca });
    await stallAnswer(cut, getRequest(PATH));
    await site.perform('certificate.revoke', { certificate: leaving.serial });
    cut.socket.resume();
    expect((await cut.ended()).length).toBeLessThan(deb.length);
    await waitFor('every file to be closed', () => (countOpen() === 0 ? true : undefined));
    const after = await ask(site, host, PATH);
    expect(after.body.equals(deb)).toBe(true);
  });
});
