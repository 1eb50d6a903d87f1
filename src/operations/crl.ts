/** Operations on the revocation list. Floor 5. */
import { z } from 'zod';
import { exportCrls, renewCrls } from '../authority/crl.ts';
import { nameAuthority } from '../authority/foreign-lists.ts';
import { RefusalError } from '../errors.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const crl = z.object({
  number: z.number(),
  thisUpdate: z.string(),
  nextUpdate: z.string(),
  fresh: z.boolean(),
  entries: z.array(
    z.object({
      serial: z.string(),
      revokedAt: z.string(),
      reason: z.string().nullable(),
      authority: z.string(),
    }),
  ),
  lists: z
    .array(
      z.object({
        authority: z.string().describe('the name of the CA that signs it'),
        number: z.number().describe('0 where that CA does not number its lists'),
        thisUpdate: z.string(),
        nextUpdate: z.string(),
        revoked: z.number(),
      }),
    )
    .describe('one of each authority; the facts above are those of the first'),
  sources: z
    .array(
      z.object({
        source: z.string(),
        readAt: z.string().nullable().describe('when it last gave what could be used'),
        fault: z.string().nullable().describe('what was wrong at the last reading'),
        authorities: z.array(z.string()),
      }),
    )
    .describe("where the lists of a site's own authorities are read"),
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
    ...describeLists(parts),
    sources: (parts.authority.foreign?.sources ?? []).map(
      ({ name, readAt, fault, authorities }) => ({
        source: name,
        readAt: readAt === undefined ? null : new Date(readAt).toISOString(),
        fault: fault ?? null,
        authorities,
      }),
    ),
  };
}

function describeLists({ authority }: Parts): Pick<z.input<typeof crl>, 'entries' | 'lists'> {
  const found = authority.trust.authorities.flatMap((one) => {
    const list = authority.trust.listOf(one.fingerprint);
    return list ? [{ authority: nameAuthority(one), list }] : [];
  });
  return {
    entries: found.flatMap(({ authority: name, list }) =>
      list.entries.map((entry) => ({
        serial: entry.serial,
        revokedAt: entry.revokedAt.toISOString(),
        reason: entry.reason ?? null,
        authority: name,
      })),
    ),
    lists: found.map(({ authority: name, list }) => ({
      authority: name,
      number: list.number,
      thisUpdate: list.thisUpdate.toISOString(),
      nextUpdate: list.nextUpdate.toISOString(),
      revoked: list.serials.size,
    })),
  };
}

export const showCrl = defineOperation({
  summary: 'The revocation list in force, of each authority',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: crl,
  run: async (parts) => describeCrl(parts),
});

export const refreshCrl = defineOperation({
  summary: "Issue the next revocation list now, or read those of a site's own authorities again",
  roles: ADMINS,
  changes: true,
  spendsReserve: true,
  input: z.object({}),
  output: crl,
  async run(parts) {
    await renewCrls(parts.authority);
    const faults = parts.authority.foreign?.faults ?? '';
    if (faults !== '') throw new RefusalError('CRL_UNACCEPTABLE', faults);
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
