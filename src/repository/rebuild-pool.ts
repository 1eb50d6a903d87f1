/**
 * The packages of the pool, each read again from its own bytes, as rows of a catalog that knows
 * nothing. Floor 3.
 */
import { createHash, randomUUID } from 'node:crypto';
import { insertPackageFile, type PackageFileRow } from '../catalog/package-files.ts';
import { insertPackages, type PackageRow } from '../catalog/packages.ts';
import type { Catalog } from '../catalog/sql.ts';
import { POOL_PREFIX } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import type { Storage } from '../storage/storage.ts';
import { spellPackage } from './pool-lock.ts';
import { rereadPackage } from './reread.ts';

const ROWS_A_TRANSACTION = 200;

/** Who uploaded it, nobody knows any more. */
const UPLOADER = 'unknown';

/** What a listing of it needs; the rest is in the catalog. */
export interface FoundPackage {
  id: string;
  component: string;
  architecture: string;
  sha256: string;
  size: number;
}

export interface FoundPool {
  /** By key. */
  packages: Map<string, FoundPackage>;
  warnings: string[];
}

interface Parts {
  catalog: Catalog;
  storage: Storage;
  read: (bytes: number) => void;
}

interface Found {
  row: PackageRow;
  files: PackageFileRow[];
}

async function hashObject({ storage, read }: Parts, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await storage.read(key)) {
    hash.update(chunk as Buffer);
    read((chunk as Buffer).length);
  }
  return hash.digest('hex');
}

async function readFound(parts: Parts, key: string): Promise<Found | undefined> {
  const stat = await parts.storage.stat(key);
  const component = key.split('/')[1] ?? '';
  if (!stat) return undefined;
  const file = { filename: key, size: stat.size, sha256: await hashObject(parts, key) };
  const read = await rereadPackage(parts.storage, file, component);
  const { name, version, architecture, source, stanza } = read;
  const row: PackageRow = {
    ...{ id: randomUUID(), name, version, architecture, source, component, stanza, ...file },
    kind: key.slice(key.lastIndexOf('.') + 1),
    ...{ uploaded_at: new Date(stat.modified).toISOString(), uploaded_by: UPLOADER, hashes: '{}' },
  };
  const folder = key.slice(0, key.lastIndexOf('/') + 1);
  const files: PackageFileRow[] = [];
  for (const named of read.files) {
    const filename = folder + named.name;
    const sha256 = (await parts.storage.stat(filename)) && (await hashObject(parts, filename));
    if (sha256 !== named.sha256) {
      const why = `it names ${named.name}, which is not there with the SHA256 that it says`;
      throw new RefusalError('PACKAGE_MALFORMED', why);
    }
    files.push({ package_id: row.id, filename, size: named.size, sha256: named.sha256 });
  }
  return { row, files };
}

/** Reads every package of the pool into the catalog. */
export async function rebuildPool(parts: Parts): Promise<FoundPool> {
  const packages = new Map<string, FoundPackage>();
  const warnings: string[] = [];
  const names = new Map<string, string>();
  let waiting: Found[] = [];
  const record = async (): Promise<void> => {
    const rows = waiting;
    waiting = [];
    await parts.catalog.transaction(async (sql) => {
      for (const { row, files } of rows) {
        await insertPackages(sql, [row]);
        for (const file of files) await insertPackageFile(sql, file);
      }
    });
  };
  for await (const key of parts.storage.list(POOL_PREFIX)) {
    if (!/\.(deb|udeb|ddeb|dsc)$/.test(key)) continue;
    try {
      const found = await readFound(parts, key);
      if (!found) continue;
      const { row } = found;
      const name = `${spellPackage(row)} ${row.kind}`;
      const twin = names.get(name);
      if (twin !== undefined) throw new RefusalError('PACKAGE_CONFLICT', `${twin} is it as well`);
      names.set(name, key);
      const { id, component, architecture, sha256, size } = row;
      packages.set(key, { id, component, architecture, sha256, size });
      waiting.push(found);
    } catch (error) {
      if (!(error instanceof RefusalError)) throw error;
      warnings.push(`${key}: left alone: ${error.message}`);
    }
    if (waiting.length >= ROWS_A_TRANSACTION) await record();
  }
  await record();
  return { packages, warnings };
}
