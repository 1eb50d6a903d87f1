/** Operations on groups of hosts. Floor 5. */
import { z } from 'zod';
import { checkName } from '../authority/profiles.ts';
import { type GroupRow, listHostsOfGroup, listGroups as queryGroups } from '../catalog/groups.ts';
import { RefusalError } from '../errors.ts';
import {
  createGroup as create,
  getGroup,
  readSuites,
  removeGroup as remove,
  setGroup as set,
} from '../fleet/groups.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const group = z.object({
  name: z.string(),
  suites: z.array(z.string()).nullable().describe('what its hosts may read; null for every suite'),
  description: z.string(),
  createdAt: z.string(),
  hosts: z.array(z.string()),
});

const named = z.object({ group: z.string() });

const description = z
  .string()
  .max(200)
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]*$/u, 'one line of printable characters')
  .optional();

const suites = z
  .array(z.string())
  .min(1)
  .nullable()
  .optional()
  .describe('what its hosts may read; null for every suite');

async function describeGroup(parts: Parts, row: GroupRow): Promise<z.input<typeof group>> {
  return {
    name: row.name,
    suites: readSuites(row),
    description: row.description,
    createdAt: row.created_at,
    hosts: await listHostsOfGroup(parts.repository.catalog, row.name),
  };
}

/** A group and what it may read from now on, for the audit log. */
function spellChange(input: { group: string; suites?: string[] | null | undefined }): string {
  if (input.suites === undefined) return input.group;
  return `${input.group}: ${input.suites?.join(', ') ?? 'every suite'}`;
}

export const createGroup = defineOperation({
  summary: 'Make a group of hosts that may read these suites, or every suite',
  roles: ADMINS,
  changes: true,
  input: z.object({ ...named.shape, suites, description }),
  output: group,
  subject: spellChange,
  async run(parts, input) {
    const name = checkName(input.group);
    return describeGroup(parts, await create(parts, name, input));
  },
});

export const listGroups = defineOperation({
  summary: 'Every group with what it may read and the hosts in it',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ groups: z.array(group) }),
  async run(parts) {
    const rows = await queryGroups(parts.repository.catalog);
    return { groups: await Promise.all(rows.map((row) => describeGroup(parts, row))) };
  },
});

export const showGroup = defineOperation({
  summary: 'One group',
  roles: READERS,
  changes: false,
  input: named,
  output: group,
  run: async (parts, input) => describeGroup(parts, await getGroup(parts, input.group)),
});

export const setGroup = defineOperation({
  summary: 'Change what a group may read; in force at the next request of its hosts',
  roles: ADMINS,
  changes: true,
  input: z.object({ ...named.shape, suites, description }),
  output: group,
  subject: spellChange,
  async run(parts, input) {
    if (input.suites === undefined && input.description === undefined) {
      throw new RefusalError('INPUT_INVALID', 'nothing to set: suites or description');
    }
    return describeGroup(parts, await set(parts, input.group, input));
  },
});

export const removeGroup = defineOperation({
  summary: 'Remove a group that no host is in',
  roles: ADMINS,
  changes: true,
  input: named,
  output: named,
  subject: (input) => input.group,
  async run(parts, input) {
    await remove(parts, input.group);
    return { group: input.group };
  },
});
