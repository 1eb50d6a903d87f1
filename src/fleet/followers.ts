/**
 * Who still depends on what a rotation will take away: by the certificate they hold, and by what
 * their own reports say they have installed. Floor 4.
 */
import { createHash } from 'node:crypto';
import type { Authority } from '../authority/authority.ts';
import { issuingAuthority } from '../authority/authority.ts';
import { readServerCa } from '../authority/server-certificate.ts';
import { listHolders } from '../catalog/certificates.ts';
import { listHosts } from '../catalog/hosts.ts';

const iso = (time: number): string => new Date(time).toISOString();

/** Names with a valid certificate, but none of the issuing client CA. */
export async function listClientFollowers(authority: Authority): Promise<string[]> {
  const { facts } = issuingAuthority(authority);
  const holders = await listHolders(authority.catalog, iso(authority.now()));
  const moved = new Set(
    holders.filter((one) => one.authority === facts.fingerprint).map((one) => one.name),
  );
  const names = holders.map((one) => one.name).filter((name) => !moved.has(name));
  return [...new Set(names)].sort();
}

/** The SHA-256 of a file as hosts report it. */
export const hashFile = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** Hosts with a valid certificate that have not reported the CA file that is given out now. */
export async function listServerFollowers(authority: Authority): Promise<string[]> {
  return listUnreported(authority, 'reported_ca', hashFile(await readServerCa(authority)));
}

/** Hosts with a valid certificate that have not reported this keyring. */
export function listKeyringFollowers(authority: Authority, keyring: string): Promise<string[]> {
  return listUnreported(authority, 'reported_keyring', hashFile(keyring));
}

async function listUnreported(
  authority: Authority,
  column: 'reported_ca' | 'reported_keyring',
  expected: string,
): Promise<string[]> {
  const holders = await listHolders(authority.catalog, iso(authority.now()));
  const alive = new Set(holders.filter((one) => one.role === 'host').map((one) => one.name));
  const hosts = await listHosts(authority.catalog);
  return hosts
    .filter((host) => alive.has(host.name) && host[column] !== expected)
    .map((host) => host.name);
}
