/**
 * Proves the whole: catalog against storage against indexes against signatures, reading everything
 * back. It runs beside a server: it takes no lock, and what changes while it looks is no fault.
 * Files without facts are garbage for a sweep, not faults. Floor 3.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { verifyAudit } from '../catalog/audit-verify.ts';
import { measureUnlisted } from '../catalog/checking.ts';
import { distsKey, distsPrefix, suiteOfKey } from '../deb/layout.ts';
import { checkListings, checkPackages } from './check-packages.ts';
import type { Check } from './check-parts.ts';
import { checkPublications } from './check-publications.ts';
import type { LivePublication } from './live.ts';
import { NeededObjects } from './needed-objects.ts';
import { isInFlight } from './sweep-parts.ts';

/** Where a suite is published without a pause, its mirror is never caught still. */
const MAX_MIRROR_ATTEMPTS = 5;

import { pageUnrecorded } from './sweep-pool.ts';

/** Runs a check to its end; what it finds is in `check.findings`. @throws where it is aborted. */
export async function checkRepository(check: Check): Promise<void> {
  await checkListings(check);
  await checkPackages(check);
  await checkPublications(check);
  await checkMirrors(check);
  await measureGarbage(check);
  await checkAudit(check);
}

/** The mirror follows in the background: it is led to its end first. */
async function checkMirrors(check: Check): Promise<void> {
  const { parts } = check;
  check.findings.begin('mirror', parts.live.size);
  for (const suite of [...parts.live.keys()]) {
    check.signal.throwIfAborted();
    const why = await findLastingFault(check, suite);
    if (why) {
      check.findings.fault('mirror', suite, why);
      check.mirrors.push(suite);
    }
    check.findings.advance(1);
  }
}

/** A publication that comes while its mirror is read sets that on its way again. */
async function findLastingFault(check: Check, suite: string): Promise<string | undefined> {
  const { live, mirror } = check.parts;
  for (let attempt = 0; attempt < MAX_MIRROR_ATTEMPTS; attempt += 1) {
    await mirror.flush();
    const before = live.get(suite);
    const why = before && (await findMirrorFault(check, before));
    if (!why) return undefined;
    await mirror.flush();
    if (live.get(suite) === before && (await findMirrorFault(check, before))) return why;
  }
  return undefined;
}

async function findMirrorFault(
  { parts, quick }: Check,
  live: LivePublication,
): Promise<string | undefined> {
  const { storage } = parts;
  const read = async (path: string): Promise<Buffer> =>
    buffer(await storage.read(distsKey(live.suite, path)));
  for (const [path, bytes] of [
    ['InRelease', live.inRelease],
    ['Release', live.release],
    ['Release.gpg', live.releaseGpg],
  ] as const) {
    const there = await storage.stat(distsKey(live.suite, path));
    if (!there || !(await read(path)).equals(bytes)) return `${path} is not the current one`;
  }
  for (const file of live.files.values()) {
    const there = await storage.stat(distsKey(live.suite, file.path));
    if (there?.size !== file.size) return `${file.path} is not the current one`;
    if (quick) continue;
    const sha256 = await hashStream(await storage.read(distsKey(live.suite, file.path)));
    if (sha256 !== file.sha256) return `${file.path} is not the current one`;
  }
  return undefined;
}

async function hashStream(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** What a sweep would free: counted, because after a crash there may be much of it. */
async function measureGarbage(check: Check): Promise<void> {
  const { findings, parts } = check;
  findings.begin('files without facts', 0);
  const note = async (key: string): Promise<void> => {
    const stat = await parts.storage.stat(key);
    if (!stat || isInFlight(parts, stat)) return;
    findings.garbage.files += 1;
    findings.garbage.bytes += stat.size;
  };
  for await (const keys of pageUnrecorded(parts)) {
    check.signal.throwIfAborted();
    for (const key of keys) await note(key);
  }
  const needed = new Map<string, NeededObjects>();
  for await (const key of parts.storage.list(distsPrefix())) {
    const suite = suiteOfKey(key);
    const known = needed.get(suite) ?? new NeededObjects(suite);
    if (!needed.has(suite)) await known.extend(parts.catalog, parts.live.get(suite));
    needed.set(suite, known);
    if (!known.has(key)) await note(key);
  }
  const { count, bytes } = await measureUnlisted(parts.catalog);
  findings.garbage.packages += count;
  findings.garbage.bytes += bytes;
}

async function checkAudit({ parts, findings }: Check): Promise<void> {
  findings.begin('audit log', 0);
  const { fault } = await verifyAudit(parts.catalog);
  if (fault) findings.fault('audit', `entry ${fault.number}`, fault.why);
}
