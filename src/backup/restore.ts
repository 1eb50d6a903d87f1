/**
 * A repository from its backup, in an empty directory. What hosts saw of the lost server after the
 * backup is not known here, so all that they compare goes on far beyond it: the numbers of
 * publications and of revocation lists, and the Date, which lies beyond the restore. Floor 4.
 */
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { appendAudit } from '../catalog/audit.ts';
import { raiseCrlNumber } from '../catalog/crls.ts';
import { migrate } from '../catalog/migrate.ts';
import type { Catalog } from '../catalog/sql.ts';
import { openSqlite } from '../catalog/sqlite.ts';
import { listSuites, raiseFloors } from '../catalog/suites.ts';
import { RefusalError, systemCode } from '../errors.ts';
import { createLogger } from '../log.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { isNewerCrl, readCrl, splitCrls } from '../pki/crl.ts';
import { loadLivePublications } from '../repository/live.ts';
import { Mirror } from '../repository/mirror.ts';
import { openDirectory } from '../storage/directory.ts';
import { syncFilesystem } from '../storage/filesystem.ts';
import { CATALOG_NAME, type Manifest } from './contents.ts';
import { unpackBackup } from './unpack.ts';

/** Where a restore under way stands, inside the directory; left by one that was killed. */
const STAGING_NAME = '.restore';
/** Nobody publishes so often between two backups. */
const NUMBERS_AHEAD = 1_000_000;

export interface RestoreRequest {
  input: Readable;
  data: string;
  /** A later revocation list of the same CA than the one in the backup. */
  crl: Buffer | undefined;
  /** Who asks, for the audit log. */
  actor: string;
  now: Date;
  progress: (done: number, total: number) => void;
}

export interface RestoreResult {
  manifest: Manifest;
  suites: string[];
}

const unsuitable = (why: string): RefusalError => new RefusalError('DIRECTORY_UNSUITABLE', why);

/** The empty staging folder; `isMade` where the directory was not there before. */
async function prepareDirectory(data: string): Promise<{ staging: string; isMade: boolean }> {
  const made = await mkdir(data, { recursive: true }).catch((error: unknown) => {
    throw unsuitable(`${data} cannot be made (${systemCode(error)})`);
  });
  const there = (await readdir(data)).filter((name) => name !== STAGING_NAME);
  if (there.length > 0) {
    throw unsuitable(`${data} is not empty: a backup is restored into an empty directory`);
  }
  const staging = join(data, STAGING_NAME);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { mode: 0o700 });
  return { staging, isMade: made !== undefined };
}

/** Beyond the million in which the last one lies. */
const goBeyond = (number: number): number =>
  (Math.floor(number / NUMBERS_AHEAD) + 1) * NUMBERS_AHEAD;

async function withCatalog<Result>(
  path: string,
  work: (catalog: Catalog) => Promise<Result>,
): Promise<Result> {
  const catalog = await openSqlite(path);
  try {
    return await work(catalog);
  } finally {
    await catalog.close();
  }
}

/** What hosts have seen meanwhile is left behind. */
function moveAhead(path: string, request: RestoreRequest, manifest: Manifest): Promise<string[]> {
  return withCatalog(path, async (catalog) => {
    const suites = await listSuites(catalog);
    await catalog.transaction(async (sql) => {
      for (const { name, publication } of suites) {
        const floors = { number: goBeyond(publication), date: request.now.toISOString() };
        await raiseFloors(sql, name, floors);
      }
      await raiseCrlNumber(sql, NUMBERS_AHEAD);
    });
    const entry = { operation: 'backup.restore', subject: manifest.created, outcome: 'done' };
    const who = { actor: request.actor, role: 'admin', serial: null, address: null } as const;
    await appendAudit(catalog, [{ at: request.now.toISOString(), ...who, ...entry, detail: '' }]);
    return suites.map(({ name }) => name);
  });
}

/** What a person finds in dists/, as before; a backup holds it once, in pieces. */
function writeMirrors(staging: string): Promise<void> {
  return withCatalog(join(staging, CATALOG_NAME), async (catalog) => {
    const storage = await openDirectory(staging);
    const log = createLogger('error');
    const mirror = new Mirror({ storage, staging: join(staging, 'dists', '.staging'), log });
    for (const live of (await loadLivePublications(catalog)).values()) mirror.follow(live);
    await mirror.flush();
    await storage.close();
  });
}

async function readAuthorities(certs: string): Promise<CertificateFacts[]> {
  const found: CertificateFacts[] = [];
  for (const name of ['client-ca.crt', 'client-ca.previous.crt']) {
    const pem = await readFile(join(certs, name), 'utf8').catch(() => undefined);
    if (pem) found.push(readCertificate(pem));
  }
  return found;
}

/** The list is taken where it is the CA's own and newer; the next start takes what it says. */
async function placeCrl(certs: string, crl: Buffer): Promise<void> {
  const authorities = await readAuthorities(certs);
  const path = join(certs, 'crl.pem');
  const current = await readFile(path).catch(() => undefined);
  const read = (bytes: Uint8Array): ReturnType<typeof readCrl>[] =>
    splitCrls(bytes).flatMap((block) => {
      const signed = authorities.flatMap((authority) => {
        try {
          return [readCrl(block, authority)];
        } catch {
          return [];
        }
      });
      return signed.slice(0, 1);
    });
  const offered = read(crl);
  if (offered.length === 0) {
    throw new RefusalError('CRL_UNACCEPTABLE', 'it holds no list that the CA in the backup signed');
  }
  const known = current ? read(current) : [];
  const isNewer = offered.some((list) => known.every((one) => isNewerCrl(list, one)));
  if (isNewer) await writeFile(path, crl);
}

/** To who owns the directory, where root restores for a service. */
async function giveToOwner(data: string, staging: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(data);
  if (uid === 0) return;
  await chown(staging, uid, gid);
  for (const path of await readdir(staging, { recursive: true })) {
    await chown(join(staging, path), uid, gid);
  }
}

/** Into place, the catalog last: a directory without one holds no repository. */
async function moveIntoPlace(data: string, staging: string): Promise<void> {
  await syncFilesystem(data);
  const names = (await readdir(staging)).filter((name) => name !== CATALOG_NAME);
  for (const name of [...names, CATALOG_NAME]) {
    await rename(join(staging, name), join(data, name));
  }
  await rmdir(staging);
  await syncFilesystem(data);
}

/**
 * Restore a backup; a directory in which it failed is as it was.
 * @throws RefusalError DIRECTORY_UNSUITABLE, BACKUP_UNACCEPTABLE, CRL_UNACCEPTABLE, SPACE_EXHAUSTED
 */
export async function restoreBackup(request: RestoreRequest): Promise<RestoreResult> {
  const { data } = request;
  const { staging, isMade } = await prepareDirectory(data);
  try {
    const manifest = await unpackBackup(request.input, staging, {
      progress: request.progress,
      migrate: (path) => withCatalog(path, (catalog) => migrate(catalog, request.now)),
    });
    const catalog = join(staging, CATALOG_NAME);
    const suites = await moveAhead(catalog, request, manifest);
    await writeMirrors(staging);
    await chmod(catalog, 0o600);
    const certs = join(staging, 'certs');
    if (await lstat(certs).catch(() => undefined)) await chmod(certs, 0o700);
    if (request.crl) await placeCrl(certs, request.crl);
    await giveToOwner(data, staging);
    await moveIntoPlace(data, staging);
    return { manifest, suites };
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (isMade) await rmdir(data).catch(() => {});
    throw error;
  }
}
