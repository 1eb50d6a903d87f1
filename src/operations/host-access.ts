/** Operations that give a host what it needs to reach the repository: its kit, its files. Floor 5. */
import { z } from 'zod';
import { requireOwnAuthority } from '../authority/authority.ts';
import { checkKit, issueEnrolment } from '../authority/enrol.ts';
import { checkName } from '../authority/profiles.ts';
import { readServerCa } from '../authority/server-certificate.ts';
import { findHost } from '../catalog/hosts.ts';
import { listSuites } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import { type AptSource, listAptFiles } from '../fleet/apt-files.ts';
import { renderAptScript } from '../fleet/apt-script.ts';
import { DEFAULT_GROUP, getGroup, holdGroup, moveHost, readSuites } from '../fleet/groups.ts';
import { renderKit } from '../fleet/kit.ts';
import { hasSources } from '../repository/index-definitions.ts';
import { readSuiteRow, type Suite } from '../repository/suites.ts';
import { exportPublicKeys } from '../signing/signing-key.ts';
import { describeHost, getHost, host, named, newestValid } from './hosts.ts';
import { ADMINS, defineOperation, type Parts } from './operation.ts';
import { publishHostPackages } from './own-packages.ts';

/** The suites that the hosts of a group may read. */
async function listReadable(parts: Parts, group: string): Promise<Suite[]> {
  const named = readSuites(await getGroup(parts, group));
  const suites = (await listSuites(parts.repository.catalog)).map(readSuiteRow);
  return suites.filter((suite) => named === null || named.includes(suite.name));
}

/** What a host is told of this repository; its certificate where it has one. */
async function describeSource(
  parts: Parts,
  { name, group }: { name: string; group: string },
  certificate: string | null,
): Promise<AptSource> {
  return {
    host: name,
    url: parts.url,
    suites: (await listReadable(parts, group)).map((suite) => ({
      ...suite,
      hasSources: hasSources(parts.repository.live.get(suite.name)),
    })),
    certificate,
    ca: await readServerCa(parts.authority),
    keyring: exportPublicKeys(parts.repository.signingKeys).armored,
  };
}

/** The group of a host that is there, or the one that a new host is put into. */
async function chooseGroup(
  parts: Parts,
  { host: name, group, again }: { host: string; group?: string | undefined; again: boolean },
): Promise<string> {
  await checkKit(parts.authority.catalog, name, again);
  if (!again) return group ?? DEFAULT_GROUP;
  if (group !== undefined) await moveHost(parts, name, group);
  return (await getHost(parts, name)).group_name;
}

export const addHost = defineOperation({
  summary: 'Record a host, and make the kit with which it enrols itself within the hour',
  roles: ADMINS,
  changes: true,
  input: z.object({
    ...named.shape,
    group: z.string().optional().describe('the group it is in; "default" for a new host'),
    again: z.boolean().default(false).describe('a new kit for a host that is there'),
  }),
  output: z.object({
    ...host.shape,
    kit: z.string().describe('a shell script; it holds a private key that is good once'),
    kitExpires: z.string(),
  }),
  subject: (input) => input.host,
  async run(parts, input, actor) {
    const name = checkName(input.host);
    requireOwnAuthority(parts.authority);
    // First what may fail and be repeated without a trace.
    const group = await chooseGroup(parts, input);
    const source = await describeSource(parts, { name, group }, null);
    const suites = source.suites.map((suite) => suite.name);
    await publishHostPackages(parts, suites, { actor: actor.name, upgrade: false });
    const made = { name, group, again: input.again, issuedBy: actor.name };
    const { certificate, key } = await holdGroup(parts, group, () =>
      issueEnrolment(parts.authority, made),
    );
    const kit = renderKit(source, listAptFiles(source, ''), {
      certificate: certificate.pem,
      key,
      notBefore: Date.parse(certificate.not_before),
      notAfter: Date.parse(certificate.not_after),
    });
    const row = await getHost(parts, name);
    return { ...(await describeHost(parts, row)), kit, kitExpires: certificate.not_after };
  },
});

/** A host that a site's own authority vouches for needs no record. */
async function describeForeignHost(
  parts: Parts,
  name: string,
): Promise<{ name: string; group: string }> {
  const row = await findHost(parts.authority.catalog, checkName(name));
  return { name, group: row?.group_name ?? DEFAULT_GROUP };
}

export const showHostApt = defineOperation({
  summary: 'The files with which a host reaches what it may read, and a script that writes them',
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
    const { name, group } = isForeign
      ? await describeForeignHost(parts, input.host)
      : await getHost(parts, input.host).then((row) => ({ name: row.name, group: row.group_name }));
    const certificate = await newestValid(parts, input.host);
    if (!certificate && !isForeign) {
      throw new RefusalError(
        'CERTIFICATE_UNKNOWN',
        `host ${input.host} has no valid certificate: issue one first`,
      );
    }
    const source = await describeSource(parts, { name, group }, certificate?.pem ?? null);
    const root = input.root ?? '';
    const files = listAptFiles(source, root);
    const key = input.key ?? `${input.host}.key`;
    return { host: input.host, files, script: renderAptScript(input.host, files, key, root) };
  },
});
