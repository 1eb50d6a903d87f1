/** Operations on publications: looked at, compared, gone back to. Floor 5. */
import { z } from 'zod';
import type { PublicationSummary } from '../catalog/publications.ts';
import { countByComponent } from '../catalog/standing.ts';
import { type Comparison, comparePublications } from '../repository/compare.ts';
import {
  getPublication,
  isSwept,
  listPublications as readPublications,
} from '../repository/publications.ts';
import { rollBack } from '../repository/rollback.ts';
import { getSuite } from '../repository/suites.ts';
import { ADMINS, defineOperation, REPOSITORY_READERS } from './operation.ts';
import { describeStanding, standingDescription } from './package-moves.ts';
import { getReadableSuite } from './suites.ts';

const publication = z.object({
  suite: z.string(),
  number: z.number(),
  date: z.string(),
  validUntil: z.string(),
  publishedAt: z.string().describe('in force from then on: what snapshots go by'),
  reason: z.string(),
  actor: z.string(),
});

function describePublication(row: PublicationSummary): z.input<typeof publication> {
  return {
    suite: row.suite,
    number: row.number,
    date: row.date,
    validUntil: row.valid_until,
    publishedAt: row.created_at,
    reason: row.reason,
    actor: row.actor,
  };
}

export const listPublications = defineOperation({
  summary: 'The publications of a suite, newest first',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ suite: z.string() }),
  output: z.object({ publications: z.array(publication) }),
  async run(parts, input, actor) {
    await getReadableSuite(parts, actor, input.suite);
    const rows = await readPublications(parts.repository, input.suite);
    return {
      publications: rows.map(describePublication),
    };
  },
});

export const showPublication = defineOperation({
  summary: 'One publication, with the Release file that was signed',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ suite: z.string(), number: z.coerce.number().int().min(1) }),
  output: z.object({
    ...publication.shape,
    release: z.string().describe("'' where it was swept"),
    counts: z
      .array(z.object({ component: z.string(), packages: z.number() }))
      .nullable()
      .describe('what it lists; null where that was swept'),
  }),
  async run(parts, input, actor) {
    await getReadableSuite(parts, actor, input.suite);
    const row = await getPublication(parts.repository, input.suite, input.number);
    const counts = isSwept(row)
      ? null
      : await countByComponent(parts.repository.catalog, input.suite, input.number);
    return { ...describePublication(row), release: row.release, counts };
  },
});

const offer = z.object({
  package: z.string(),
  architecture: z.string(),
  component: z.string(),
  from: z.string(),
  to: z.string(),
});

const comparison = z.object({
  added: z.array(standingDescription),
  removed: z.array(standingDescription),
  upgraded: z.array(offer).describe('packages whose newest version is a newer one'),
  downgraded: z.array(offer).describe('packages whose newest version is an older one'),
  phased: z.array(
    z.object({
      ...standingDescription.shape,
      from: z.number().nullable().describe('Phased-Update-Percentage before; null for everybody'),
    }),
  ),
});

function describeComparison(made: Comparison): z.input<typeof comparison> {
  return {
    added: made.added.map(describeStanding),
    removed: made.removed.map(describeStanding),
    upgraded: made.upgraded,
    downgraded: made.downgraded,
    phased: made.phased.map(({ row, from }) => ({ ...describeStanding(row), from })),
  };
}

const number = z.coerce.number().int().min(1);

export const diffPublications = defineOperation({
  summary: 'What one publication of a suite lists otherwise than another',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ suite: z.string(), from: number, to: number }),
  output: z.object({ suite: z.string(), from: number, to: number, ...comparison.shape }),
  async run(parts, { suite, from, to }, actor) {
    await getReadableSuite(parts, actor, suite);
    const made = await comparePublications(parts.repository, suite, { from, to });
    return { suite, from, to, ...describeComparison(made) };
  },
});

export const rollBackSuite = defineOperation({
  summary: 'Publish again what a publication listed, with a newer Date',
  roles: ADMINS,
  changes: true,
  input: z.object({
    suite: z.string(),
    to: number.describe('the publication whose contents are wanted'),
    reason: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'one line of printable characters'),
  }),
  output: z.object({
    suite: z.string(),
    to: number,
    publication: z.number().describe('that lists it now: a new one, where anything changed'),
    ...comparison.shape,
  }),
  subject: ({ suite, to, reason }) => `${suite} to ${to}: ${reason}`,
  async run(parts, { suite, to, reason }, actor) {
    await getSuite(parts.repository, suite);
    const request = { to, reason, actor: actor.name };
    const { publication, ...made } = await rollBack(parts.repository, suite, request);
    return { suite, to, publication, ...describeComparison(made) };
  },
});
