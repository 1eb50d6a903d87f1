/** Reading the audit log. Floor 5. */
import { z } from 'zod';
import { listAudit as queryAudit } from '../catalog/audit.ts';
import { RefusalError } from '../errors.ts';
import { defineOperation, READERS } from './operation.ts';

/** Date.parse alone takes much that is no time, and gives it a meaning nobody had in mind. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** As the catalog writes times. @throws RefusalError INPUT_INVALID */
function readTime(what: string, text: string): string {
  const time = ISO_TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new RefusalError(
    'INPUT_INVALID',
    `${what} ${JSON.stringify(text.slice(0, 80))}: an ISO 8601 time like 2026-11-01 or 2026-11-01T08:00:00Z is allowed`,
  );
}

export const listAudit = defineOperation({
  summary: 'Who changed what, when and from where, and what was refused; newest first',
  roles: READERS,
  changes: false,
  input: z.object({
    since: z.string().optional().describe('an ISO 8601 time'),
    limit: z.coerce.number().int().min(1).max(100_000).default(1000),
  }),
  output: z.object({
    entries: z.array(
      z.object({
        number: z.number(),
        at: z.string(),
        actor: z.string(),
        role: z.string(),
        serial: z.string().nullable(),
        address: z.string().nullable(),
        operation: z.string(),
        subject: z.string(),
        outcome: z.string(),
        detail: z.string(),
      }),
    ),
  }),
  async run(parts, input) {
    const from = input.since === undefined ? '' : readTime('since', input.since);
    return { entries: await queryAudit(parts.authority.catalog, from, input.limit) };
  },
});
