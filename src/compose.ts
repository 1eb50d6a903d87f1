/**
 * Configuration -> the working parts; the only file that names the adapters behind the ports.
 * Floor 6.
 */
import { access, mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createSigningKeys, KEY_BACKDATE_MS, openSigningKeys } from './authority/archive-keys.ts';
import { type Authority, openAuthority } from './authority/authority.ts';
import { issueNextCrl } from './authority/crl.ts';
import { checkCertsEmpty, createAuthorities } from './authority/initialise.ts';
import { openCerts, openCertsToFill } from './authority/keys.ts';
import { issueServerCertificate } from './authority/server-certificate.ts';
import { readSite, type Site } from './authority/site.ts';
import { lockDirectory } from './catalog/lock-file.ts';
import { migrate } from './catalog/migrate.ts';
import { readSetting, writeSetting } from './catalog/settings.ts';
import type { Catalog } from './catalog/sql.ts';
import { openSqlite } from './catalog/sqlite.ts';
import type { Config } from './config.ts';
import { RefusalError } from './errors.ts';
import { createReadingSource, DEFAULT_GROUP } from './fleet/groups.ts';
import { Readers } from './fleet/reading.ts';
import type { Logger } from './log.ts';
import type { Parts } from './operations/operation.ts';
import { CheckRuns } from './repository/check-runs.ts';
import { Incoming } from './repository/incoming.ts';
import { Indexes } from './repository/indexes.ts';
import { loadLivePublications } from './repository/live.ts';
import { Mirror } from './repository/mirror.ts';
import { Prover } from './repository/prover.ts';
import { signSuiteAgain } from './repository/publications.ts';
import type { PublishParts } from './repository/publish.ts';
import { Publisher } from './repository/publisher.ts';
import { createSuite } from './repository/suites.ts';
import type { SweepParts } from './repository/sweep-parts.ts';
import { isHostName } from './settings.ts';
import type { SigningKey } from './signing/signing-key.ts';
import { clearUnfinished, openDirectory } from './storage/directory.ts';
import { createReserve } from './storage/reserve.ts';

/** How long a local command waits for another one on the same data directory. */
const LOCK_WAIT_MS = 10_000;

export interface OpenedParts extends Parts {
  close(): Promise<void>;
}

/** What a data directory needs before it can be opened. */
export interface Ground {
  catalog: Catalog;
  release(): Promise<void>;
}

async function openGround(config: Config, now: () => number, waitMs: number): Promise<Ground> {
  const lock = await lockDirectory(config.data, waitMs);
  try {
    const catalog = await openSqlite(join(config.data, 'catalog.sqlite'));
    await migrate(catalog, new Date(now()));
    return {
      catalog,
      async release() {
        await catalog.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The names a server certificate needs: this machine, where it listens, and what was asked for. */
export function listServerNames(config: Config, recorded: readonly string[]): string[] {
  const { host } = config.values.listen;
  const wildcard = ['0.0.0.0', '::'].includes(host);
  const asked = [...config.values.hostname, ...recorded];
  // A machine may call itself what no certificate can carry; what was asked for is refused loudly.
  const machine = isHostName(hostname()) ? [hostname()] : [];
  const names = [...asked, 'localhost', ...machine, '127.0.0.1', '::1'];
  return [...new Set(wildcard ? names : [...names, host])];
}

/** The name in the URL that hosts are given; one that the server certificate carries. */
export function choosePublicName(config: Config, recorded: readonly string[], site: Site): string {
  const { host } = config.values.listen;
  const shown = site.server?.current.leaf.dnsNames.find(isHostName);
  const local = ['0.0.0.0', '::', '127.0.0.1', '::1'].includes(host);
  const name = config.values.hostname[0] ?? shown ?? recorded[0] ?? (local ? 'localhost' : host);
  return name.includes(':') ? `[${name}]` : name;
}

const hasCatalog = (config: Config): Promise<boolean> =>
  access(join(config.data, 'catalog.sqlite')).then(
    () => true,
    () => false,
  );

/** Whether the data directory was initialised to the end; a look that leaves no trace. */
export async function isInitialised(
  config: Config,
  now: () => number = Date.now,
): Promise<boolean> {
  if (!(await hasCatalog(config))) return false;
  const ground = await openGround(config, now, LOCK_WAIT_MS);
  try {
    return (await readSetting(ground.catalog, 'initialised')) === 'done';
  } finally {
    await ground.release();
  }
}

const refuseEmpty = (): RefusalError =>
  new RefusalError(
    'NOT_INITIALISED',
    'this data directory holds no repository: run `aptkeep init` first, or name another with --data; where its catalog was lost, `aptkeep check --repair` makes it again',
  );

/** The catalog in a file, made where it is missing; not migrated. */
export const openCatalog = (path: string): Promise<Catalog> => openSqlite(path);

/** What works on the packages of a data directory that the caller has locked. */
export async function openRepository(
  config: Config,
  catalog: Catalog,
  signingKeys: SigningKey[],
  shared: Pick<PublishParts, 'now' | 'log' | 'url'>,
): Promise<SweepParts & { close(): Promise<void> }> {
  const storage = await openDirectory(config.data);
  await clearUnfinished(config.data);
  const staging = join(config.data, 'pool', '.staging');
  const distsStaging = join(config.data, 'dists', '.staging');
  const parts: PublishParts = {
    ...{ ...shared, catalog, storage, staging, signingKeys },
    prover: new Prover(),
    indexes: new Indexes(catalog, storage, shared.log),
    live: await loadLivePublications(catalog),
    mirror: new Mirror({ storage, staging: distsStaging, log: shared.log }),
  };
  const publisher = new Publisher(parts);
  return {
    ...parts,
    publisher,
    // Of the disk's clock, which is this machine's, whatever `now` says.
    openedAt: Date.now(),
    async close() {
      await publisher.settle();
      await parts.prover.close();
      await parts.indexes.close();
      await parts.mirror.flush();
      await storage.close();
    },
  };
}

/**
 * Open an initialised data directory; it is locked until `close`.
 * @throws RefusalError NOT_INITIALISED, DIRECTORY_IN_USE, CONFIG_INVALID
 */
export async function openParts(
  config: Config,
  log: Logger,
  now: () => number = Date.now,
): Promise<OpenedParts> {
  if (!(await hasCatalog(config))) throw refuseEmpty();
  const site = await readSite(config, now, log);
  const ground = await openGround(config, now, LOCK_WAIT_MS);
  try {
    const { catalog } = ground;
    if ((await readSetting(catalog, 'initialised')) !== 'done') throw refuseEmpty();
    const certs = await openCerts(config, log);
    const crlLifetime = config.values['crl.lifetime'];
    const authority = await openAuthority({ catalog, certs, crlLifetime, now, log }, site);
    const signingKeys = await openSigningKeys(certs);
    const repository = await openRepository(config, catalog, signingKeys, {
      ...{ now, log },
      // As it is when a Release is signed: the port may be chosen only when the server listens.
      url: () => opened.url,
    });
    const recorded = await readRecordedNames(catalog);
    const checks = new CheckRuns(now);
    const opened: OpenedParts = {
      config,
      authority,
      repository,
      incoming: new Incoming({
        waitFor: config.values['upload.waitFor'],
        maxBytes: config.values['upload.maxSize'],
        now,
      }),
      readers: new Readers(createReadingSource(catalog, authority.foreign ? DEFAULT_GROUP : null)),
      activity: createActivity(now()),
      checks,
      reserve: createReserve(config.data),
      url: `https://${choosePublicName(config, recorded, site)}:${config.values.listen.port}`,
      serverNames: async () => listServerNames(config, await readRecordedNames(catalog)),
      log,
      now,
      async close() {
        await checks.stop();
        await repository.close();
        await ground.release();
      },
    };
    return opened;
  } catch (error) {
    await ground.release();
    throw error;
  }
}

function createActivity(startedAt: number): Parts['activity'] {
  const counters = { connections: 0, requests: 0, refusals: 0, uploads: 0 };
  const bytes = { bytesReceived: 0, bytesSent: 0, workerMemoryBytes: 0 };
  return { startedAt, ...counters, ...bytes, workers: 0, imports: new Map() };
}

/** Host names that init or an earlier start was given, besides the machine's own. */
export async function readRecordedNames(catalog: Catalog): Promise<string[]> {
  return JSON.parse((await readSetting(catalog, 'host_names')) ?? '[]') as string[];
}

/** The first suite, as CONTRIBUTING and the tutorial know it. */
async function createFirstSuite(
  config: Config,
  catalog: Catalog,
  shared: { now: () => number; log: Logger },
  signingKeys: SigningKey[],
): Promise<void> {
  const repository = await openRepository(config, catalog, signingKeys, {
    ...shared,
    // The first suite serves nothing by a URL.
    url: () => '',
  });
  try {
    await createSuite(repository, {
      name: 'stable',
      codename: 'stable',
      origin: config.values.name,
      label: config.values.name,
      description: '',
      components: ['main'],
      architectures: ['amd64', 'arm64'],
      validFor: config.values['suite.validFor'],
    });
    await signSuiteAgain(repository, 'stable', 'init', 'create suite');
  } finally {
    await repository.close();
  }
}

/**
 * Make a repository in a data directory: two CAs, the first revocation list, a server certificate,
 * a signing key, suite "stable". An init that was killed is begun again by the next one.
 * @throws RefusalError ALREADY_INITIALISED, and then nothing was changed.
 */
export async function initialiseDirectory(
  config: Config,
  log: Logger,
  now: () => number = Date.now,
): Promise<void> {
  await mkdir(config.data, { recursive: true });
  const ground = await openGround(config, now, 0);
  try {
    const { catalog } = ground;
    const state = await readSetting(catalog, 'initialised');
    if (state === 'done') {
      throw new RefusalError(
        'ALREADY_INITIALISED',
        'this data directory holds a repository already; nothing was changed',
      );
    }
    const certs = await openCertsToFill(config, log);
    if (state === undefined) await checkCertsEmpty(certs);
    await resetCatalog(catalog);
    await createAuthorities(certs, config.values.name, now());
    await issueServerCertificate(certs, listServerNames(config, []), now());
    const created = new Date(now() - KEY_BACKDATE_MS);
    const signingKeys = await createSigningKeys(certs, config.values.name, created);
    const crlLifetime = config.values['crl.lifetime'];
    const authority: Authority = await openAuthority({ catalog, certs, crlLifetime, now, log });
    await issueNextCrl(authority);
    await createFirstSuite(config, catalog, { now, log }, signingKeys);
    await catalog.transaction(async (sql) => {
      await writeSetting(sql, 'organisation', config.values.name);
      await writeSetting(sql, 'host_names', JSON.stringify(config.values.hostname));
      await writeSetting(sql, 'initialised', 'done');
    });
  } finally {
    await ground.release();
  }
}

/** Marks the beginning, and takes away what an init that was killed had written. */
async function resetCatalog(catalog: Catalog): Promise<void> {
  await catalog.transaction(async (sql) => {
    for (const table of ['publication', 'suite', 'crl']) await sql.run(`DELETE FROM ${table}`);
    await writeSetting(sql, 'initialised', 'started');
  });
}
