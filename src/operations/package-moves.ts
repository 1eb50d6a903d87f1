/** Operations on what suites list: packages copied, removed, phased. Floor 5. */
import { z } from 'zod';
import type { StandingPackage } from '../catalog/standing.ts';
import { matchesPattern } from '../deb/names.ts';
import { RefusalError } from '../errors.ts';
import { copyPackages as copy } from '../repository/copy.ts';
import { spellWanted } from '../repository/standing.ts';
import { getSuite } from '../repository/suites.ts';
import { phasePackages as phase, removePackages as remove } from '../repository/withdraw.ts';
import { type Actor, ADMINS, defineOperation, type Parts } from './operation.ts';
import { checkUploadSuite } from './packages.ts';

const wanted = z
  .object({
    package: z.string().min(1).max(255),
    version: z.string().min(1).max(255).optional(),
    architecture: z.string().min(1).max(64).optional(),
  })
  .strict();

/** One that says which version: what is removed is not guessed. */
const exact = z.object({ ...wanted.shape, version: z.string().min(1).max(255) }).strict();

const MAX_WANTED = 10_000;

const standing = z.object({
  package: z.string(),
  version: z.string(),
  architecture: z.string(),
  component: z.string(),
  phased: z.number().nullable().describe('Phased-Update-Percentage; null for everybody'),
});

export const standingDescription = standing;

export function describeStanding(row: StandingPackage): z.input<typeof standing> {
  const { name, version, architecture, listed_in, phased } = row;
  return { package: name, version, architecture, component: listed_in, phased };
}

/** @throws RefusalError PACKAGE_FORBIDDEN */
function checkMayAdd({ name: actor, packages }: Actor, name: string): void {
  if (packages === null || packages.some((pattern) => matchesPattern(pattern, name))) return;
  throw new RefusalError(
    'PACKAGE_FORBIDDEN',
    `${actor} may add the packages ${packages.join(', ')}, not ${name}`,
  );
}

/**
 * An uploader may put into a suite what they may read and may add there. A suite that asks for
 * signatures asks for more than a copy shows.
 */
async function checkMayCopy(
  parts: Parts,
  actor: Actor,
  { from, to }: { from: string; to: string },
): Promise<void> {
  checkUploadSuite(actor, to);
  await getSuite(parts.repository, from);
  await parts.readers.checkSuite(actor, from);
  const { options } = await getSuite(parts.repository, to);
  if (actor.role === 'admin' || options.signers === null) return;
  throw new RefusalError(
    'SUITE_FORBIDDEN',
    `suite ${to} takes what one of its signers has signed: copying into it needs the role admin; ${actor.name} is ${actor.role}`,
  );
}

export const copyPackages = defineOperation({
  summary: 'List packages of one suite in another too: one publication, whole or not at all',
  roles: ['uploader', 'admin'],
  changes: true,
  input: z.object({
    packages: z
      .array(wanted)
      .max(MAX_WANTED)
      .default([])
      .describe('the newest version where none is named, every architecture where none is'),
    all: z.boolean().default(false).describe('everything that the suite lists'),
    from: z.string(),
    to: z.string(),
    component: z.string().optional().describe('default: the one in which each stands'),
    withSource: z.boolean().default(false).describe('the source package of each too'),
  }),
  output: z.object({
    from: z.string(),
    to: z.string(),
    publication: z.number().describe('of the suite that they were copied to'),
    copied: z.array(standing),
    unchanged: z.array(standing).describe('listed there before'),
    skipped: z.array(standing).describe('of an architecture that suite does not have'),
  }),
  subject: ({ packages, all, from, to }) =>
    `${from} to ${to}: ${all ? 'all' : packages.map(spellWanted).join(' ').slice(0, 1000)}`,
  async run(parts, input, actor) {
    const { packages, all, from, to, component, withSource } = input;
    if (all === packages.length > 0) {
      throw new RefusalError('INPUT_INVALID', 'packages: name some, or ask for all');
    }
    await checkMayCopy(parts, actor, { from, to });
    const result = await copy(parts.repository, {
      ...{ from, to, component, withSource, actor: actor.name },
      packages: all ? null : packages,
      checkName: (name) => checkMayAdd(actor, name),
    });
    return {
      ...{ from, to, publication: result.publication },
      copied: result.copied.map(describeStanding),
      unchanged: result.unchanged.map(describeStanding),
      skipped: result.skipped.map(describeStanding),
    };
  },
});

const place = {
  suite: z.string(),
  packages: z
    .array(exact)
    .min(1)
    .max(MAX_WANTED)
    .describe('every architecture where none is named'),
  component: z.string().optional().describe('default: every component'),
};

const spellPlace = (input: { suite: string; packages: { package: string }[] }): string =>
  `${input.suite}: ${input.packages.map(spellWanted).join(' ').slice(0, 1000)}`;

export const removePackages = defineOperation({
  summary: 'Take packages out of a suite; publications of before list them still',
  roles: ADMINS,
  changes: true,
  spendsReserve: true,
  input: z.object(place),
  output: z.object({
    suite: z.string(),
    publication: z.number(),
    removed: z.array(standing),
  }),
  subject: spellPlace,
  async run(parts, { suite, packages, component }, actor, note) {
    await getSuite(parts.repository, suite);
    const request = { suite, packages, component, actor: actor.name, notes: [note] };
    const { removed, publication } = await remove(parts.repository, request);
    return { suite, publication, removed: removed.map(describeStanding) };
  },
});

export const phasePackages = defineOperation({
  summary: 'Say what share of hosts takes a version when it upgrades; 100 is everybody',
  roles: ADMINS,
  changes: true,
  input: z.object({ ...place, percentage: z.coerce.number().int().min(0).max(100) }),
  output: z.object({ suite: z.string(), publication: z.number(), phased: z.array(standing) }),
  subject: (input) => `${spellPlace(input)} ${input.percentage} %`,
  async run(parts, { suite, packages, component, percentage }, actor, note) {
    await getSuite(parts.repository, suite);
    const place = { suite, packages, component };
    const request = { ...place, percentage, actor: actor.name, notes: [note] };
    const { phased, publication } = await phase(parts.repository, request);
    return { suite, publication, phased: phased.map(describeStanding) };
  },
});
