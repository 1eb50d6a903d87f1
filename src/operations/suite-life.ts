/** Operations on suites that change, and on suites that end. Floor 5. */
import { z } from 'zod';
import { RefusalError } from '../errors.ts';
import { releaseSuite } from '../fleet/groups.ts';
import { requireSigners } from '../repository/signers.ts';
import { removeSuite as remove } from '../repository/suite-end.ts';
import { setSuite as set } from '../repository/suite-settings.ts';
import { getSuite } from '../repository/suites.ts';
import { ADMINS, defineOperation } from './operation.ts';
import { suiteOptionsInput } from './suite-options.ts';
import { DAY_MS, describeSuite, suiteDescription } from './suites.ts';

/** A yes in JSON or in a query. */
const flag = z
  .union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')])
  .default(false);

export const setSuite = defineOperation({
  summary: 'Change what a suite is and has; a new publication, where anything changes',
  roles: ADMINS,
  changes: true,
  input: z.object({
    suite: z.string(),
    description: z.string().optional(),
    components: z.array(z.string()).optional(),
    architectures: z.array(z.string()).optional(),
    validForDays: z.coerce.number().int().min(1).max(3650).optional(),
    origin: z.string().optional().describe('only with forceIdentity'),
    label: z.string().optional().describe('only with forceIdentity'),
    codename: z.string().optional().describe('only with forceIdentity'),
    options: suiteOptionsInput.optional().describe('notAutomatic only with forceIdentity'),
    forceIdentity: flag.describe(
      'change what apt refuses on every host until an administrator agrees there',
    ),
    force: flag.describe('take out the packages that would have no place any more'),
  }),
  output: suiteDescription,
  subject: ({ suite, ...rest }) =>
    `${suite}: ${Object.keys(rest)
      .filter((name) => rest[name as keyof typeof rest] !== undefined)
      .join(', ')}`,
  async run(parts, input, actor) {
    const { suite, validForDays, force, forceIdentity, ...rest } = input;
    const settings = {
      ...rest,
      ...(validForDays === undefined ? {} : { validFor: validForDays * DAY_MS }),
    };
    if (Object.values(settings).every((value) => value === undefined)) {
      throw new RefusalError('INPUT_INVALID', 'nothing to set: name what is to change');
    }
    await getSuite(parts.repository, suite);
    await requireSigners(parts.repository, rest.options?.signers);
    await set(parts.repository, suite, { settings, force, forceIdentity, actor: actor.name });
    return describeSuite(parts, await getSuite(parts.repository, suite));
  },
});

export const removeSuite = defineOperation({
  summary: 'Remove a suite: hosts get it no more; its packages stay in the pool until a sweep',
  roles: ADMINS,
  changes: true,
  spendsReserve: true,
  input: z.object({
    suite: z.string(),
    force: flag.describe('although it lists packages, or groups of hosts name it'),
  }),
  output: z.object({
    suite: z.string(),
    packages: z.number().describe('that it listed'),
    groups: z.array(z.string()).describe('groups of hosts that named it, and do not any more'),
  }),
  subject: (input) => input.suite,
  run: async (parts, { suite, force }) =>
    releaseSuite(parts, suite, force, async (prepare) => {
      const { packages } = await remove(parts.repository, suite, { force }, prepare);
      return { suite, packages };
    }),
});
