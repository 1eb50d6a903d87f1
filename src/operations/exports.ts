/** Suites as a plain tree for any web server. Floor 5. */
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { lockDirectory } from '../catalog/lock-file.ts';
import { RefusalError } from '../errors.ts';
import { exportSuites as writeExport } from '../repository/export.ts';
import { ADMINS, defineOperation } from './operation.ts';

/** A sweep that is under way may take a while. */
const LOCK_WAIT_MS = 60_000;

export const exportSuites = defineOperation({
  summary: 'Write the current publications of suites to a folder that any web server can serve',
  roles: ADMINS,
  changes: true,
  input: z.object({
    directory: z
      .string()
      .describe('on the machine of the server, absolute; empty, or an earlier export'),
    suites: z.array(z.string()).min(1).optional().describe('all without it'),
  }),
  output: z.object({
    suites: z.array(
      z.object({ suite: z.string(), publication: z.number(), validUntil: z.string() }),
    ),
    files: z.number(),
    written: z.number().describe('those that were not there before'),
    removed: z.number().describe('those of an earlier export that went'),
  }),
  subject: ({ directory, suites }) => `${(suites ?? ['all']).join(' ')} ${directory}`,
  async run(parts, { directory, suites }) {
    if (!isAbsolute(directory)) {
      throw new RefusalError('INPUT_INVALID', 'directory is no absolute path');
    }
    // Nothing that is being written is swept.
    const lock = await lockDirectory(parts.config.data, LOCK_WAIT_MS, 'aptkeep.keep.lock');
    try {
      const made = await writeExport(parts.repository, directory, suites);
      return {
        ...made,
        suites: made.suites.map(({ validUntil, ...rest }) => ({
          ...rest,
          validUntil: new Date(validUntil).toISOString(),
        })),
      };
    } finally {
      await lock.release();
    }
  },
});
