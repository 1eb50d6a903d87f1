/**
 * The objects under dists/ that no kept publication needs. Taken a few at a time under the lock of
 * their suite: a publication being made may refer to an object that nothing else refers to. Floor 3.
 */
import { markSwept } from '../catalog/sweeping.ts';
import { distsPrefix, suiteOfKey } from '../deb/layout.ts';
import type { Past } from './horizon.ts';
import { forgetUnneeded, listFiles, listObjects, NeededObjects } from './needed-objects.ts';
import { isAbandoned, type Sweep } from './sweep-parts.ts';
import type { SweptKind } from './swept.ts';

/** A publication waits while so many are deleted. */
const KEYS_UNDER_LOCK = 50;

interface Taking {
  suite: string;
  needed: NeededObjects;
  kind: SweptKind;
  why: string;
}

async function takeObject(sweep: Sweep, taking: Taking, key: string): Promise<void> {
  const stat = await sweep.parts.storage.stat(key);
  if (!stat) return;
  if (taking.kind === 'orphan' && !isAbandoned(sweep, stat)) return;
  if (!sweep.request.dryRun) await sweep.parts.storage.remove(key);
  const { kind, suite, why } = taking;
  sweep.things.add({ kind, name: key, suite, bytes: stat.size, why });
}

/** Takes, or names, those of the keys that are not needed when it comes to it. */
async function takeObjects(sweep: Sweep, taking: Taking, keys: readonly string[]): Promise<void> {
  const { catalog, live } = sweep.parts;
  const { suite, needed } = taking;
  for (let at = 0; at < keys.length; at += KEYS_UNDER_LOCK) {
    await catalog.lock(`suite:${suite}`, async () => {
      await needed.extend(catalog, live.get(suite));
      for (const key of keys.slice(at, at + KEYS_UNDER_LOCK)) {
        if (!needed.has(key)) await takeObject(sweep, taking, key);
      }
    });
  }
}

/** What crashes and failed publications left under dists/. Needs no room on the disk. */
export async function sweepDists(sweep: Sweep): Promise<void> {
  const { catalog, live, storage } = sweep.parts;
  const takings = new Map<string, Taking & { page: string[] }>();
  const openTaking = async (suite: string): Promise<Taking & { page: string[] }> => {
    const needed = new NeededObjects(suite);
    await needed.extend(catalog, live.get(suite));
    const why = 'no publication refers to it';
    return { suite, needed, kind: 'orphan', why, page: [] };
  };
  for await (const key of storage.list(distsPrefix())) {
    const suite = suiteOfKey(key);
    const taking = takings.get(suite) ?? (await openTaking(suite));
    takings.set(suite, taking);
    if (!taking.needed.has(key)) taking.page.push(key);
    if (taking.page.length >= KEYS_UNDER_LOCK) {
      await takeObjects(sweep, taking, taking.page.splice(0));
    }
  }
  for (const taking of takings.values()) await takeObjects(sweep, taking, taking.page);
}

/** Ends the publications that are past: facts first, then what they alone needed. */
export async function sweepPublications(sweep: Sweep): Promise<void> {
  for (const past of sweep.pasts) {
    if (past.due.length > 0 || !sweep.request.dryRun) await sweepPast(sweep, past);
  }
}

async function sweepPast(sweep: Sweep, { horizon, due }: Past): Promise<void> {
  const { catalog, now } = sweep.parts;
  const { suite } = horizon;
  const files = await listFiles(catalog, suite, due);
  const keys = await listObjects(catalog, suite, files);
  for (const { number, superseded_at } of due) {
    if (!sweep.request.dryRun) {
      await catalog.transaction((sql) =>
        markSwept(sql, suite, number, new Date(now()).toISOString()),
      );
    }
    sweep.things.add({
      ...{ kind: 'publication', name: `${suite} ${number}`, suite, bytes: 0 },
      why: `superseded ${superseded_at.slice(0, 19)}Z, and publications after it`,
    });
  }
  const going = new Set(due.map(({ number }) => number));
  const needed = new NeededObjects(suite, (number) => !going.has(number));
  const why = 'only swept publications needed it';
  if (!sweep.request.dryRun) {
    await catalog.lock(`suite:${suite}`, async () => {
      await needed.extend(catalog, sweep.parts.live.get(suite));
      await forgetUnneeded(catalog, suite, needed);
    });
  }
  await takeObjects(sweep, { suite, needed, kind: 'index', why }, keys);
}
