/**
 * Packages that are read while they come. What is said of each is what is said of the same bytes when
 * they come without a length, and are read afterwards; nothing stays open.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildAr,
  buildPackage,
  buildTar,
  CONTROL,
  controlMember,
  VERSION_MEMBER,
} from '../deb/build.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { openConnection } from '../e2e/connection.ts';
import { listFiles } from '../e2e/site.ts';
import { buildDeb } from './packages.ts';
import { type IssuedClient, type Site, startSite } from './start.ts';

const PIECE_BYTES = 100_000;
const noise = randomBytes(3_000_000);

const data = join(createScratch('early-proof'), 'data');
let site: Site;
let uploader: IssuedClient;

/** PUT in pieces, with a length or in chunks. */
async function upload(
  bytes: Buffer,
  isAnnounced: boolean,
): Promise<{ status: number; body: Record<string, string> }> {
  const [cert, key, ca] = await Promise.all(
    [uploader.certificate, uploader.key, site.ca].map((file) => readFile(file)),
  );
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    body: Record<string, string>;
  }>();
  const headers = isAnnounced ? { 'Content-Length': bytes.length } : {};
  const put = request(
    `https://localhost:${site.port}/upload/stable/x.deb`,
    { method: 'PUT', cert, key, ca, agent: false, headers },
    (response) => {
      json(response).then(
        (body) =>
          resolve({ status: response.statusCode ?? 0, body: body as Record<string, string> }),
        reject,
      );
    },
  );
  put.once('error', reject);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await new Promise((sent) => put.write(bytes.subarray(at, at + PIECE_BYTES), sent));
  }
  put.end();
  return promise;
}

const staging = (): Promise<string[]> => listFiles(join(data, 'pool/.staging'));
/** Files in staging that this process holds open. */
const countOpen = (): number =>
  readdirSync('/proc/self/fd').filter((name) => {
    try {
      return readlinkSync(join('/proc/self/fd', name)).startsWith(join(data, 'pool/.staging'));
    } catch {
      return false;
    }
  }).length;

beforeAll(async () => {
  site = await startSite(data);
  uploader = await site.issue('build', 'uploader');
});

afterAll(() => site.daemon.stop());

const tar = (...more: string[]): Buffer =>
  buildTar([
    { name: './usr/noise', content: noise },
    ...more.map((name) => ({ name, content: 'x' })),
  ]);
const withData = (content: Buffer, name = 'data.tar.gz'): Buffer =>
  buildPackage({ data: { name, content } });
const packed = gzipSync(tar(), { level: 1 });

describe('a package that is read while it comes', () => {
  it('is published', async () => {
    const deb = buildDeb('early', { payload: noise });
    const { status, body } = await upload(deb, true);
    expect([status, body.package]).toEqual([201, 'early']);
    const index = await readFile(join(data, 'pool/main/e/early/early_1.0_all.deb'));
    expect(index.equals(deb)).toBe(true);
    expect((await upload(deb, false)).status).toBe(200);
  });

  it.each<[string, Buffer]>([
    [
      'a wrong checksum at its end',
      withData(Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8)])),
    ],
    ['data.tar cut off', withData(packed.subarray(0, -1000))],
    ['bytes behind data.tar', withData(Buffer.concat([packed, Buffer.from('more')]))],
    ['a path out of the root at its end', withData(gzipSync(tar('../x'), { level: 1 }))],
    ['the same, stored', withData(tar('../x'), 'data.tar')],
    [
      'an unknown type, stored',
      withData(
        Buffer.concat([
          buildTar([{ name: './n', content: noise }], 0),
          buildTar([{ type: '!', content: 'x' }]),
        ]),
        'data.tar',
      ),
    ],
    [
      'a second control.tar at its end',
      buildAr([
        VERSION_MEMBER,
        controlMember(),
        { name: 'data.tar.gz', content: packed },
        controlMember(),
      ]),
    ],
    [
      'no control',
      buildPackage({
        control: controlMember(buildTar([{ name: './x', content: CONTROL }])),
        data: { name: 'data.tar.gz', content: packed },
      }),
    ],
    [
      'an architecture of another suite',
      Buffer.from(
        buildPackage({
          control: controlMember(
            buildTar([{ name: './control', content: CONTROL.replace('amd64', 'mips') }]),
          ),
          data: { name: 'data.tar.gz', content: packed },
        }),
      ),
    ],
    ['noise', noise],
  ])('is refused in the same words: %s', async (_name, bytes) => {
    const early = await upload(bytes, true);
    const late = await upload(bytes, false);
    expect(early.status).toBe(422);
    expect([early.status, early.body]).toEqual([late.status, late.body]);
    await waitFor('nothing to be open', () => (countOpen() === 0 ? true : undefined));
    expect(await staging()).toEqual([]);
  });

  it('leaves nothing open where it ends in the middle', async () => {
    const connection = await openConnection({ port: site.port, client: uploader, ca: site.ca });
    const deb = buildDeb('broken', { payload: noise });
    connection.send(
      `PUT /upload/stable/x.deb HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${deb.length}\r\n\r\n`,
    );
    connection.socket.write(deb.subarray(0, 2_000_000));
    await waitFor('the upload', async () => ((await staging()).length > 0 ? true : undefined));
    connection.socket.destroy();
    await waitFor('nothing of it', async () =>
      (await staging()).length === 0 && countOpen() === 0 ? true : undefined,
    );
  });
});
