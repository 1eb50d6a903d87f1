/** Operations on hosts. Floor 5. */
import { z } from 'zod';
import { checkName } from '../authority/profiles.ts';
import { readServerCa } from '../authority/server-certificate.ts';
import { findCertificates } from '../catalog/certificates.ts';
import { deleteHost, findHost, insertHost, listHosts as queryHosts } from '../catalog/hosts.ts';
import { listSuites } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import { listAptFiles } from '../fleet/apt-files.ts';
import { renderAptScript } from '../fleet/apt-script.ts';
import { readSuiteRow } from '../repository/suites.ts';
import { exportKeyring } from '../signing/key.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const host = z.object({
  name: z.string(),
  group: z.string(),
  addedAt: z.string(),
  certificate: z.string().nullable().describe('the serial of its newest valid certificate'),
  notAfter: z.string().nullable(),
});

const named = z.object({ host: z.string() });

async function newestValid(parts: Parts, name: string) {
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

async function describeHost(
  parts: Parts,
  row: { name: string; group_name: string; added_at: string },
): Promise<z.input<typeof host>> {
  const certificate = await newestValid(parts, row.name);
  return {
    name: row.name,
    group: row.group_name,
    addedAt: row.added_at,
    certificate: certificate?.serial ?? null,
    notAfter: certificate?.not_after ?? null,
  };
}

async function getHost(parts: Parts, name: string) {
  const row = await findHost(parts.authority.catalog, name);
  if (row) return row;
  throw new RefusalError('HOST_UNKNOWN', `there is no host ${JSON.stringify(name.slice(0, 80))}`);
}

export const addHost = defineOperation({
  summary: 'Record a host',
  roles: ADMINS,
  changes: true,
  input: z.object({ host: z.string() }),
  output: host,
  subject: (input) => input.host,
  async run(parts, input) {
    const name = checkName(input.host);
    const added_at = new Date(parts.now()).toISOString();
    const row = { name, group_name: 'default', added_at };
    if (!(await insertHost(parts.authority.catalog, row))) {
      throw new RefusalError('HOST_EXISTS', `host ${name} exists already`);
    }
    return describeHost(parts, row);
  },
});

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

export const removeHost = defineOperation({
  summary: 'Forget a host; its certificates stay as they are, revoke them first',
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
    await deleteHost(parts.authority.catalog, input.host);
    return { host: input.host };
  },
});

export const showHostApt = defineOperation({
  summary: 'The files with which a host reaches this repository, and a script that writes them',
  roles: ADMINS,
  changes: false,
  input: z.object({
    ...named.shape,
    key: z
      .string()
      .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'a path of printable characters')
      .optional()
      .describe('where the script finds the private key; NAME.key'),
    root: z
      .string()
      // Signed-By takes a blank or a comma for the end of a path; apt.conf a quotation mark.
      .regex(/^\/[^",\s\p{C}]*[^",\s\p{C}/]$/u, 'an absolute path without blank, comma and "')
      .optional()
      .describe('a directory that stands in for /, to try apt without touching the system'),
  }),
  output: z.object({
    host: z.string(),
    files: z.array(
      z.object({
        path: z.string(),
        mode: z.string(),
        owner: z.string().nullable(),
        content: z.string().nullable(),
      }),
    ),
    script: z.string(),
  }),
  async run(parts, input) {
    const isForeign = parts.authority.foreign !== undefined;
    if (isForeign) checkName(input.host);
    else await getHost(parts, input.host);
    const certificate = await newestValid(parts, input.host);
    if (!certificate && !isForeign) {
      throw new RefusalError(
        'CERTIFICATE_UNKNOWN',
        `host ${input.host} has no valid certificate: issue one first`,
      );
    }
    const suites = (await listSuites(parts.repository.catalog)).map(readSuiteRow);
    const source = {
      host: input.host,
      url: parts.url,
      suites,
      certificate: certificate?.pem ?? null,
      ca: await readServerCa(parts.authority),
      keyring: parts.repository.signingKeys.map((key) => exportKeyring(key).armored).join(''),
    };
    const root = input.root ?? '';
    const files = listAptFiles(source, root);
    const key = input.key ?? `${input.host}.key`;
    return { host: input.host, files, script: renderAptScript(input.host, files, key, root) };
  },
});
