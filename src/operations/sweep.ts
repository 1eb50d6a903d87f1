/** Freeing what nothing needs any more, and saying beforehand what that would be. Floor 5. */
import { z } from 'zod';
import { listHeldPackages } from '../catalog/host-packages.ts';
import { lockDirectory } from '../catalog/lock-file.ts';
import { type KeepingRules, NO_NEEDS } from '../repository/horizon.ts';
import { type SweepReport, sweepRepository } from '../repository/sweep.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const total = z.object({ count: z.number(), bytes: z.number() });

const report = z.object({
  things: z
    .array(
      z.object({
        kind: z
          .enum(['publication', 'listing', 'package', 'index', 'orphan'])
          .describe('listing: a package leaves a suite; orphan: a file without facts'),
        name: z.string(),
        suite: z.string().nullable(),
        bytes: z.number().describe('freed on disk'),
        why: z.string(),
      }),
    )
    .describe('the first 10,000 of them'),
  totals: z.object({
    publication: total,
    listing: total,
    package: total,
    index: total,
    orphan: total,
  }),
  bytes: z.number(),
  foreign: total.describe('files without facts that are older than the repository, left alone'),
  published: z
    .array(z.object({ suite: z.string(), publication: z.number() }))
    .describe('what retention let go has left these suites; its bytes go with a later sweep'),
});

const input = z.object({
  foreign: z
    .union([z.boolean(), z.literal('true').transform(() => true)])
    .default(false)
    .describe('also files without facts that are older than the repository itself'),
});

/** What is kept at least, as it is configured. */
export function readKeepingRules({ config }: Pick<Parts, 'config'>): KeepingRules {
  return {
    publications: config.values['publication.keep'],
    keepFor: config.values['publication.keepFor'],
    snapshotsFor: config.values['snapshot.keepFor'],
  };
}

/**
 * Sweeps as it is configured, for an actor.
 * @throws RefusalError DIRECTORY_IN_USE while a backup is made, SPACE_EXHAUSTED
 */
export async function sweepAsConfigured(
  parts: Parts,
  { actor, dryRun, foreign }: { actor: string; dryRun: boolean; foreign: boolean },
): Promise<SweepReport> {
  const rules = readKeepingRules(parts);
  const needs = {
    ...NO_NEEDS,
    // What a host has installed, it may have to be given again.
    listNeeded: () => listHeldPackages(parts.repository.catalog),
  };
  const request = { rules, needs, dryRun, foreign, actor };
  if (dryRun) return sweepRepository(parts.repository, request);
  // A backup under way still reads what its snapshot of the catalog refers to.
  const lock = await lockDirectory(parts.config.data, 0, 'aptkeep.keep.lock');
  try {
    return await sweepRepository(parts.repository, request);
  } finally {
    // Listings are gone, also where it failed further on.
    parts.readers.invalidate();
    await lock.release();
  }
}

export const showSweep = defineOperation({
  summary: 'What a sweep would free now, and why',
  roles: READERS,
  changes: false,
  input,
  output: report,
  run: (parts, { foreign }, actor) =>
    sweepAsConfigured(parts, { actor: actor.name, dryRun: true, foreign }),
});

export const runSweep = defineOperation({
  summary: 'Apply retention, and free what no kept publication needs any more',
  roles: ADMINS,
  changes: true,
  spendsReserve: true,
  input,
  output: report,
  run: (parts, { foreign }, actor) =>
    sweepAsConfigured(parts, { actor: actor.name, dryRun: false, foreign }),
});
