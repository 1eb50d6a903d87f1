/** Reading the audit log, and proving that it is whole. Floor 5. */
import { z } from 'zod';
import { findAuditSince, pageAudit, listAudit as queryAudit } from '../catalog/audit.ts';
import type { AuditRow } from '../catalog/audit-chain.ts';
import { verifyAudit as walkAudit } from '../catalog/audit-verify.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
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

/** From the first entry of that time on, whatever the clock said afterwards: a chain has no holes. */
async function pageSince(
  sql: SqlExecutor,
  since: string,
  after: number,
  limit: number,
): Promise<AuditRow[]> {
  const first = since === '' ? 1 : await findAuditSince(sql, since);
  return first === undefined ? [] : pageAudit(sql, Math.max(after, first - 1), limit);
}

export const listAudit = defineOperation({
  summary: 'Who changed what, when and from where, and what was refused; newest first',
  roles: READERS,
  changes: false,
  input: z.object({
    since: z.string().optional().describe('an ISO 8601 time'),
    after: z.coerce
      .number()
      .int()
      .min(0)
      .optional()
      .describe('the number of an entry: those that follow it, oldest first'),
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
        hash: z.string().describe('chains it to the entry before'),
      }),
    ),
  }),
  async run(parts, { since, after, limit }) {
    const { catalog } = parts.authority;
    const from = since === undefined ? '' : readTime('since', since);
    const entries =
      after === undefined
        ? await queryAudit(catalog, from, limit)
        : await pageSince(catalog, from, after, limit);
    return { entries };
  },
});

const NOTED_HEAD = /^(\d{1,15}):([0-9a-f]{64})$/i;

export const verifyAudit = defineOperation({
  summary: 'Whether the audit log is whole, from its first entry to its last',
  roles: READERS,
  changes: false,
  input: z.object({
    head: z
      .string()
      .regex(NOTED_HEAD, 'NUMBER:HASH is allowed, as an earlier answer gave it')
      .optional()
      .describe('NUMBER:HASH of an earlier answer, which must be in the log still'),
  }),
  output: z.object({
    valid: z.boolean(),
    entries: z.number().describe('entries found whole, from the first on'),
    head: z
      .object({ number: z.number(), hash: z.string() })
      .describe('the last of them: note it down elsewhere'),
    fault: z
      .object({ number: z.number(), why: z.string() })
      .nullable()
      .describe('the first entry that is not what it was'),
  }),
  async run(parts, input) {
    const [, number = '', hash = ''] = NOTED_HEAD.exec(input.head ?? '') ?? [];
    const noted = hash ? { number: Number(number), hash: hash.toLowerCase() } : undefined;
    const verdict = await walkAudit(parts.authority.catalog, noted);
    return { valid: verdict.fault === null, ...verdict };
  },
});
