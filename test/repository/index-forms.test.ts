/**
 * Every form of an index after any history: .gz and .xz are the plain file for their own programs,
 * and patches make it of what it was, as apt applies them.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { PackageRow } from '../../src/catalog/packages.ts';
import { readDiffIndex } from '../../src/deb/diff-index.ts';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import { pipeThrough } from '../deb/build.ts';
import {
  createKey,
  createPackage,
  hashBytes,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  signAgain,
} from './open.ts';

const INDEX = 'main/binary-amd64/Packages';
/** Four or five stanzas make a member of .gz, eight or nine a block of .xz. */
const FIELD_BYTES = 14_000;
const FIRST = 14;

const scratch = mkdtempSync(join(tmpdir(), 'aptkeep-index-forms-'));
afterAll(() => rmSync(scratch, { recursive: true }));

let serial = 0;
function buildOne(): Buffer {
  serial += 1;
  const lines = Array.from({ length: 1 + (serial % 5) }, (_, i) => {
    const filler = randomBytes(FIELD_BYTES / (1 + (serial % 5))).toString('hex');
    return `X-Filler-${i}: ${filler}\n`;
  });
  return createPackage({ name: `p${serial}`, fields: lines.join('') });
}

async function readFile(parts: OpenRepository, path: string): Promise<Buffer> {
  const file = parts.live.get('stable')?.files.get(path);
  if (!file) throw new Error(`${path} is not published`);
  const bytes = await buffer(await readPublishedFile(parts.storage, file));
  expect(hashBytes(bytes), path).toBe(file.sha256);
  expect(bytes.length, path).toBe(file.size);
  return bytes;
}

function applyRred(text: Buffer, script: Uint8Array): Buffer {
  writeFileSync(join(scratch, 'patch'), script);
  const args = ['-f', join(scratch, 'patch')];
  return execFileSync('/usr/lib/apt/methods/rred', args, { input: text, maxBuffer: 2 ** 26 });
}

/** The plain index, which its compressed forms are too. */
async function readProven(parts: OpenRepository): Promise<Buffer> {
  const plain = await readFile(parts, INDEX);
  const gz = await readFile(parts, `${INDEX}.gz`);
  const xz = await readFile(parts, `${INDEX}.xz`);
  expect(pipeThrough('gzip', ['-dc'], gz).equals(plain)).toBe(true);
  expect(pipeThrough('xz', ['-dc'], xz).equals(plain)).toBe(true);
  return plain;
}

/** How many of what the index was is led to what it is. */
async function countLed(parts: OpenRepository, olds: readonly Buffer[]): Promise<number> {
  const current = await readFile(parts, INDEX);
  if (!parts.live.get('stable')?.files.has(`${INDEX}.diff/Index`)) return 0;
  const { current: mark, patches } = readDiffIndex(await readFile(parts, `${INDEX}.diff/Index`));
  expect(mark).toEqual({ sha256: hashBytes(current), size: current.length });
  for (const { from, name, script } of patches) {
    const old = olds.find((one) => hashBytes(one) === from.sha256);
    if (!old) throw new Error(`a patch from what never was: ${from.sha256}`);
    expect(from.size).toBe(old.length);
    const unpacked = gunzipSync(await readFile(parts, `${INDEX}.diff/${name}.gz`));
    expect({ sha256: hashBytes(unpacked), size: unpacked.length }).toEqual(script);
    expect(applyRred(old, unpacked).equals(current)).toBe(true);
  }
  return patches.length;
}

type Step =
  | { kind: 'add'; count: number }
  | { kind: 'remove'; which: number[] }
  | { kind: 'return'; which: number }
  | { kind: 'sign' }
  | { kind: 'restart' };

const which = fc.integer({ min: 0, max: 99 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant('remove' as const),
    which: fc.array(which, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('return' as const), which }),
  fc.record({ kind: fc.constant('sign' as const) }),
  fc.record({ kind: fc.constant('restart' as const) }),
);

const listed = (parts: OpenRepository, isListed: boolean): Promise<PackageRow[]> =>
  parts.catalog.all(
    `SELECT p.* FROM package p WHERE ${isListed ? '' : 'NOT'} EXISTS (SELECT 1 FROM listing l
     WHERE l.package_id = p.id AND l.removed_in IS NULL) ORDER BY p.id`,
  );

async function submit(
  parts: OpenRepository,
  removed: readonly PackageRow[],
  added: readonly PackageRow[],
): Promise<void> {
  await parts.publisher.submit('stable', {
    additions: added.map((row) => ({ component: 'main', row, isNew: false })),
    removals: removed.map((row) => ({ component: 'main', row })),
    ...{ reason: 'test', actor: 'test' },
  });
}

const pick = (rows: readonly PackageRow[], wanted: readonly number[]): PackageRow[] => [
  ...new Set(wanted.flatMap((number) => rows[number % rows.length] ?? [])),
];

describe('the forms of an index', () => {
  it('say the same after any history', async () => {
    const key = await createKey();
    let led = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 6 }), async (steps) => {
        const root = mkdtempSync(join(scratch, 'root-'));
        let parts = await openRepository(root, { key });
        await publishFirst(parts, {
          architectures: ['amd64'],
          options: { xz: true, pdiffs: true },
        });
        await ingest(
          parts,
          Array.from({ length: FIRST }, () => buildOne()),
        );
        const olds = [Buffer.alloc(0), await readProven(parts)];
        for (const one of steps) {
          if (one.kind === 'add') {
            await ingest(
              parts,
              Array.from({ length: one.count }, () => buildOne()),
            );
          } else if (one.kind === 'remove') {
            await submit(parts, pick(await listed(parts, true), one.which), []);
          } else if (one.kind === 'return') {
            const gone = pick(await listed(parts, false), [one.which]);
            if (gone.length > 0) await submit(parts, [], gone);
          } else if (one.kind === 'sign') {
            await signAgain(parts);
          } else {
            await parts.close();
            parts = await openRepository(root, { key });
          }
          olds.push(await readProven(parts));
        }
        led += await countLed(parts, olds);
        await parts.close();
        rmSync(root, { recursive: true });
      }),
      { numRuns: 5 },
    );
    expect(led).toBeGreaterThan(0);
  }, 240_000);
});
