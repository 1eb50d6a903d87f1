/** Proving the whole, and watching that while it goes on. Floor 5. */
import { z } from 'zod';
import { checkRepository } from '../repository/check.ts';
import type { Check } from '../repository/check-parts.ts';
import type { CheckRequest, CheckState } from '../repository/check-runs.ts';
import { FINDING_CODES, Findings } from '../repository/findings.ts';
import { repairFindings } from '../repository/repair.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const report = z.object({
  findings: z
    .array(
      z.object({
        kind: z.enum(['fault', 'garbage']),
        code: z.enum(FINDING_CODES),
        subject: z.string().describe('where it is'),
        why: z.string().describe('what is wrong there'),
      }),
    )
    .describe('the first 1,000 of them'),
  faults: z.number().describe('all of them; 0 where everything is as it should be'),
  garbage: z
    .object({ files: z.number(), packages: z.number(), bytes: z.number() })
    .describe('what nothing refers to, for a sweep to free'),
  read: z.object({
    packages: z.number(),
    publications: z.number(),
    indexes: z.number(),
    bytes: z.number(),
  }),
  repaired: z.array(z.string()).describe('what was put right'),
});

const state = z.object({
  running: z.boolean(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  quick: z.boolean(),
  repair: z.boolean(),
  progress: z
    .object({ step: z.string(), done: z.number(), total: z.number() })
    .nullable()
    .describe('how far it has come; null where none is under way'),
  report: report.nullable().describe('null until it has come to its end'),
  failure: z.string().nullable().describe('why it did not come to its end'),
});

const iso = (time: number | null): string | null =>
  time === null ? null : new Date(time).toISOString();

function describeState({
  request,
  startedAt,
  endedAt,
  ...rest
}: CheckState): z.input<typeof state> {
  const { quick = false, repair = false } = request ?? {};
  return { ...rest, startedAt: iso(startedAt), endedAt: iso(endedAt), quick, repair };
}

function start(parts: Parts, request: CheckRequest): z.input<typeof state> {
  const { checks, repository, config } = parts;
  checks.start(request, new Findings(), async (findings, { quick, repair }, signal) => {
    const check: Check = {
      ...{ parts: repository, findings, quick, signal },
      ...{ mirrors: [], damaged: [], broken: [] },
    };
    await checkRepository(check);
    if (repair) await repairFindings(check, repository.publisher, config.data);
  });
  return describeState(checks.state);
}

const quick = z
  .union([z.boolean(), z.literal('true').transform(() => true)])
  .default(false)
  .describe('only what the catalog, the signatures and the sizes of files say: no bytes are read');

export const startCheck = defineOperation({
  summary: 'Begin to prove the whole: catalog, storage, indexes and signatures against each other',
  roles: READERS,
  changes: false,
  input: z.object({ quick }),
  output: state,
  run: async (parts, input) => start(parts, { quick: input.quick, repair: false }),
});

export const repairCheck = defineOperation({
  summary: 'The same, and put right what can be',
  roles: ADMINS,
  changes: true,
  input: z.object({ quick }),
  output: state,
  run: async (parts, input) => start(parts, { quick: input.quick, repair: true }),
});

export const showCheck = defineOperation({
  summary: 'The check that is under way, or the report of the last one',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: state,
  run: async (parts) => describeState(parts.checks.state),
});
