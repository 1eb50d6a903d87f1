/** An authority in a data directory of its own, without a server, and what openssl says of it. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Authority } from '../../src/authority/authority.ts';
import { issueClientCertificate } from '../../src/authority/issue.ts';
import type { IssuableRole } from '../../src/authority/profiles.ts';
import type { CertificateRow } from '../../src/catalog/certificates.ts';
import { initialiseDirectory, openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { createRequest } from '../../src/pki/csr.ts';
import type { SettingKey } from '../../src/settings.ts';
import { run, succeed } from '../e2e/command.ts';

export interface KeptAuthority {
  authority: Authority;
  data: string;
  close(): Promise<void>;
}

export interface KeptOptions {
  now?: () => number;
  settings?: Partial<Record<SettingKey, string>>;
}

const silent = createLogger('silent');

export function initialise(data: string, { now, settings = {} }: KeptOptions = {}): Promise<void> {
  return initialiseDirectory(loadConfig({ data, settings }, {}), silent, now);
}

/** Opens an initialised data directory. */
export async function openKept(
  data: string,
  { now, settings = {} }: KeptOptions = {},
): Promise<KeptAuthority> {
  const parts = await openParts(loadConfig({ data, settings }, {}), silent, now);
  return { authority: parts.authority, data, close: () => parts.close() };
}

/** A request for a new P-256 key. */
export function requestKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return createRequest(privateKey, { commonName: 'request' });
}

/** A certificate for a new key. */
export function issue(
  { authority }: KeptAuthority,
  name: string,
  role: IssuableRole = 'host',
  csr = requestKey(),
): Promise<CertificateRow> {
  return issueClientCertificate(authority, { name, role, csr, issuedBy: 'test' });
}

/** Verifies the list in certs/ with openssl; resolves with its text of it. Dates are not judged. */
export async function verifySignature(data: string): Promise<string> {
  const [ca, crl] = [join(data, 'certs/client-ca.crt'), join(data, 'certs/crl.pem')];
  const { stdout, stderr } = await run('openssl', [
    ...['crl', '-in', crl, '-verify', '-CAfile', ca, '-noout', '-text', '-nameopt', 'RFC2253'],
  ]);
  // Its exit status is 0 all the same.
  if (stderr.trim() !== 'verify OK') throw new Error(`openssl crl: ${stderr}`);
  return stdout;
}

/** Verifies the list in certs/ with openssl and, its dates too, with GnuTLS. */
export async function verifyCrl(data: string): Promise<string> {
  const [ca, crl] = [join(data, 'certs/client-ca.crt'), join(data, 'certs/crl.pem')];
  const text = await verifySignature(data);
  const verdict = await succeed('certtool', [
    ...['--verify-crl', '--load-ca-certificate', ca, '--infile', crl],
  ]);
  if (!verdict.includes('Verified')) throw new Error(`certtool: ${verdict}`);
  return text;
}

/** The serials that openssl's text of a list names, spelt as the catalog does. */
export function readSerials(text: string): string[] {
  return [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map((match) =>
    (match[1] ?? '').toLowerCase().replace(/^0+(?=.)/, ''),
  );
}

/**
 * `openssl verify`, strictly and with the revocation list; resolves with its output, rejects with
 * its reason.
 */
export async function verifyClient(data: string, pem: string, ...flags: string[]): Promise<string> {
  const certs = join(data, 'certs');
  const file = join(data, `verified-${pem.slice(-60, -40).replace(/\W/g, '')}.crt`);
  await writeFile(file, pem);
  const trusted = ['-CAfile', join(certs, 'client-ca.crt'), '-CRLfile', join(certs, 'crl.pem')];
  const strict = ['-x509_strict', '-crl_check', '-purpose', 'sslclient'];
  return succeed('openssl', ['verify', ...strict, ...trusted, ...flags, file]);
}
