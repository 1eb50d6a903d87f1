/** kill -9 in a loop of ingests: what was acknowledged is listed, and every file is what it says. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listKeysOf, readPublishedFile } from '../../src/repository/published-files.ts';
import { generateSigningKey, readSigningKey, type SecretKey } from '../../src/signing/key.ts';
import { checkListedFiles, readListedFiles } from '../e2e/signatures.ts';
import { listFiles } from '../e2e/site.ts';
import {
  hashBytes,
  listRecorded,
  openRepository,
  publishFirst,
  readKey,
  START_MS,
  verifyMirror,
} from './open.ts';

/**
 * When the child is killed: so many milliseconds after so many answers. Spread over the some
 * twenty milliseconds that an ingest takes; where exactly they fall is chance, and may be.
 */
const MOMENTS: [number, number][] = [
  [1, 0],
  [2, 3],
  [3, 7],
  [5, 11],
  [8, 15],
  [13, 19],
];

const root = mkdtempSync(join(tmpdir(), 'aptkeep-kill-'));
const keyFile = join(root, 'key.asc');
let key: SecretKey;
beforeAll(async () => {
  const armored = await generateSigningKey('Test', new Date(START_MS - 86_400_000));
  writeFileSync(keyFile, armored);
  key = await readSigningKey(armored);
  const parts = await openRepository(root, { key });
  await publishFirst(parts);
  await parts.close();
});
afterAll(() => rmSync(root, { recursive: true }));

/** Resolves with what the child said before it was killed. */
async function ingestUntilKilled(round: number, answers: number, afterMs: number) {
  const program = new URL('ingest-for-ever.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, root, keyFile, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  const acknowledged = new Map<string, string>();
  for await (const line of createInterface(child.stdout)) {
    const [word, filename = '', sha256 = ''] = line.split(' ');
    if (word !== 'added') continue;
    acknowledged.set(filename, sha256);
    if (acknowledged.size === answers) setTimeout(() => child.kill('SIGKILL'), afterMs);
  }
  const [, signal] = await closed;
  expect(signal).toBe('SIGKILL');
  return acknowledged;
}

describe('kill -9', () => {
  it('at any moment loses no acknowledged package, and leaves every file as Release names it', async () => {
    const acknowledged = new Map<string, string>();
    for (const [round, [answers, afterMs]] of MOMENTS.entries()) {
      for (const [filename, sha256] of await ingestUntilKilled(round, answers, afterMs)) {
        acknowledged.set(filename, sha256);
      }
      const parts = await openRepository(root, { key });
      try {
        const recorded = await listRecorded(parts.catalog);
        for (const [filename, sha256] of acknowledged) expect(recorded.get(filename)).toBe(sha256);
        for (const [filename, sha256] of recorded) {
          expect(hashBytes(await readKey(parts.storage, filename))).toBe(sha256);
        }
        expect(await listFiles(parts.staging)).toEqual([]);
        for (const live of parts.live.values()) {
          parts.mirror.follow(live);
          expect(listKeysOf(live.files.values()).size).toBeGreaterThan(0);
          for (const file of live.files.values()) {
            const bytes = await buffer(await readPublishedFile(parts.storage, file));
            expect(hashBytes(bytes)).toBe(file.sha256);
          }
        }
        const release = await verifyMirror(root, parts);
        const read = (path: string): Promise<Buffer> => readFile(join(root, 'dists/stable', path));
        expect(await checkListedFiles(readListedFiles(release), read)).toEqual([]);
        const index = (await read('main/binary-amd64/Packages')).toString();
        const listed = [...index.matchAll(/^Filename: (.*)$/gm)].map((match) => match[1]).sort();
        expect(listed).toEqual([...recorded.keys()].sort());
      } finally {
        await parts.close();
      }
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(32);
  });
});
