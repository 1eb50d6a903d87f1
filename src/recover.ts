/**
 * A data directory whose catalog is gone or damaged: made again beside the old one, from the pool,
 * the mirror and certs/, and put in its place when it is whole. Floor 7.
 */
import { access, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openSigningKeys } from './authority/archive-keys.ts';
import type { CertsFolder } from './authority/files.ts';
import { openCerts } from './authority/keys.ts';
import { type RegainedCertificates, regainCertificates } from './authority/lost-catalog.ts';
import { readSite } from './authority/site.ts';
import { appendAudit } from './catalog/audit.ts';
import { insertHost } from './catalog/hosts.ts';
import { lockDirectory } from './catalog/lock-file.ts';
import { migrate } from './catalog/migrate.ts';
import { readSetting, writeSetting } from './catalog/settings.ts';
import type { Catalog } from './catalog/sql.ts';
import { choosePublicName, openCatalog, openRepository } from './compose.ts';
import type { Config } from './config.ts';
import { RefusalError, systemCode } from './errors.ts';
import { DEFAULT_GROUP } from './fleet/groups.ts';
import type { Logger } from './log.ts';
import { readCertificate } from './pki/certificate.ts';
import { readPemBlocks } from './pki/pem.ts';
import { CERTIFICATE_PEM } from './pki/signer.ts';
import { type RebuildReport, rebuildRepository } from './repository/rebuild.ts';
import { syncDirectory } from './storage/durability.ts';

export type CatalogLoss = 'gone' | 'empty' | 'damaged';

export interface RecoverRequest {
  /** Where packages go that no mirror lists. */
  suite: string | undefined;
  /** Files with certificates that may enter again. */
  certificates: readonly string[];
  actor: string;
  read: (bytes: number) => void;
}

export interface RecoverReport extends RebuildReport {
  loss: CatalogLoss;
  certificates: RegainedCertificates;
}

const CATALOG = 'catalog.sqlite';
const NEW_CATALOG = 'catalog.rebuilt.sqlite';
/** What SQLite keeps beside a database. */
const COMPANIONS = ['', '-wal', '-shm'];

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function removeDatabase(path: string): Promise<void> {
  for (const suffix of COMPANIONS) await rm(path + suffix, { force: true });
}

/**
 * Whether a directory with keys has lost its catalog; undefined where it has one, or never had. The
 * caller holds its lock.
 */
async function findLossUnderLock(config: Config): Promise<CatalogLoss | undefined> {
  const hasKeys = await exists(join(config.data, 'certs', 'client-ca.crt'));
  const hasKeyring = await exists(join(config.data, 'certs', 'archive-keyring.gpg'));
  if (!hasKeys && !hasKeyring) return undefined;
  const path = join(config.data, CATALOG);
  if (!(await exists(path))) return 'gone';
  let catalog: Catalog;
  try {
    catalog = await openCatalog(path);
  } catch {
    return 'damaged';
  }
  try {
    await migrate(catalog, new Date(0));
    // An init that was killed has left a mark, and is begun again by the next one.
    return (await readSetting(catalog, 'initialised')) === undefined ? 'empty' : undefined;
  } catch (error) {
    if (/is damaged or no SQLite database/.test(String(error))) return 'damaged';
    throw error;
  } finally {
    await catalog.close();
  }
}

async function readAll(paths: readonly string[]): Promise<string[]> {
  const texts: string[] = [];
  for (const path of paths) {
    try {
      texts.push(await readFile(path, 'latin1'));
    } catch (error) {
      throw new RefusalError('FILE_UNREADABLE', `--certificates ${path}: ${systemCode(error)}`);
    }
  }
  return texts;
}

/** What init had been told, as far as the certificates still say it. */
async function readOrigins(certs: CertsFolder, config: Config) {
  const read = async (file: 'client-ca.crt' | 'server.crt') => {
    if (!(await certs.exists(file))) return undefined;
    const [first] = readPemBlocks(await certs.readText(file), CERTIFICATE_PEM);
    return first && readCertificate(first);
  };
  const authority = await read('client-ca.crt');
  const server = await read('server.crt');
  const organisation = authority?.subject.organization ?? config.values.name;
  const names = [...(server?.dnsNames ?? []), ...(server?.ipAddresses ?? [])];
  const local = ['localhost', '127.0.0.1', '::1'];
  return { organisation, hostNames: names.filter((name) => !local.includes(name)) };
}

async function fillCatalog(
  config: Config,
  log: Logger,
  now: () => number,
  catalog: Catalog,
  request: RecoverRequest,
): Promise<Omit<RecoverReport, 'loss'>> {
  const shown = await readAll(request.certificates);
  const certs = await openCerts(config, log);
  const signingKeys = await openSigningKeys(certs);
  const { organisation, hostNames } = await readOrigins(certs, config);
  const certificates = await regainCertificates(catalog, certs, shown, now());
  const at = new Date(now()).toISOString();
  const site = await readSite(config, now, log);
  const url = `https://${choosePublicName(config, hostNames, site)}:${config.values.listen.port}`;
  const shared = { now, log, url: () => url };
  const repository = await openRepository(config, catalog, signingKeys, shared);
  try {
    const report = await rebuildRepository(repository, {
      ...{ suite: request.suite, organisation, read: request.read },
      validFor: config.values['suite.validFor'],
    });
    await catalog.transaction(async (sql) => {
      for (const { name, role } of certificates.recorded) {
        if (role !== 'host') continue;
        await insertHost(sql, { name, group_name: DEFAULT_GROUP, added_at: at });
      }
      await writeSetting(sql, 'organisation', organisation);
      await writeSetting(sql, 'host_names', JSON.stringify(hostNames));
      await writeSetting(sql, 'initialised', 'done');
    });
    const subject = `${report.packages} packages, ${report.suites.length} suites`;
    const entry = { operation: 'catalog.rebuild', subject, outcome: 'done', detail: '' };
    const who = { actor: request.actor, role: 'admin', serial: null, address: null };
    await appendAudit(catalog, [{ at, ...who, ...entry }]);
    return { ...report, certificates };
  } finally {
    await repository.close();
  }
}

/**
 * Make a lost catalog again; undefined where it is not lost. What there was of it is moved aside.
 * @throws RefusalError DIRECTORY_IN_USE, USAGE_INVALID, FILE_UNREADABLE
 */
export async function recoverCatalog(
  config: Config,
  log: Logger,
  request: RecoverRequest,
  now: () => number = Date.now,
): Promise<RecoverReport | undefined> {
  const lock = await lockDirectory(config.data, 0);
  try {
    const loss = await findLossUnderLock(config);
    if (loss === undefined) return undefined;
    const fresh = join(config.data, NEW_CATALOG);
    await removeDatabase(fresh);
    const catalog = await openCatalog(fresh);
    let report: Omit<RecoverReport, 'loss'>;
    try {
      await migrate(catalog, new Date(now()));
      report = await fillCatalog(config, log, now, catalog, request);
    } catch (error) {
      await catalog.close();
      await removeDatabase(fresh);
      throw error;
    }
    // Closed, all of it is in the one file.
    await catalog.close();
    await putInPlace(config, fresh, loss, now);
    return { loss, ...report };
  } finally {
    await lock.release();
  }
}

async function putInPlace(
  config: Config,
  fresh: string,
  loss: CatalogLoss,
  now: () => number,
): Promise<void> {
  const path = join(config.data, CATALOG);
  const stamp = new Date(now()).toISOString().slice(0, 19).replace(/\D/g, '');
  for (const suffix of COMPANIONS) {
    if (!(await exists(path + suffix))) continue;
    // What may still be worth something to a person stays.
    if (loss === 'damaged') await rename(path + suffix, `${path}.damaged-${stamp}${suffix}`);
    else await rm(path + suffix);
  }
  await rename(fresh, path);
  await syncDirectory(config.data);
}
