/** Operations that the bearer of a certificate asks for about itself. Floor 5. */
import { z } from 'zod';
import { enrolHost as enrol, getCertificate } from '../authority/enrol.ts';
import { ROLES } from '../authority/profiles.ts';
import { chooseRenewal, renewCertificate as renew } from '../authority/renew.ts';
import { issueServerCertificate } from '../authority/server-certificate.ts';
import type { CertificateRow } from '../catalog/certificates.ts';
import {
  findInstalled,
  type InstalledPackage,
  replaceHostPackages,
} from '../catalog/host-packages.ts';
import { recordReport } from '../catalog/hosts.ts';
import { RefusalError } from '../errors.ts';
import { readCertificate } from '../pki/certificate.ts';
import { type Actor, ADMINS, defineOperation, type Parts } from './operation.ts';

const request = z.object({ csr: z.string().describe('PKCS#10, PEM; only its key is used') });

const issued = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  serial: z.string(),
  notBefore: z.string(),
  notAfter: z.string(),
  pem: z.string().describe('the certificate, then any intermediate'),
});

const describeIssued = (row: CertificateRow): z.input<typeof issued> => ({
  name: row.name,
  role: row.role as (typeof ROLES)[number],
  serial: row.serial,
  notBefore: row.not_before,
  notAfter: row.not_after,
  pem: row.pem,
});

/** @throws RefusalError INPUT_INVALID for the directory's owner, who needs no certificate. */
function serialOf(actor: Actor): string {
  if (actor.serial !== null) return actor.serial;
  throw new RefusalError('INPUT_INVALID', 'the local command line has no certificate of its own');
}

export const enrolHost = defineOperation({
  summary: 'The certificate of the host that a kit was made for; uses up the enrolment certificate',
  roles: ['enrolment'],
  changes: true,
  input: request,
  output: issued,
  async run(parts, input, actor) {
    actor.confirm();
    return describeIssued(await enrol(parts.authority, serialOf(actor), input.csr));
  },
});

export const renewCertificate = defineOperation({
  summary: "Another certificate of the caller's own identity; the old one is revoked a day later",
  roles: ROLES,
  changes: true,
  input: request,
  output: issued,
  async run(parts, input, actor) {
    actor.confirm();
    return describeIssued(await renew(parts.authority, serialOf(actor), input.csr));
  },
});

export const showSelf = defineOperation({
  summary: 'The certificate that the caller shows, and when it is to be renewed',
  roles: ROLES,
  changes: false,
  input: z.object({}),
  output: z.object({
    name: z.string(),
    role: z.enum(ROLES),
    serial: z.string(),
    notBefore: z.string(),
    notAfter: z.string(),
    renewAfter: z.string(),
    renew: z.boolean().describe('whether it is to be renewed now'),
  }),
  async run(parts, _input, actor) {
    const row = await getCertificate(parts.authority.catalog, serialOf(actor));
    const { pem: _pem, ...facts } = describeIssued(row);
    const now = parts.now();
    const renewAfter = chooseRenewal(row, now, parts.authority);
    return {
      ...facts,
      renewAfter: new Date(renewAfter).toISOString(),
      renew: renewAfter <= now,
    };
  },
});

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hex');

/** Lines that are none are passed over: a host may have what no repository would take. */
function readInstalled(text: string): InstalledPackage[] {
  return text.split('\n').flatMap((line) => {
    const [name, version, architecture] = line.trim().split(' ');
    return name && version && architecture ? [{ name, version, architecture }] : [];
  });
}

/** Only what the catalog has: what else is on a host is nobody's business here. */
async function recordInstalled(
  parts: Parts,
  host: string,
  installed: readonly InstalledPackage[],
): Promise<void> {
  const { catalog } = parts.authority;
  const ids = await findInstalled(catalog, installed);
  await catalog.transaction((sql) => replaceHostPackages(sql, host, ids));
}

export const reportHost = defineOperation({
  summary: 'What a host has installed, so that a rotation can count who has the old files',
  roles: ['host'],
  changes: true,
  input: z.object({
    serverCa: sha256.describe('of its ca.crt'),
    keyring: sha256.describe('of its keyring file'),
    client: z.string().regex(/^[\x21-\x7e]{1,64}$/, '1 to 64 printable characters'),
    packages: z
      .string()
      .transform(readInstalled)
      .optional()
      .describe('what is installed, a line each: name, version, architecture'),
  }),
  output: z.object({ host: z.string(), reportedAt: z.string() }),
  subject: (input) => input.client,
  async run(parts, input, actor) {
    const reported_at = new Date(parts.now()).toISOString();
    const known = await recordReport(parts.authority.catalog, actor.name, {
      reported_at,
      reported_ca: input.serverCa,
      reported_keyring: input.keyring,
      reported_client: input.client,
    });
    if (!known) throw new RefusalError('HOST_UNKNOWN', `host ${actor.name} was removed`);
    if (input.packages) await recordInstalled(parts, actor.name, input.packages);
    return { host: actor.name, reportedAt: reported_at };
  },
});

export const renewServer = defineOperation({
  summary:
    "Make the server's own certificate anew, with a new key; a running server shows it at once",
  roles: ADMINS,
  changes: true,
  input: z.object({}),
  output: z.object({
    serial: z.string(),
    names: z.array(z.string()),
    notBefore: z.string(),
    notAfter: z.string(),
  }),
  async run(parts) {
    const { certs, trust } = parts.authority;
    await issueServerCertificate(certs, await parts.serverNames(), parts.now());
    await trust.announceServerCertificate();
    const facts = readCertificate(await certs.readText('server.crt'));
    return {
      serial: facts.serial,
      names: [...facts.dnsNames, ...facts.ipAddresses],
      notBefore: facts.notBefore.toISOString(),
      notAfter: facts.notAfter.toISOString(),
    };
  },
});
