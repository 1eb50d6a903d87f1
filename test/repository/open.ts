/**
 * A repository in a temporary directory, on the real adapters: its clock can be set, its disk can
 * be told to fail. Packages are hand-made archives; what they are judged by are other programs.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { migrate } from '../../src/catalog/migrate.ts';
import type { Catalog } from '../../src/catalog/sql.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createLogger } from '../../src/log.ts';
import { Indexes } from '../../src/repository/indexes.ts';
import {
  type IngestResult,
  ingestPackages,
  type ReceivedFile,
} from '../../src/repository/ingest.ts';
import { loadLivePublications } from '../../src/repository/live.ts';
import { Mirror } from '../../src/repository/mirror.ts';
import { Prover } from '../../src/repository/prover.ts';
import type { PublishParts } from '../../src/repository/publish.ts';
import { findFileByHash, readPublishedFile } from '../../src/repository/published-files.ts';
import { Publisher } from '../../src/repository/publisher.ts';
import { LIMITS, type Limits } from '../../src/repository/segments.ts';
import { createSuite, type SuiteDefinition } from '../../src/repository/suites.ts';
import type { SweepParts } from '../../src/repository/sweep-parts.ts';
import {
  exportKeyring,
  generateSigningKey,
  readSigningKey,
  type SecretKey,
} from '../../src/signing/key.ts';
import { holdSecretKey } from '../../src/signing/signing-key.ts';
import { clearUnfinished, openDirectory } from '../../src/storage/directory.ts';
import { createStagingFile } from '../../src/storage/staging.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { buildPackage, buildTar } from '../deb/build.ts';
import { verifySignatures } from '../e2e/signatures.ts';

const DAY_MS = 86_400_000;
const KEY_AGE_MS = 30 * DAY_MS;

/** When these tests take place; past, so that gpgv and sqv take the signatures. */
export const START_MS = Date.parse('2021-05-14T10:00:00.250Z');

export const STABLE: SuiteDefinition = {
  name: 'stable',
  codename: 'stable',
  origin: 'Uni Example',
  label: 'Uni',
  description: '',
  components: ['main'],
  architectures: ['amd64', 'arm64'],
  validFor: 7 * DAY_MS,
  // Two files less for each architecture; contents.test.ts is about them.
  options: { contents: false },
};

export interface Clock {
  /** Milliseconds since the epoch. */
  now: number;
}

export interface OpenRepository extends SweepParts {
  close(): Promise<void>;
}

export interface OpenOptions {
  clock?: Clock;
  key?: SecretKey;
  /** What stands between the repository and its disk. */
  wrap?: (storage: Storage) => Storage;
  /** How long segments are. */
  limits?: Limits;
}

/** Opens what is in the directory, as the program does when it starts. */
export async function openRepository(
  root: string,
  { clock, key, wrap = (storage) => storage, limits = LIMITS }: OpenOptions = {},
): Promise<OpenRepository> {
  const now = (): number => (clock ? clock.now : START_MS);
  const catalog = await openSqlite(join(root, 'catalog.sqlite'));
  await migrate(catalog, new Date(now()));
  const storage = wrap(await openDirectory(root));
  await clearUnfinished(root);
  const log = createLogger('silent');
  const parts: PublishParts = {
    catalog,
    storage,
    staging: join(root, 'pool/.staging'),
    signingKeys: [holdSecretKey(key ?? (await createKey()))],
    indexes: new Indexes(catalog, storage, log, limits),
    live: await loadLivePublications(catalog),
    mirror: new Mirror({ storage, staging: join(root, 'dists/.staging'), log }),
    now,
    prover: new Prover(),
    url: () => 'https://repo.example.org:8443',
    log,
  };
  const publisher = new Publisher(parts);
  return {
    ...parts,
    publisher,
    openedAt: Date.now(),
    async close() {
      await publisher.settle();
      await parts.prover.close();
      await parts.indexes.close();
      await parts.mirror.flush();
      await storage.close();
      await catalog.close();
    },
  };
}

export const createKey = async (): Promise<SecretKey> =>
  readSigningKey(await generateSigningKey('Test', new Date(START_MS - KEY_AGE_MS)));

/** A suite with its first publication. */
export async function publishFirst(
  parts: OpenRepository,
  definition: Partial<SuiteDefinition> = {},
): Promise<void> {
  const suite = await createSuite(parts, { ...STABLE, ...definition });
  await signAgain(parts, suite.name);
}

export function signAgain(parts: OpenRepository, suite = 'stable'): Promise<{ number: number }> {
  const change = { additions: [], removals: [], reason: 'sign again', actor: 'test' };
  return parts.publisher.submit(suite, change);
}

export interface TestPackage {
  name: string;
  version?: string;
  architecture?: string;
  /** Lines of the control file beyond the necessary ones. */
  fields?: string;
  content?: Uint8Array | string;
}

/** The bytes of a binary package. */
export function createPackage(wanted: TestPackage): Buffer {
  const { name, version = '1.0', architecture = 'all', fields = '', content = name } = wanted;
  const control = `Package: ${name}\nVersion: ${version}\nArchitecture: ${architecture}\nMaintainer: A <a@example.org>\nDescription: made for a test\n${fields}`;
  const pack = (path: string, bytes: Uint8Array | string): Buffer =>
    gzipSync(buildTar([{ name: path, content: bytes }]), { level: 1 });
  return buildPackage({
    control: { name: 'control.tar.gz', content: pack('./control', control) },
    data: { name: 'data.tar.gz', content: pack('./usr/f', content) },
  });
}

/** Bytes into staging, as an upload brings them. */
export async function receive(parts: OpenRepository, bytes: Uint8Array): Promise<ReceivedFile> {
  const { path, handle } = await createStagingFile(parts.staging);
  await handle.writeFile(bytes);
  await handle.close();
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path, size: bytes.length, sha256 };
}

/** Received, added to a suite, and discarded where the pool did not take it. */
export async function ingest(
  parts: OpenRepository,
  packages: readonly Uint8Array[],
  place: {
    suite?: string;
    component?: string;
    names?: readonly string[];
    confirm?: () => void;
  } = {},
): Promise<IngestResult[]> {
  const files = await Promise.all(packages.map((bytes) => receive(parts, bytes)));
  const { suite = 'stable', component, names = null, confirm = () => {} } = place;
  try {
    const request = { files, suite, component, actor: 'test', packages: names, confirm };
    return await ingestPackages(parts, request);
  } finally {
    for (const { path } of files) if (path !== undefined) rmSync(path, { force: true });
  }
}

export async function listKeys(storage: Storage, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of storage.list(prefix)) keys.push(key);
  return keys.sort();
}

/** What the catalog lists in a suite: key in the pool -> SHA256. */
export async function listRecorded(catalog: Catalog): Promise<Map<string, string>> {
  const rows = await catalog.all<{ filename: string; sha256: string }>(
    'SELECT DISTINCT p.filename, p.sha256 FROM package p JOIN listing l ON l.package_id = p.id',
  );
  return new Map(rows.map((row) => [row.filename, row.sha256]));
}

export const hashBytes = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

export const readKey = async (storage: Storage, key: string): Promise<Buffer> =>
  buffer(await storage.read(key));

/** The bytes of a file of any publication, by its hash. */
export async function readByHash(
  { catalog, storage }: OpenRepository,
  path: string,
  hex: string,
): Promise<Buffer> {
  const directory = path.slice(0, path.lastIndexOf('/') + 1);
  const name = { suite: 'stable', directory, algorithm: 'SHA256', hex } as const;
  const file = await findFileByHash(catalog, name);
  if (!file) throw new Error(`${path} ${hex} is not kept`);
  return buffer(await readPublishedFile(storage, file));
}

/** The mirror on disk, its signatures proven by gpgv and sqv; answers its Release file. */
export async function verifyMirror(
  root: string,
  parts: OpenRepository,
  suite = 'stable',
): Promise<string> {
  await parts.mirror.flush();
  const folder = mkdtempSync(join(root, 'verified-'));
  const [key] = parts.signingKeys;
  if (!key) throw new Error('no signing key');
  const keyring = join(folder, 'keyring.gpg');
  await writeFile(keyring, exportKeyring([key.publicKey]).binary);
  const live = parts.live.get(suite);
  for (const [name, bytes] of [
    ['InRelease', live?.inRelease],
    ['Release', live?.release],
    ['Release.gpg', live?.releaseGpg],
  ] as const) {
    const mirrored = await readFile(join(root, 'dists', suite, name));
    if (!bytes?.equals(mirrored)) throw new Error(`${name} on disk is not the one in memory`);
    await writeFile(join(folder, name), mirrored);
  }
  await verifySignatures(folder, keyring);
  const release = await readFile(join(folder, 'Release'), 'utf8');
  rmSync(folder, { recursive: true });
  return release;
}

/** A disk that fails at the n-th write, from the first on; it counts in any case. */
export class FailingDisk {
  /** The keys that count: what a publication is made of, not its mirror, which follows later. */
  watched = /^pool\/|\/\.segments\//;
  writes = 0;
  /** Writes under way. */
  pending = 0;
  failAt = Number.POSITIVE_INFINITY;

  readonly wrap = (storage: Storage): Storage => ({
    ...storage,
    write: async (key, source) => {
      if (!this.watched.test(key)) return storage.write(key, source);
      this.writes += 1;
      if (this.writes === this.failAt) throw new Error('EIO: the disk was told to fail');
      this.pending += 1;
      try {
        await storage.write(key, source);
      } finally {
        this.pending -= 1;
      }
    },
  });
}
