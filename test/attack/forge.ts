/**
 * Certificates that the program would never issue, made by openssl: with a stolen CA key, with
 * another CA, with none. Source: openssl-ca(1), x509v3_config(5).
 */
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Role } from '../../src/authority/profiles.ts';
import { type CertificateRow, insertCertificate } from '../../src/catalog/certificates.ts';
import { insertHost } from '../../src/catalog/hosts.ts';
import { succeed } from '../e2e/command.ts';
import type { Client } from '../e2e/site.ts';
import { FORGER } from '../e2e/verified.ts';
import type { Site } from '../http/start.ts';

/** Paths of a certificate and its key. */
export interface Pair {
  certificate: string;
  key: string;
}

export interface Wanted {
  /** The site's client CA unless another one is named. */
  issuer?: Pair;
  /** As openssl takes it: /OU=host/CN=web */
  subject?: string;
  /** Hexadecimal. */
  serial?: string;
  /** Lines of an extension file. */
  extensions?: string[];
  /** Days from now; both may be negative. */
  from?: number;
  to?: number;
  digest?: string;
  /** Flags of openssl genpkey. */
  key?: string[];
}

export const P256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
export const RSA_1024 = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'];

/** The extensions of an honest client certificate. */
export const CLIENT = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=clientAuth',
];

const DAY_MS = 86_400_000;

/** The time so many days from now, as openssl-ca takes it. */
const dateOf = (days: number): string =>
  `${new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;

const CONFIGURATION = `
[ca]
default_ca = forge
[forge]
database = index.txt
new_certs_dir = .
serial = serial.txt
policy = anything
unique_subject = no
[anything]
organizationName = optional
organizationalUnitName = optional
commonName = optional
`;

export const clientCa = (site: Site): Pair => ({
  certificate: join(site.data, 'certs/client-ca.crt'),
  key: join(site.data, 'certs/client-ca.key'),
});

export const serverCa = (site: Site): Pair => ({
  certificate: join(site.data, 'certs/server-ca.crt'),
  key: join(site.data, 'certs/server-ca.key'),
});

async function createFolder(site: Site): Promise<string> {
  await mkdir(`${site.data}-forged`, { recursive: true });
  return mkdtemp(join(`${site.data}-forged`, 'x'));
}

/** A certificate as wanted, signed by its issuer whatever it says. */
export async function forge(site: Site, wanted: Wanted = {}): Promise<Client> {
  const { issuer = clientCa(site), subject = '/OU=host/CN=web', extensions = CLIENT } = wanted;
  const { serial = `7f${randomBytes(14).toString('hex')}`, from = -1, to = 30 } = wanted;
  const cwd = await createFolder(site);
  const files = {
    'openssl.cnf': CONFIGURATION,
    'index.txt': '',
    'serial.txt': `${serial.length % 2 ? `0${serial}` : serial}\n`,
    extensions: `${extensions.join('\n')}\n`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text);
  await succeed('openssl', ['genpkey', ...(wanted.key ?? P256), '-out', 'key.pem'], { cwd });
  const request = ['req', '-new', '-key', 'key.pem', '-subj', subject, '-out', 'csr.pem'];
  await succeed('openssl', request, { cwd });
  await succeed(
    'openssl',
    [
      ...['ca', '-batch', '-notext', '-config', 'openssl.cnf', '-preserveDN', '-in', 'csr.pem'],
      ...['-cert', issuer.certificate, '-keyfile', issuer.key, '-extfile', 'extensions'],
      ...['-startdate', dateOf(from), '-enddate', dateOf(to)],
      ...['-md', wanted.digest ?? 'sha256', '-out', 'forged.pem'],
    ],
    { cwd },
  );
  const certificate = join(cwd, 'forged.pem');
  return { name: 'web', folder: cwd, certificate, key: join(cwd, 'key.pem'), ca: site.ca };
}

/** A self-signed certificate of any subject, with these extensions. */
export async function forgeSelfSigned(
  site: Site,
  subject: string,
  extensions: string[],
): Promise<Client> {
  const cwd = await createFolder(site);
  await succeed('openssl', ['genpkey', ...P256, '-out', 'key.pem'], { cwd });
  const added = extensions.flatMap((line) => ['-addext', line]);
  const made = ['req', '-x509', '-key', 'key.pem', '-subj', subject, '-days', '30', ...added];
  const config = join(cwd, 'empty.cnf');
  await writeFile(config, '[req]\ndistinguished_name = dn\n[dn]\n');
  await succeed('openssl', [...made, '-config', config, '-out', 'forged.pem'], { cwd });
  const certificate = join(cwd, 'forged.pem');
  return { name: 'web', folder: cwd, certificate, key: join(cwd, 'key.pem'), ca: site.ca };
}

/** Another CA of exactly the client CA's name. */
export async function forgeAuthority(site: Site): Promise<Pair> {
  const named = ['-noout', '-subject', '-nameopt', 'compat', '-in', clientCa(site).certificate];
  const printed = await succeed('openssl', ['x509', ...named]);
  const subject = printed.trim().replace(/^subject ?= ?/, '');
  const constraints = [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign,cRLSign',
  ];
  return forgeSelfSigned(site, subject, constraints);
}

/** Records a forged certificate, and its host, as if the program had issued it. */
export async function record(site: Site, client: Client, role: Role): Promise<string> {
  const pem = await readFile(client.certificate, 'utf8');
  const certificate = new X509Certificate(pem);
  const row: CertificateRow = {
    serial: certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
    name: client.name,
    role,
    suites: null,
    packages: null,
    not_before: certificate.validFromDate.toISOString(),
    not_after: certificate.validToDate.toISOString(),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    pem,
    issued_at: new Date().toISOString(),
    issued_by: FORGER,
    revoked_at: null,
    revocation_reason: null,
    authority: site.parts.authority.trust.authorities[0]?.fingerprint ?? '',
    replaces: null,
    superseded_at: null,
  };
  await insertCertificate(site.parts.authority.catalog, row);
  site.parts.authority.trust.remember(row);
  if (role === 'host') {
    const host = { name: client.name, group_name: 'default', added_at: row.issued_at };
    await insertHost(site.parts.authority.catalog, host);
    site.parts.readers.invalidate();
  }
  return row.serial;
}

/** So many certificates that were never issued, revoked since yesterday; in the next list. */
export async function revokeMany(site: Site, count: number): Promise<void> {
  const [before, later] = [-DAY_MS, DAY_MS].map((ms) => new Date(Date.now() + ms).toISOString());
  await site.parts.authority.catalog.run(
    `WITH RECURSIVE counter(number) AS
       (SELECT 1 UNION ALL SELECT number + 1 FROM counter WHERE number < ${count})
     INSERT INTO certificate (serial, name, role, suites, not_before, not_after, fingerprint, pem,
       issued_at, issued_by, revoked_at, revocation_reason, authority)
     SELECT printf('f%031x', number), 'bulk-' || number, 'host', NULL, $1, $2, '' || number, '',
       $1, '${FORGER}', $1, 'superseded', $3 FROM counter`,
    before ?? '',
    later ?? '',
    site.parts.authority.trust.authorities[0]?.fingerprint ?? '',
  );
}
