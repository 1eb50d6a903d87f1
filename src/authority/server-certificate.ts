/** The server's own certificate: from the server CA, renewed by itself from two thirds of its life. Floor 3. */
import { createPublicKey, randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { type CertificateFacts, issueCertificate, readCertificate } from '../pki/certificate.ts';
import { encodePrivateKey, generatePrivateKey } from '../pki/key.ts';
import { createSerial } from '../pki/serial.ts';
import { isIssuedBy } from '../pki/verify.ts';
import { openSigner } from './authority-keys.ts';
import { filesOf, isRotating, type Place } from './exchange.ts';
import type { CertsFolder } from './files.ts';
import { readPrivateKey, writePrivateKey } from './keys.ts';
import { addDays, BACKDATE_MS, SERVER_CERTIFICATE_DAYS } from './profiles.ts';
import type { SiteCertificate } from './site-certificate.ts';

/** Our own certificate in certs/, unless the site brings one. */
export interface ServerIdentity {
  certs: CertsFolder;
  server: SiteCertificate | undefined;
}

/** What the listener shows: PEM. */
export async function readServerCredentials({
  certs,
  server,
}: ServerIdentity): Promise<{ certificate: string; key: string }> {
  if (server) return server.current;
  const key = encodePrivateKey(await readPrivateKey(certs, 'server.key'));
  return { key, certificate: await certs.readText('server.crt') };
}

/** The CAs that clients pin, as one PEM text: two while ours is rotated. */
export async function readServerCa({ certs, server }: ServerIdentity): Promise<string> {
  if (server) return server.current.ca;
  const current = await certs.readText(filesOf('server', 'current').certificate);
  if (!(await isRotating(certs, 'server'))) return current;
  return current + (await certs.readText(filesOf('server', 'overlap').certificate));
}

/**
 * Issue a server certificate with a new key for these names and put both into certs/.
 * @param names DNS names and IP addresses; the first is the CN.
 * @param place of the server CA that issues it: the one beside only to end a rotation.
 */
export async function issueServerCertificate(
  certs: CertsFolder,
  names: readonly string[],
  now: number,
  place: Place = 'current',
): Promise<void> {
  const key = generatePrivateKey();
  const signer = await openSigner(certs, 'server', place);
  const pem = await issueCertificate(signer, {
    publicKey: createPublicKey(key),
    subject: { commonName: (names[0] ?? 'localhost').slice(0, 64) },
    serial: createSerial(randomBytes(16)),
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(addDays(now, SERVER_CERTIFICATE_DAYS)),
    profile: { kind: 'server', names: [...names] },
  });
  // The certificate names the key: a crash between the two is seen at start, and both made again.
  await writePrivateKey(certs, 'server.key', key);
  await certs.write('server.crt', pem);
}

/** `serves` where clients accept it all the same, by a name that it has. */
export interface ServerCertificateFault {
  why: string;
  serves: boolean;
}

/** Why the certificate in certs/ should be replaced now; undefined where nothing is to do. */
export async function findServerCertificateFault(
  certs: CertsFolder,
  names: readonly string[],
  now: number,
): Promise<ServerCertificateFault | undefined> {
  if (!(await certs.exists('server.crt')) || !(await certs.exists('server.key'))) {
    return { why: 'missing', serves: false };
  }
  const facts = readCertificate(await certs.readText('server.crt'));
  const key = createPublicKey(await readPrivateKey(certs, 'server.key'));
  if (!key.equals(facts.publicKey)) return { why: 'made for another key', serves: false };
  const issuer = filesOf('server', 'current').certificate;
  if (!isIssuedBy(facts, readCertificate(await certs.readText(issuer)))) {
    return { why: 'of another server CA', serves: false };
  }
  const serves = now < facts.notAfter.getTime();
  const lacking = names.find((name) => !coversName(facts, name));
  if (lacking !== undefined) return { why: `without the name ${lacking}`, serves };
  const life = facts.notAfter.getTime() - facts.notBefore.getTime();
  return now > facts.notBefore.getTime() + (life * 2) / 3
    ? { why: 'past two thirds of its life', serves }
    : undefined;
}

/** One spelling for every name: an IPv6 address as RFC 5952 writes it, a DNS name in lower case. */
function spellName(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}

function coversName(facts: CertificateFacts, name: string): boolean {
  return [...facts.dnsNames, ...facts.ipAddresses].some(
    (known) => spellName(known) === spellName(name),
  );
}
