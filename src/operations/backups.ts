/** The catalog of one moment, for a backup. Floor 5. */
import { randomBytes } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeSnapshot } from '../catalog/snapshot.ts';
import { ADMINS, defineOperation } from './operation.ts';

const SNAPSHOT_NAME = /^catalog-[0-9a-f]{16}\.snapshot$/;
/** Whoever asked for one that is older does not read it any more. */
const MAX_SNAPSHOT_AGE_MS = 24 * 3_600_000;

/** Left by commands that were killed. */
async function clearSnapshots(data: string): Promise<void> {
  for (const name of await readdir(data)) {
    if (!SNAPSHOT_NAME.test(name)) continue;
    const found = await stat(join(data, name)).catch(() => undefined);
    // By the clock of the machine, as the file's own time is.
    if (found && Date.now() - found.mtimeMs > MAX_SNAPSHOT_AGE_MS) {
      await rm(join(data, name), { force: true });
    }
  }
}

export const takeSnapshot = defineOperation({
  summary: 'Copy the catalog as it is now into the data directory, for a backup',
  roles: ADMINS,
  changes: true,
  input: z.object({}),
  output: z.object({ snapshot: z.string().describe('the name of the file') }),
  async run({ config }) {
    await clearSnapshots(config.data);
    const snapshot = `catalog-${randomBytes(8).toString('hex')}.snapshot`;
    await writeSnapshot(join(config.data, 'catalog.sqlite'), join(config.data, snapshot));
    return { snapshot };
  },
});
