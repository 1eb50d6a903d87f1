/** Operations on the revocation list. Floor 5. */
import { z } from 'zod';
import { exportCrls, issueNextCrl } from '../authority/crl.ts';
import { RefusalError } from '../errors.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const crl = z.object({
  number: z.number(),
  thisUpdate: z.string(),
  nextUpdate: z.string(),
  fresh: z.boolean(),
  entries: z.array(
    z.object({ serial: z.string(), revokedAt: z.string(), reason: z.string().nullable() }),
  ),
});

function currentCrl(parts: Parts) {
  const current = parts.authority.trust.crl;
  if (!current) throw new RefusalError('CRL_STALE', 'there is no revocation list yet');
  return current;
}

function describeCrl(parts: Parts): z.input<typeof crl> {
  const current = currentCrl(parts);
  return {
    number: current.number,
    thisUpdate: current.thisUpdate.toISOString(),
    nextUpdate: current.nextUpdate.toISOString(),
    fresh: parts.authority.trust.isFresh(parts.now()),
    entries: current.entries.map((entry) => ({
      serial: entry.serial,
      revokedAt: entry.revokedAt.toISOString(),
      reason: entry.reason ?? null,
    })),
  };
}

export const showCrl = defineOperation({
  summary: 'The revocation list in force',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: crl,
  run: async (parts) => describeCrl(parts),
});

export const refreshCrl = defineOperation({
  summary: 'Issue the next revocation list now',
  roles: ADMINS,
  changes: true,
  input: z.object({}),
  output: crl,
  async run(parts) {
    await issueNextCrl(parts.authority);
    return describeCrl(parts);
  },
});

export const exportCrl = defineOperation({
  summary: 'The revocation list in force, as PEM',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ pem: z.string() }),
  async run(parts) {
    currentCrl(parts);
    return { pem: exportCrls(parts.authority.trust) };
  },
});
