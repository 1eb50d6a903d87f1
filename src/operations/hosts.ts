/** Operations on the hosts that are recorded. Floor 5. */
import { z } from 'zod';
import { voidKits } from '../authority/enrol.ts';
import { checkName } from '../authority/profiles.ts';
import { findCertificates } from '../catalog/certificates.ts';
import { findHost, listHosts as queryHosts, type ReportedHostRow } from '../catalog/hosts.ts';
import { RefusalError } from '../errors.ts';
import { forgetHost, moveHost, recordHost } from '../fleet/groups.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

export const host = z.object({
  name: z.string(),
  group: z.string(),
  addedAt: z.string(),
  certificate: z.string().nullable().describe('the serial of its newest valid certificate'),
  notAfter: z.string().nullable(),
  reportedAt: z.string().nullable().describe('when it said last what it has installed'),
  serverCa: z.string().nullable().describe('SHA-256 of its ca.crt'),
  keyring: z.string().nullable().describe('SHA-256 of its keyring file'),
  client: z.string().nullable().describe('the version of its client package'),
});

export const named = z.object({ host: z.string() });

export async function newestValid(parts: Parts, name: string) {
  // Where certificates come from elsewhere, those of our own authority count for nothing.
  if (parts.authority.foreign) return undefined;
  const rows = await findCertificates(parts.authority.catalog, name);
  return rows.find(
    (row) =>
      row.name === name &&
      row.role === 'host' &&
      row.revoked_at === null &&
      Date.parse(row.not_after) > parts.now(),
  );
}

export async function describeHost(
  parts: Parts,
  row: ReportedHostRow,
): Promise<z.input<typeof host>> {
  const certificate = await newestValid(parts, row.name);
  return {
    name: row.name,
    group: row.group_name,
    addedAt: row.added_at,
    certificate: certificate?.serial ?? null,
    notAfter: certificate?.not_after ?? null,
    reportedAt: row.reported_at,
    serverCa: row.reported_ca,
    keyring: row.reported_keyring,
    client: row.reported_client,
  };
}

export async function getHost(parts: Parts, name: string) {
  const row = await findHost(parts.authority.catalog, name);
  if (row) return row;
  throw new RefusalError('HOST_UNKNOWN', `there is no host ${JSON.stringify(name.slice(0, 80))}`);
}

export const listHosts = defineOperation({
  summary: 'Every host with its newest valid certificate',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ hosts: z.array(host) }),
  async run(parts) {
    const rows = await queryHosts(parts.authority.catalog);
    return { hosts: await Promise.all(rows.map((row) => describeHost(parts, row))) };
  },
});

export const showHost = defineOperation({
  summary: 'One host',
  roles: READERS,
  changes: false,
  input: named,
  output: host,
  run: async (parts, input) => describeHost(parts, await getHost(parts, input.host)),
});

export const setHost = defineOperation({
  summary: 'Put a host into another group; in force at its next request',
  roles: ADMINS,
  changes: true,
  input: z.object({ ...named.shape, group: z.string() }),
  output: host,
  subject: (input) => `${input.host}: group ${input.group}`,
  async run(parts, input) {
    const { host: name, group } = input;
    // Of a host that only the site's own authority vouches for nothing is recorded before.
    if (parts.authority.foreign) {
      const added_at = new Date(parts.now()).toISOString();
      await recordHost(parts, { name: checkName(name), group_name: group, added_at });
    }
    await moveHost(parts, name, group);
    return describeHost(parts, await getHost(parts, name));
  },
});

export const removeHost = defineOperation({
  summary: 'Forget a host and void its kits; its certificates are to be revoked first',
  roles: ADMINS,
  changes: true,
  input: named,
  output: z.object({ host: z.string() }),
  subject: (input) => input.host,
  async run(parts, input) {
    const certificate = await newestValid(parts, input.host);
    if (certificate) {
      throw new RefusalError(
        'INPUT_INVALID',
        `host ${input.host} has a valid certificate ${certificate.serial}: revoke it first`,
      );
    }
    await getHost(parts, input.host);
    await voidKits(parts.authority, input.host);
    await forgetHost(parts, input.host);
    return { host: input.host };
  },
});
