/** SIGTERM: what is in flight is finished, what is new is refused, the exit status is 0. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, startProcess, succeed, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { type Server, startServer } from './program.ts';
import {
  type Client,
  curl,
  curlFlags,
  enrolHost,
  issueClient,
  listFiles,
  putFile,
} from './site.ts';

/** Far more than the buffers between two processes hold; some seconds at curl's limit. */
const LARGE_BYTES = 32 * 1024 * 1024;
const RATE = '10M';

const scratch = createScratch('drain');
const data = join(scratch, 'data');
let server: Server;
let uploader: Client;
let host: { client: Client; root: AptRoot };
let [downloaded, uploaded] = ['', ''];
let url = '';

/** A slow curl; resolves with its exit status and what it printed. */
function startCurl(client: Client, ...flags: string[]): Promise<{ exit: number; printed: string }> {
  const child = startProcess('curl', [...curlFlags(client), '--limit-rate', RATE, ...flags]);
  let printed = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    printed += chunk.toString('latin1');
  });
  return new Promise((resolve) =>
    child.once('close', (exit) => resolve({ exit: exit ?? -1, printed })),
  );
}

const sizeOf = async (file: string): Promise<number> =>
  (await stat(file).catch(() => undefined))?.size ?? 0;

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  host = await enrolHost(data, 'web', join(scratch, 'web'));
  const payloadBytes = LARGE_BYTES;
  downloaded = await buildSmall({ name: 'down', version: '1', payloadBytes }, scratch);
  uploaded = await buildSmall({ name: 'up', version: '1', payloadBytes }, scratch);
  expect((await putFile(uploader, server.url, downloaded)).status).toBe(201);
  const [path] = (await listFiles(join(data, 'pool'))).filter((file) => file.endsWith('.deb'));
  url = `${server.url}/pool/${path}`;
});

describe('SIGTERM in the middle of a download and an upload', () => {
  it('finishes both, refuses what is new, and exits 0', async () => {
    const copy = join(scratch, 'copy');
    const down = startCurl(host.client, '--output', copy, url);
    const target = `${server.url}/upload/stable/`;
    const up = startCurl(
      uploader,
      '--upload-file',
      uploaded,
      '--write-out',
      '%{http_code}',
      target,
    );
    const staging = join(data, 'pool/.staging');
    await waitFor('both to be under way', async () => {
      const sizes = await Promise.all(
        (await listFiles(staging)).map((file) => sizeOf(join(staging, file))),
      );
      return (await sizeOf(copy)) > 0 && sizes.some((size) => size > 0) ? true : undefined;
    });
    const stopped = server.stop();
    await waitFor('the door to close', async () => {
      const { status } = await curl(host.client, `${server.url}/dists/stable/InRelease`);
      return status === 200 ? undefined : true;
    });
    expect(await sizeOf(copy)).toBeLessThan(LARGE_BYTES);
    expect((await down).exit).toBe(0);
    await succeed('cmp', [copy, downloaded]);
    const { exit, printed } = await up;
    expect([exit, printed.slice(-3)]).toEqual([0, '201']);
    expect(await stopped).toBe(0);
  });

  it('loses nothing: apt-get finds the upload after the next start', async () => {
    server = await startServer({ data, port: server.port });
    expect((await host.root.aptGet('update')).status).toBe(0);
    expect((await host.root.aptGet('install', 'up')).status).toBe(0);
    expect((await host.root.listInstalled()).get('up')).toBe('1');
    expect(await listFiles(join(data, 'pool/.staging'))).toEqual([]);
  });

  it('ends an idle server at once, on SIGINT too', async () => {
    expect(await server.stop('SIGINT')).toBe(0);
    expect(await listFiles(data)).not.toContain('aptkeep.sock');
  });
});
