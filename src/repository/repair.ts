/**
 * Puts right what a check has found and what can be put right from what is there: the mirror, the
 * indexes of the current publication. Bytes that are not what was recorded are moved aside, so that
 * the same package can be uploaded again; nothing is thrown away. Floor 3.
 */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { distsKey } from '../deb/layout.ts';
import type { Check } from './check-parts.ts';
import type { Publisher } from './publisher.ts';

/** In the data directory: files whose bytes are not the recorded ones. */
const ASIDE = 'damaged';

/** @param data the data directory, where what is moved aside goes. */
export async function repairFindings(
  check: Check,
  publisher: Publisher,
  data: string,
): Promise<void> {
  for (const suite of new Set(check.broken)) await rebuildIndexes(check, publisher, suite);
  for (const suite of new Set(check.mirrors)) await repairMirror(check, suite);
  for (const { filename, code } of check.damaged) {
    if (code === 'package.bytes' || code === 'package.size') {
      await moveAside(check, filename, join(data, ASIDE));
    }
  }
}

/** A publication of the same contents, every index of it made again from the catalog. */
async function rebuildIndexes(
  { parts, findings }: Check,
  publisher: Publisher,
  suite: string,
): Promise<void> {
  parts.indexes.distrust(suite);
  const reason = 'repair: indexes made again from the catalog';
  const change = { additions: [], removals: [], reason, actor: 'check' };
  const { number } = await publisher.submit(suite, change);
  findings.repaired.push(`indexes of ${suite}: made again in publication ${number}`);
}

async function repairMirror({ parts, findings }: Check, suite: string): Promise<void> {
  const live = parts.live.get(suite);
  if (!live) return;
  // Without it the mirror is not taken for whole.
  await parts.storage.remove(distsKey(suite, 'InRelease'));
  await parts.mirror.leave(suite);
  parts.mirror.follow(live);
  await parts.mirror.flush();
  findings.repaired.push(`mirror of ${suite}: written again`);
}

async function moveAside({ parts, findings }: Check, key: string, folder: string): Promise<void> {
  if (!(await parts.storage.stat(key))) return;
  const target = join(folder, key);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await pipeline(await parts.storage.read(key), createWriteStream(target, { mode: 0o600 }));
  await parts.storage.remove(key);
  findings.repaired.push(`${key}: moved to ${ASIDE}/; upload the same package again`);
}
