/** Reading the audit log. Floor 5. */
import { z } from 'zod';
import { listAudit as queryAudit } from '../catalog/audit.ts';
import { RefusalError } from '../errors.ts';
import { defineOperation, READERS } from './operation.ts';

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
    const since = input.since === undefined ? 0 : Date.parse(input.since);
    if (Number.isNaN(since)) {
      throw new RefusalError(
        'INPUT_INVALID',
        `since ${JSON.stringify(input.since)}: an ISO 8601 time is allowed`,
      );
    }
    const from = new Date(since).toISOString();
    return { entries: await queryAudit(parts.authority.catalog, from, input.limit) };
  },
});
