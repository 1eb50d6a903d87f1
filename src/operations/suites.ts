/** Operations on suites and their publications. Floor 5. */
import { z } from 'zod';
import { countPackages } from '../catalog/packages.ts';
import { listSuites as querySuites } from '../catalog/suites.ts';
import { signSuiteAgain } from '../repository/publications.ts';
import { requireSigners } from '../repository/signers.ts';
import { omitUndefined } from '../repository/suite-settings.ts';
import { createSuite as create, getSuite, readSuiteRow, type Suite } from '../repository/suites.ts';
import {
  type Actor,
  ADMINS,
  defineOperation,
  type Parts,
  REPOSITORY_READERS,
} from './operation.ts';
import { suiteOptions, suiteOptionsInput } from './suite-options.ts';

export const DAY_MS = 86_400_000;

const suite = z.object({
  name: z.string(),
  codename: z.string(),
  origin: z.string(),
  label: z.string(),
  description: z.string(),
  components: z.array(z.string()),
  architectures: z.array(z.string()),
  validForSeconds: z.number().describe('from Date to Valid-Until'),
  options: suiteOptions,
  packages: z.number(),
  publication: z.number().describe('the number of the current publication'),
  date: z.string().nullable(),
  validUntil: z.string().nullable(),
});

/** A suite as every face shows it. */
export async function describeSuite(parts: Parts, from: Suite): Promise<z.input<typeof suite>> {
  const { validFor, ...rest } = from;
  const live = parts.repository.live.get(from.name);
  return {
    ...rest,
    options: {
      ...rest.options,
      hashes: [...rest.options.hashes],
      signers: rest.options.signers && [...rest.options.signers],
    },
    validForSeconds: validFor / 1000,
    packages: await countPackages(parts.repository.catalog, from.name),
    date: live ? new Date(live.date).toISOString() : null,
    validUntil: live ? new Date(live.validUntil).toISOString() : null,
  };
}

/** Every suite that somebody may read. */
export async function describeSuites(parts: Parts, actor: Actor): Promise<z.input<typeof suite>[]> {
  const mayRead = await parts.readers.findReadable(actor);
  const rows = (await querySuites(parts.repository.catalog)).filter((row) => mayRead(row.name));
  return Promise.all(rows.map((row) => describeSuite(parts, readSuiteRow(row))));
}

/** @throws RefusalError SUITE_UNKNOWN, SUITE_FORBIDDEN */
export async function getReadableSuite(parts: Parts, actor: Actor, name: string): Promise<Suite> {
  const found = await getSuite(parts.repository, name);
  await parts.readers.checkSuite(actor, name);
  return found;
}

export const suiteDescription = suite;

export const createSuite = defineOperation({
  summary: 'Make a suite with an identity that never changes by itself, and publish it empty',
  roles: ADMINS,
  changes: true,
  input: z.object({
    name: z.string(),
    origin: z.string(),
    label: z.string(),
    codename: z.string().optional(),
    description: z.string().default(''),
    components: z.array(z.string()).default(['main']),
    architectures: z.array(z.string()).default(['amd64', 'arm64']),
    validForDays: z.coerce.number().int().min(1).max(3650).optional(),
    options: suiteOptionsInput.optional(),
  }),
  output: suite,
  subject: (input) => input.name,
  async run(parts, input, actor) {
    const { validForDays, codename, options = {}, ...definition } = input;
    const configured = parts.config.values['suite.validFor'];
    const validFor = validForDays === undefined ? configured : validForDays * DAY_MS;
    await requireSigners(parts.repository, options.signers);
    await create(parts.repository, {
      ...definition,
      codename: codename ?? input.name,
      validFor,
      options: omitUndefined(options),
    });
    await signSuiteAgain(parts.repository, input.name, actor.name, 'create suite');
    return describeSuite(parts, await getSuite(parts.repository, input.name));
  },
});

export const listSuites = defineOperation({
  summary: 'Every suite',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ suites: z.array(suite) }),
  run: async (parts, _input, actor) => ({ suites: await describeSuites(parts, actor) }),
});

export const showSuite = defineOperation({
  summary: 'One suite',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ suite: z.string() }),
  output: suite,
  run: async (parts, input, actor) =>
    describeSuite(parts, await getReadableSuite(parts, actor, input.suite)),
});

export const publishSuite = defineOperation({
  summary: 'Sign a suite again now: a new publication of the same contents',
  roles: ADMINS,
  changes: true,
  input: z.object({ suite: z.string() }),
  output: z.object({ suite: z.string(), publication: z.number() }),
  subject: (input) => input.suite,
  async run(parts, input, actor) {
    const reason = 'sign again';
    const made = await signSuiteAgain(parts.repository, input.suite, actor.name, reason);
    return { suite: input.suite, publication: made.number };
  },
});
