/** Operations on client certificates. Floor 5. */
import { z } from 'zod';
import { issuingAuthority, requireOwnAuthority } from '../authority/authority.ts';
import { issueClientCertificate } from '../authority/issue.ts';
import { ALL_ROLES, MAX_CERTIFICATE_DAYS, ROLES, type Role } from '../authority/profiles.ts';
import { revokeCertificates, selectCertificates } from '../authority/revoke.ts';
import { readServerCa } from '../authority/server-certificate.ts';
import type { Fault } from '../authority/trust.ts';
import type { CertificateRow } from '../catalog/certificates.ts';
import { listCertificates as queryCertificates } from '../catalog/certificates.ts';
import { isPackagePattern } from '../deb/names.ts';
import { RefusalError } from '../errors.ts';
import { DEFAULT_GROUP, recordHost } from '../fleet/groups.ts';
import { readCertificate } from '../pki/certificate.ts';
import { REVOCATION_REASONS, type RevocationReason } from '../pki/crl.ts';
import { findIssuer } from '../pki/verify.ts';
import { getSuite } from '../repository/suites.ts';
import { ADMINS, defineOperation, READERS } from './operation.ts';

const certificate = z.object({
  serial: z.string().describe('lower-case hex without leading zeros'),
  name: z.string(),
  role: z.enum(ALL_ROLES),
  suites: z
    .array(z.string())
    .nullable()
    .describe('the suites an uploader may add to and read; null for all'),
  packages: z
    .array(z.string())
    .nullable()
    .describe('patterns of the package names an uploader may add; null for all'),
  status: z.enum(['valid', 'expired', 'revoked']),
  notBefore: z.string(),
  notAfter: z.string(),
  issuedAt: z.string(),
  issuedBy: z.string(),
  revokedAt: z.string().nullable(),
  reason: z.string().nullable(),
  replaces: z.string().nullable().describe('the serial with which this one was asked for'),
  supersededAt: z.string().nullable().describe('renewed, and so revoked from then on'),
  fingerprint: z.string().describe('SHA-256 of the DER form, in lower-case hex'),
});

/** Each is asked about every package of an upload. */
const MAX_PATTERNS = 200;

const nameOrSerial = z.object({ certificate: z.string().min(1).describe('a name or a serial') });

function describeCertificate(row: CertificateRow, now: number): z.input<typeof certificate> {
  const expired = Date.parse(row.not_after) <= now;
  return {
    serial: row.serial,
    name: row.name,
    role: row.role as Role,
    suites: row.suites === null ? null : (JSON.parse(row.suites) as string[]),
    packages: row.packages === null ? null : (JSON.parse(row.packages) as string[]),
    status: row.revoked_at !== null ? 'revoked' : expired ? 'expired' : 'valid',
    notBefore: row.not_before,
    notAfter: row.not_after,
    issuedAt: row.issued_at,
    issuedBy: row.issued_by,
    revokedAt: row.revoked_at,
    reason: row.revocation_reason,
    replaces: row.replaces,
    supersededAt: row.superseded_at,
    fingerprint: row.fingerprint,
  };
}

/** @throws RefusalError INPUT_INVALID */
function checkLimits(input: {
  role: Role;
  suites?: string[] | undefined;
  packages?: string[] | undefined;
}): void {
  for (const limit of ['suites', 'packages'] as const) {
    if (input[limit] === undefined || input.role === 'uploader') continue;
    throw new RefusalError(
      'INPUT_INVALID',
      `${limit}: only an uploader is limited to ${limit}, not a ${input.role}`,
    );
  }
  const wrong = input.packages?.find((pattern) => !isPackagePattern(pattern));
  if (wrong === undefined) return;
  throw new RefusalError(
    'INPUT_INVALID',
    `packages: ${JSON.stringify(wrong.slice(0, 80))} is no package name, nor one with * in it`,
  );
}

export const issueCertificate = defineOperation({
  summary: 'Issue a client certificate for the key of a certificate request',
  roles: ADMINS,
  changes: true,
  input: z.object({
    name: z.string(),
    role: z.enum(ROLES),
    csr: z.string().describe('PKCS#10, PEM; only its key is used'),
    days: z.coerce.number().int().min(1).max(MAX_CERTIFICATE_DAYS).optional(),
    suites: z.array(z.string()).min(1).optional().describe('limits an uploader to these suites'),
    packages: z
      .array(z.string())
      .min(1)
      .max(MAX_PATTERNS)
      .optional()
      .describe('limits an uploader to these package names, in which * stands for any characters'),
  }),
  output: z.object({
    ...certificate.shape,
    pem: z.string(),
    issuer: z.string().describe('the CA that signed it'),
    ca: z.string().describe("the CA of the server's certificate, which the client pins"),
  }),
  subject: (input) => `${input.role} ${input.name}`,
  async run(parts, input, actor) {
    checkLimits(input);
    for (const suite of input.suites ?? []) await getSuite(parts.repository, suite);
    requireOwnAuthority(parts.authority);
    const row = await issueClientCertificate(parts.authority, { ...input, issuedBy: actor.name });
    if (input.role === 'host') {
      const added_at = row.issued_at;
      await recordHost(parts, { name: row.name, group_name: DEFAULT_GROUP, added_at });
    }
    const ca = await readServerCa(parts.authority);
    const issuer = issuingAuthority(parts.authority).facts.pem;
    return { ...describeCertificate(row, parts.now()), pem: row.pem, issuer, ca };
  },
});

export const listCertificates = defineOperation({
  summary: 'Every certificate ever issued, newest first',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ certificates: z.array(certificate) }),
  async run(parts) {
    const rows = await queryCertificates(parts.authority.catalog);
    return { certificates: rows.map((row) => describeCertificate(row, parts.now())) };
  },
});

export const showCertificate = defineOperation({
  summary: 'The certificates of a name, or the one of a serial, newest first',
  roles: READERS,
  changes: false,
  input: nameOrSerial,
  output: z.object({ certificates: z.array(z.object({ ...certificate.shape, pem: z.string() })) }),
  async run(parts, input) {
    const rows = await selectCertificates(parts.authority.catalog, input.certificate);
    return {
      certificates: rows.map((row) => ({ ...describeCertificate(row, parts.now()), pem: row.pem })),
    };
  },
});

export const revokeCertificate = defineOperation({
  summary: 'Revoke a name, or a serial and what was issued by renewing it; in force when answered',
  roles: ADMINS,
  changes: true,
  spendsReserve: true,
  input: z.object({
    ...nameOrSerial.shape,
    reason: z.enum(REVOCATION_REASONS as unknown as [RevocationReason]).default('unspecified'),
  }),
  output: z.object({ certificates: z.array(certificate), crl: z.number() }),
  subject: (input) => input.certificate,
  async run(parts, input) {
    requireOwnAuthority(parts.authority);
    const rows = await revokeCertificates(parts.authority, input.certificate, input.reason);
    return {
      certificates: rows.map((row) => describeCertificate(row, parts.now())),
      crl: parts.authority.trust.crl?.number ?? 0,
    };
  },
});

const explainFault = (fault: Fault | undefined, isForeign: boolean): string | undefined =>
  fault === 'not recorded' && isForeign
    ? 'no rule of clientCa.roles gives it a role, or its name is not allowed'
    : fault;

export const testCertificate = defineOperation({
  summary: 'Would this certificate be let in now, and if not, why',
  roles: READERS,
  changes: false,
  input: z.object({ pem: z.string() }),
  output: z.object({
    admitted: z.boolean(),
    reason: z.string().nullable(),
    serial: z.string(),
    name: z.string(),
    role: z.string().nullable(),
  }),
  async run(parts, input) {
    const facts = readCertificate(input.pem);
    const { trust } = parts.authority;
    const issuer = findIssuer(facts.der, trust.authorities);
    const presented = {
      authority: typeof issuer === 'string' ? '' : issuer.fingerprint,
      recognised: trust.recognise?.(facts),
      serial: facts.serial,
      fingerprint: facts.fingerprint,
      notBefore: facts.notBefore.getTime(),
      notAfter: facts.notAfter.getTime(),
    };
    const reason =
      (typeof issuer === 'string' ? issuer : undefined) ??
      (trust.isFresh(parts.now()) ? undefined : 'the revocation list is out of date') ??
      explainFault(trust.findFault(presented, parts.now()), trust.recognise !== undefined);
    return {
      admitted: reason === undefined,
      reason: reason ?? null,
      serial: facts.serial,
      name: presented.recognised?.name ?? facts.subject.commonName,
      role: (trust.recognise ? presented.recognised : trust.find(facts.serial))?.role ?? null,
    };
  },
});
