/**
 * An existing certificate for the server: its chain as served, its key, the CA that clients pin.
 * Read at start and again when the files change; a broken replacement replaces nothing. Source of
 * truth: RFC 5280 section 6.1, RFC 9110 section 4.3.4. Floor 3.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { findKeyFault } from '../pki/key.ts';
import { readCertificates, readSiteFile, refuseSetting, type SitePath } from './bundle.ts';

export interface SiteCertificatePaths {
  certificate: SitePath;
  key: SitePath;
  ca: SitePath;
}

/** What the listener shows and what clients pin: PEM. */
export interface ServerCredentials {
  certificate: string;
  key: string;
  ca: string;
}

interface Reading extends ServerCredentials {
  leaf: CertificateFacts;
  /** The authority among those pinned that the chain ends at. */
  anchor: CertificateFacts;
}

/** A key may be read by its group, as Debian's ssl-cert has it; more is too much. */
const FORBIDDEN_MODE = 0o027;

export class SiteCertificate {
  readonly #paths: SiteCertificatePaths;
  readonly #now: () => number;
  readonly #log: Logger;
  #current: Reading;
  #fault: string | undefined;

  constructor(paths: SiteCertificatePaths, current: Reading, now: () => number, log: Logger) {
    this.#paths = paths;
    this.#current = current;
    this.#now = now;
    this.#log = log;
  }

  get current(): Readonly<Reading> {
    return this.#current;
  }

  /** Why the files as they are now are not used. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Whether clients that know the server by this name or address accept it. */
  coversName(name: string): boolean {
    const leaf = new X509Certificate(this.#current.leaf.der);
    return isIP(name) === 0 ? leaf.checkHost(name) !== undefined : leaf.checkIP(name) !== undefined;
  }

  /** Reads the files again; resolves with whether something else is shown from now on. */
  async reread(): Promise<boolean> {
    let found: Reading;
    try {
      found = await readAll(this.#paths, this.#now());
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      if (this.#fault !== error.message) {
        this.#log.error({ event: 'server certificate not replaced', why: error.message });
      }
      this.#fault = error.message;
      return false;
    }
    this.#fault = undefined;
    const { certificate, key, ca } = this.#current;
    const isSame = found.certificate === certificate && found.key === key && found.ca === ca;
    if (isSame) return false;
    this.#current = found;
    const until = found.leaf.notAfter.toISOString();
    this.#log.info({ event: 'server certificate replaced', serial: found.leaf.serial, until });
    return true;
  }
}

/** @throws RefusalError CONFIG_INVALID naming the key of the configuration. */
export async function openSiteCertificate(
  paths: SiteCertificatePaths,
  now: () => number,
  log: Logger,
): Promise<SiteCertificate> {
  return new SiteCertificate(paths, await readAll(paths, now()), now, log);
}

async function readAll(paths: SiteCertificatePaths, now: number): Promise<Reading> {
  const chain = await readCertificates(paths.certificate);
  const pinned = await readCertificates(paths.ca);
  const key = await readKey(paths.key);
  const [leaf] = chain as [CertificateFacts, ...CertificateFacts[]];
  const fault = findLeafFault(leaf, now);
  if (fault) throw refuseSetting('server.certificate', `${paths.certificate.path} ${fault}`);
  if (!new X509Certificate(leaf.der).checkPrivateKey(key)) {
    throw refuseSetting('server.key', `${paths.key.path} is not the key of the certificate`);
  }
  const wrong = pinned.find((one) => !one.isAuthority);
  if (wrong) throw refuseSetting('server.ca', `${wrong.subject.commonName} is no authority`);
  const anchor = findAnchor(chain, pinned, now);
  return {
    certificate: chain.map((one) => one.pem).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    ca: pinned.map((one) => one.pem).join(''),
    ...{ leaf, anchor },
  };
}

function findLeafFault(leaf: CertificateFacts, now: number): string | undefined {
  if (leaf.isAuthority) return "begins with an authority's certificate; the server's comes first";
  if (!leaf.extendedKeyUsage.includes('serverAuth')) return 'is not made for servers (serverAuth)';
  if (leaf.dnsNames.length + leaf.ipAddresses.length === 0) {
    return 'has no alternative name; clients read no other';
  }
  if (now >= leaf.notAfter.getTime()) return `expired on ${leaf.notAfter.toISOString()}`;
  if (now < leaf.notBefore.getTime()) return `is not valid before ${leaf.notBefore.toISOString()}`;
  const key = findKeyFault(leaf.publicKey);
  return key && `has a key that is ${key}`;
}

const isIssuedBy = (facts: CertificateFacts, issuer: CertificateFacts): boolean => {
  const [certificate, authority] = [facts, issuer].map((one) => new X509Certificate(one.der));
  return (
    certificate !== undefined &&
    authority !== undefined &&
    certificate.checkIssued(authority) &&
    certificate.verify(issuer.publicKey)
  );
};

/** Walks the chain as it is served until one of the pinned authorities has issued its last link. */
function findAnchor(
  chain: readonly CertificateFacts[],
  pinned: readonly CertificateFacts[],
  now: number,
): CertificateFacts {
  const inForce = pinned.filter((one) => now < one.notAfter.getTime());
  for (const [position, link] of chain.entries()) {
    const anchor = inForce.find(
      (one) => one.fingerprint === link.fingerprint || isIssuedBy(link, one),
    );
    if (anchor) return anchor;
    const next = chain[position + 1];
    if (next && !isIssuedBy(link, next)) {
      const names = [link, next].map((one) => one.subject.commonName);
      throw refuseSetting(
        'server.certificate',
        `${names[0]} was not issued by ${names[1]}, which follows it`,
      );
    }
  }
  throw refuseSetting(
    'server.ca',
    'the chain of server.certificate leads to none of these, or to one that has expired',
  );
}

/** @throws RefusalError CONFIG_INVALID also where others may reach it. */
async function readKey(file: SitePath): Promise<KeyObject> {
  const found = await stat(resolve(file.folder, file.path)).catch((error: unknown) => {
    throw refuseSetting(file.setting, `${file.path} cannot be read (${systemCode(error)})`);
  });
  if ((found.mode & FORBIDDEN_MODE) !== 0) {
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
    throw refuseSetting(
      file.setting,
      `${file.path} has the mode ${mode}; 0640 is the most that is allowed`,
    );
  }
  const pem = (await readSiteFile(file)).toString('latin1');
  try {
    return createPrivateKey(pem);
  } catch {
    const why = pem.includes('ENCRYPTED') ? 'is encrypted' : 'holds no private key in PEM';
    throw refuseSetting(file.setting, `${file.path} ${why}`);
  }
}
