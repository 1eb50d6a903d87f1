/**
 * The packages that the server makes itself and publishes through the same door as any upload: the
 * hosts' client, the keyring. What is listed already is left alone, so that it may be asked for as
 * often as one likes. Floor 3.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { findListedPackages, findPackage } from '../catalog/packages.ts';
import { compareVersions } from '../deb/version.ts';
import { type IngestParts, ingestPackages, type ReceivedFile } from './ingest.ts';

/** A package for every architecture. */
export interface OwnPackage {
  package: string;
  version: string;
  content: Buffer;
}

/** The versions of a package that a suite lists. */
async function listVersions(parts: IngestParts, suite: string, name: string): Promise<string[]> {
  const rows = await findListedPackages(parts.catalog, name);
  return rows.filter((row) => row.suite === suite).map((row) => row.version);
}

/** Where this version is in the pool, its bytes of then: another zlib may compress otherwise. */
async function readBytes(parts: IngestParts, made: OwnPackage): Promise<Buffer> {
  const known = await findPackage(parts.catalog, made.package, made.version, 'all');
  return known ? buffer(await parts.storage.read(known.filename)) : made.content;
}

function receive(bytes: Buffer): ReceivedFile {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes, size: bytes.length, sha256 };
}

/**
 * Add to a suite those of the packages that it does not list in this version or a newer one;
 * `upgrade` takes only those of which it lists an older one.
 */
export async function publishOwnPackages(
  parts: IngestParts,
  suite: string,
  packages: readonly OwnPackage[],
  { actor, upgrade }: { actor: string; upgrade: boolean },
): Promise<void> {
  const files: ReceivedFile[] = [];
  for (const made of packages) {
    const listed = await listVersions(parts, suite, made.package);
    if (listed.some((version) => compareVersions(version, made.version) >= 0)) continue;
    if (upgrade && listed.length === 0) continue;
    files.push(receive(await readBytes(parts, made)));
  }
  if (files.length === 0) return;
  const request = { files, suite, component: undefined, packages: null, actor };
  await ingestPackages(parts, { ...request, isOwn: true, confirm: () => {} });
}
