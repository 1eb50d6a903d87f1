/**
 * A site's own PKI, as far as it is configured: authorities of client certificates with the sources
 * of their lists and the rules for roles, and a certificate for the server. Source of truth:
 * docs/own-pki.md. Floor 3.
 */
import type { Config } from '../config.ts';
import type { Logger } from '../log.ts';
import { findAuthorityFault } from '../pki/authorities.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import type { SettingKey } from '../settings.ts';
import { readCertificates, refuseSetting, type SitePath } from './bundle.ts';
import { nameAuthority } from './foreign-lists.ts';
import type { SourceOptions } from './list-source.ts';
import { createRecognise } from './recognise.ts';
import { parseRoleRules } from './role-rules.ts';
import { openSiteCertificate, type SiteCertificate } from './site-certificate.ts';
import type { Recognise } from './trust.ts';

/** Where client certificates come from, when not from us. */
export interface SiteClients {
  authorities: readonly CertificateFacts[];
  recognise: Recognise;
  sources: readonly string[];
  options: SourceOptions;
  /** Milliseconds between two readings of the lists. */
  refresh: number;
}

/** Each undefined where it is ours. */
export interface Site {
  clients: SiteClients | undefined;
  server: SiteCertificate | undefined;
}

/** A setting that names a file; undefined where it is not set. */
function findPath(
  config: Config,
  setting: Extract<SettingKey, `server.${string}` | 'clientCa.certificates' | 'clientCa.crlCa'>,
): SitePath | undefined {
  const path = config.values[setting];
  return path === null ? undefined : { setting, path, folder: config.data };
}

/**
 * Read and judge all of it before anything is opened.
 * @throws RefusalError CONFIG_INVALID naming the key.
 */
export async function readSite(config: Config, now: () => number, log: Logger): Promise<Site> {
  return {
    clients: await readClients(config, now()),
    server: await readServer(config, now, log),
  };
}

async function readClients(config: Config, now: number): Promise<SiteClients | undefined> {
  const { values } = config;
  const bundle = findPath(config, 'clientCa.certificates');
  const crlCa = findPath(config, 'clientCa.crlCa');
  if (!bundle) {
    const set = (['clientCa.crl', 'clientCa.roles', 'clientCa.crlCa'] as const).find(
      (key) => config.texts[key].trim() !== '',
    );
    if (set) throw refuseSetting(set, 'means nothing without clientCa.certificates');
    return undefined;
  }
  if (values['clientCa.crl'].length === 0) {
    throw refuseSetting(
      'clientCa.crl',
      'is needed with clientCa.certificates: without a list nobody is let in',
    );
  }
  const rules = parseRoleRules(values['clientCa.roles']);
  if (rules.length === 0) {
    throw refuseSetting(
      'clientCa.roles',
      'is needed with clientCa.certificates: without a rule nobody is let in',
    );
  }
  const authorities = await readCertificates(bundle);
  for (const authority of authorities) {
    const fault = findAuthorityFault(authority, authorities, now);
    if (fault) throw refuseSetting('clientCa.certificates', `${nameAuthority(authority)} ${fault}`);
  }
  const ca = crlCa && (await readCertificates(crlCa)).map((one) => one.pem).join('');
  return {
    authorities,
    recognise: createRecognise(rules),
    sources: values['clientCa.crl'],
    options: { folder: config.data, ca },
    refresh: values['clientCa.refresh'],
  };
}

async function readServer(
  config: Config,
  now: () => number,
  log: Logger,
): Promise<SiteCertificate | undefined> {
  const keys = ['server.certificate', 'server.key', 'server.ca'] as const;
  const [certificate, key, ca] = keys.map((setting) => findPath(config, setting));
  if (!certificate && !key && !ca) return undefined;
  if (certificate && key && ca) return openSiteCertificate({ certificate, key, ca }, now, log);
  const missing = keys.find((setting) => config.values[setting] === null) ?? 'server.certificate';
  throw refuseSetting(
    missing,
    'is needed: server.certificate, server.key and server.ca go together',
  );
}
