/**
 * Build, sign and store the next publication of a suite, then point the suite at it.
 * Bytes first, facts second, pointer last: a crash anywhere leaves hosts the previous one, whole.
 * Source: the Debian repository format; apt ignores a Release whose Date is not newer. Floor 3.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { transactWithNotes } from '../catalog/audit.ts';
import {
  findPublication,
  insertPublication,
  type PublicationRow,
} from '../catalog/publications.ts';
import { findFloors, pointSuite, updateSuite } from '../catalog/suites.ts';
import { changelogsUrl, snapshotsUrl } from '../deb/layout.ts';
import { renderRelease } from '../deb/release.ts';
import { signRelease } from '../signing/sign.ts';
import type { SignedRelease } from '../signing/verify.ts';
import type { Change } from './change.ts';
import { gatherContents } from './contents.ts';
import { completeHashes, hashAdditions } from './extra-hashes.ts';
import { dropStale } from './index-definitions.ts';
import type { Indexes } from './indexes.ts';
import { describeLive, type LivePublication, type LivePublications } from './live.ts';
import type { Mirror } from './mirror.ts';
import { type PublishedFile, recordFiles, spellFiles } from './published-files.ts';
import { recordChange } from './record-change.ts';
import type { Repository } from './repository.ts';
import { DEFAULT_SUITE_OPTIONS } from './suite-options.ts';
import { getSuite, type Suite, spellSuiteRow } from './suites.ts';

export interface PublishParts extends Repository {
  /** Where hosts reach the server, without a slash at the end. */
  url: () => string;
  indexes: Indexes;
  live: LivePublications;
  mirror: Mirror;
}

/** Date lies this far back, so that many publications in one second each get a later one. */
const MAX_DATE_LAG_MS = 1_200_000;
const SECOND_MS = 1000;
/** Nobody's answer waits longer than this for a Date that is free. */
const MAX_DATE_WAIT_MS = 5000;

/** A Date later than `previous` and not ahead of now; waits a little where there is none yet. */
async function chooseDate(now: () => number, previous: number, validFor: number): Promise<number> {
  const lag = Math.min(MAX_DATE_LAG_MS, validFor / 10);
  const earliest = previous + SECOND_MS;
  // A clock that was set back must not stop publishing: then Date runs ahead of it, as it has to.
  const ahead = earliest - now();
  if (ahead > 0 && ahead <= MAX_DATE_WAIT_MS) await delay(ahead);
  return Math.max(Math.floor((now() - lag) / SECOND_MS) * SECOND_MS, earliest);
}

async function sign(
  parts: PublishParts,
  suite: Suite,
  date: number,
  files: readonly PublishedFile[],
): Promise<SignedRelease> {
  const release = renderRelease({
    origin: suite.origin,
    label: suite.label,
    suite: suite.name,
    codename: suite.codename,
    ...(suite.description ? { description: suite.description } : {}),
    version: suite.options.version,
    notAutomatic: suite.options.notAutomatic,
    butAutomaticUpgrades: suite.options.butAutomaticUpgrades,
    changelogs: suite.options.changelogs ? changelogsUrl(parts.url()) : undefined,
    snapshots: suite.options.snapshots ? snapshotsUrl(parts.url()) : undefined,
    date: new Date(date),
    validUntil: new Date(date + suite.validFor),
    architectures: suite.architectures,
    components: suite.components,
    hashes: suite.options.hashes,
    files: files.filter(({ isUnlisted }) => !isUnlisted),
  });
  return signRelease(release, parts.signingKeys, new Date(date), parts.now);
}

function applySettings(suite: Suite, { settings }: Change): Suite {
  if (!settings) return suite;
  const options = { ...DEFAULT_SUITE_OPTIONS, ...settings.options };
  return { ...settings, options, publication: suite.publication };
}

/** Also of a suite that was removed and made again: hosts have its last Date. */
async function findLastDate(parts: PublishParts, suite: Suite): Promise<number> {
  const live = parts.live.get(suite.name);
  if (live) return live.date;
  const last = await findPublication(parts.catalog, suite.name, suite.publication);
  return last ? Date.parse(last.date) : 0;
}

/**
 * The last publication without what is rendered in another way from now on. The hashes that are
 * asked for from now on are known of most packages already: setSuite saw to it.
 */
async function keepRendered(
  parts: PublishParts,
  before: Suite,
  after: Suite,
): Promise<LivePublication | undefined> {
  const { hashes } = after.options;
  if (hashes.some((name) => !before.options.hashes.includes(name))) {
    await completeHashes(parts, after.name, hashes);
  }
  const live = parts.live.get(after.name);
  if (!live) return undefined;
  const files = dropStale(before, after, live.files);
  if (files !== live.files) parts.indexes.forget(after.name);
  return { ...live, files };
}

/**
 * Publish a suite with a change; the caller holds the lock of that suite.
 * @throws RefusalError SUITE_UNKNOWN, SPACE_EXHAUSTED
 */
export async function publishSuite(
  parts: PublishParts,
  name: string,
  given: Change,
): Promise<{ number: number }> {
  const before = await getSuite(parts, name);
  const suite = applySettings(before, given);
  const change = await hashAdditions(parts, suite.options.hashes, given);
  const previous = await keepRendered(parts, before, suite);
  const floors = await findFloors(parts.catalog, name);
  const number = Math.max(suite.publication, floors.number) + 1;
  const contents = await gatherContents(parts.catalog, suite, change);
  const last = Math.max(await findLastDate(parts, suite), Date.parse(floors.date) || 0);
  const date = await chooseDate(parts.now, last, suite.validFor);
  if (date > parts.now()) {
    parts.log.warn({ event: 'date ahead of the clock', suite: name, number, date });
  }
  const { files, made, record } = await parts.indexes.update(
    ...([suite, { number, date }, previous, change, contents] as const),
  );
  const signed = await sign(parts, suite, date, files);
  const row: PublicationRow = {
    suite: name,
    number,
    date: new Date(date).toISOString(),
    valid_until: new Date(date + suite.validFor).toISOString(),
    reason: change.reason,
    actor: change.actor,
    in_release: signed.inRelease,
    release: signed.release,
    release_gpg: signed.releaseGpg,
    files: spellFiles(files),
    created_at: new Date(parts.now()).toISOString(),
  };
  await transactWithNotes(parts.catalog, change.notes ?? [], async (sql) => {
    if (change.settings) await updateSuite(sql, spellSuiteRow(change.settings));
    await recordChange(sql, name, number, change, contents);
    await record(sql);
    await recordFiles(sql, name, files, made);
    await insertPublication(sql, row);
    await pointSuite(sql, name, number);
  });
  const live = describeLive(row, files);
  parts.live.set(name, live);
  parts.indexes.settle(name);
  parts.mirror.follow(live, previous);
  // Nobody is told of it before every process that serves has it.
  await parts.live.settled();
  parts.log.info({ event: 'publication', suite: name, number, reason: change.reason });
  return { number };
}
