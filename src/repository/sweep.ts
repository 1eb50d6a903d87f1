/**
 * Frees what nothing needs any more, beside a server that serves and publishes. In this order: bytes
 * without facts, which needs no room on a full disk; publications that are past; packages that no
 * kept publication lists; then what retention lets go leaves the suites, and is freed by a later
 * sweep. Facts go before their bytes: a crash anywhere leaves bytes without facts. Floor 3.
 */

import { listSuites } from '../catalog/suites.ts';
import { findFirstSuiteTime, listPastSuites } from '../catalog/sweeping.ts';
import { type Past, readPast } from './horizon.ts';
import { applyRetention, type Expired, listExpired } from './retention.ts';
import { sweepDists, sweepPublications } from './sweep-dists.ts';
import { sweepListings, sweepPackages } from './sweep-packages.ts';
import type { Sweep, SweepParts, SweepRequest } from './sweep-parts.ts';
import { sweepPool } from './sweep-pool.ts';
import { type SweptThing, SweptThings, type SweptTotal } from './swept.ts';

export interface SweepReport {
  /** Named up to a bound; `totals` counts all. */
  things: SweptThing[];
  totals: SweptThings['totals'];
  bytes: number;
  /** Files without facts that are older than the repository: left alone unless asked for. */
  foreign: SweptTotal;
  /** Made because retention let packages go. */
  published: { suite: string; publication: number }[];
}

async function beginSweep(parts: SweepParts, request: SweepRequest): Promise<Sweep> {
  const { catalog } = parts;
  const pasts: Past[] = [];
  for (const suite of await listPastSuites(catalog)) {
    pasts.push(await readPast(parts, suite, request.rules, request.needs));
  }
  const born = Date.parse((await findFirstSuiteTime(catalog)) ?? '');
  return { parts, request, pasts, things: new SweptThings(), born: Number.isNaN(born) ? 0 : born };
}

function noteExpired(sweep: Sweep, suite: string, expired: readonly Expired[]): void {
  for (const row of expired) {
    const versions = row.newer === 1 ? '1 newer version' : `${row.newer} newer versions`;
    sweep.things.add({
      ...{ kind: 'listing', suite, bytes: 0 },
      name: `${row.name} ${row.version} ${row.architecture}`,
      why: `retention: ${versions}, listed since ${row.listed_at.slice(0, 10)}`,
    });
  }
}

async function retire(sweep: Sweep): Promise<SweepReport['published']> {
  const { parts, request } = sweep;
  const published: SweepReport['published'] = [];
  for (const { name: suite } of await listSuites(parts.catalog)) {
    const expired = await listExpired(parts, suite, request.needs);
    if (expired.length === 0) continue;
    if (!request.dryRun) {
      const publication = await applyRetention(parts, suite, expired, request.actor);
      published.push({ suite, publication });
    }
    noteExpired(sweep, suite, expired);
  }
  return published;
}

/**
 * One sweep at a time. The caller tells the readers that listings are gone.
 * @throws RefusalError SPACE_EXHAUSTED where the catalog could not be told; bytes without facts are
 *   gone by then, so that asking again may do.
 */
export function sweepRepository(parts: SweepParts, request: SweepRequest): Promise<SweepReport> {
  return parts.catalog.lock('sweep', async () => {
    const sweep = await beginSweep(parts, request);
    await sweepDists(sweep);
    await sweepPool(sweep);
    await sweepPublications(sweep);
    if (!request.dryRun) await sweepListings(sweep);
    await sweepPackages(sweep);
    const published = await retire(sweep);
    const { named, totals, bytes, foreign } = sweep.things;
    if (!request.dryRun) parts.log.info({ event: 'sweep', bytes, ...countOf(totals) });
    return { things: named, totals, bytes, foreign, published };
  });
}

const countOf = (totals: SweptThings['totals']): Record<string, number> =>
  Object.fromEntries(Object.entries(totals).map(([kind, { count }]) => [kind, count]));
