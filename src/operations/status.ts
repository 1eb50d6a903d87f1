/** One screen: health, clocks, suites, load. Floor 5. */
import { z } from 'zod';
import { listCertificates } from '../catalog/certificates.ts';
import { clock, readClocks, severity } from './clocks.ts';
import { defineOperation, READERS, REPOSITORY_READERS } from './operation.ts';
import { listRotations, rotation } from './rotations.ts';
import { describeSuites, suiteDescription } from './suites.ts';

export const showStatus = defineOperation({
  summary: 'Health, clocks, suites and load on one screen',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({
    health: z.enum(['ok', 'warning', 'error']),
    door: z.enum(['open', 'closed']).describe('closed while the revocation list is out of date'),
    url: z.string(),
    time: z.string(),
    clocks: z.array(clock),
    rotations: z.array(rotation),
    suites: z.array(suiteDescription),
    certificates: z.object({ valid: z.number(), expired: z.number(), revoked: z.number() }),
    load: z.object({
      uptimeSeconds: z.number(),
      connections: z.number(),
      requests: z.number(),
      refusals: z.number(),
      uploads: z.number(),
      memoryBytes: z.number(),
    }),
  }),
  async run(parts, _input, actor) {
    const now = parts.now();
    const clocks = await readClocks(parts, await parts.readers.findReadable(actor));
    const rows = await listCertificates(parts.authority.catalog);
    const revoked = rows.filter((row) => row.revoked_at !== null).length;
    const expired = rows.filter(
      (row) => row.revoked_at === null && Date.parse(row.not_after) <= now,
    ).length;
    const { activity } = parts;
    return {
      health: clocks.reduce<'ok' | 'warning' | 'error'>(
        (worst, one) => (severity[one.state] > severity[worst] ? one.state : worst),
        'ok',
      ),
      door: parts.authority.trust.isFresh(now) ? ('open' as const) : ('closed' as const),
      url: parts.url,
      time: new Date(now).toISOString(),
      clocks,
      // Who is left is for those who may look at hosts.
      rotations: READERS.includes(actor.role) ? await listRotations(parts) : [],
      suites: await describeSuites(parts, actor),
      certificates: { valid: rows.length - revoked - expired, expired, revoked },
      load: {
        uptimeSeconds: Math.floor((now - activity.startedAt) / 1000),
        connections: activity.connections,
        requests: activity.requests,
        refusals: activity.refusals,
        uploads: activity.uploads,
        memoryBytes: process.memoryUsage.rss(),
      },
    };
  },
});
