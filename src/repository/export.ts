/**
 * Suites as a plain tree that any web server can serve: the current publication as it was signed,
 * and the files that it lists. Files first, InRelease last, what is old after that: a host that
 * reads meanwhile finds one publication or the other. Floor 3.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { listPackageFilesOf } from '../catalog/packages.ts';
import { listPackagesAt } from '../catalog/standing.ts';
import { byHashKey, distsKey } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import { exportPublicKeys } from '../signing/signing-key.ts';
import { syncFilesystem } from '../storage/filesystem.ts';
import { type ExportedFiles, ExportFolder } from './export-folder.ts';
import type { LivePublication } from './live.ts';
import type { PublishParts } from './publish.ts';
import { type PublishedFile, readPublishedFile } from './published-files.ts';
import { getSuite } from './suites.ts';

export interface ExportResult {
  suites: { suite: string; publication: number; validUntil: number }[];
  files: number;
  written: number;
  removed: number;
}

/** One file of the tree, and how it gets there. */
interface ExportFile {
  path: string;
  size: number;
  sha256: string;
  write: (path: string) => Promise<void>;
}

const EXPORTED_MODE = 0o644;

const fromBytes = (path: string, bytes: Uint8Array): ExportFile => ({
  path,
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  write: (target) => writeFile(target, bytes, { flag: 'wx', mode: EXPORTED_MODE }),
});

async function listPool(
  parts: PublishParts,
  { suite, number }: LivePublication,
): Promise<ExportFile[]> {
  const rows = await listPackagesAt(parts.catalog, suite, number);
  const own = rows.map(({ filename, size, sha256 }) => ({ filename, size, sha256 }));
  const beside = await listPackageFilesOf(parts.catalog, suite, number);
  const distinct = new Map([...own, ...beside].map((file) => [file.filename, file]));
  return [...distinct.values()].map(({ filename, size, sha256 }) => ({
    ...{ path: filename, size, sha256 },
    write: (target) => parts.storage.lend(filename, target),
  }));
}

/** An index under its plain name and by its hash. */
function listIndex(
  parts: PublishParts,
  publication: LivePublication,
  file: PublishedFile,
): ExportFile[] {
  const { path, size, sha256 } = file;
  const write = async (target: string): Promise<void> => {
    const bytes = await readPublishedFile(parts.storage, file);
    await pipeline(bytes, createWriteStream(target, { flags: 'wx', mode: EXPORTED_MODE }));
  };
  const { SHA512, MD5sum } = file.hashes ?? {};
  const named = (
    [
      ['SHA256', sha256],
      ['SHA512', SHA512],
      ['MD5Sum', MD5sum],
    ] as const
  ).flatMap(([algorithm, hex]) =>
    hex === undefined ? [] : [byHashKey(publication.suite, path, algorithm, hex)],
  );
  return [...named, distsKey(publication.suite, path)].map((name) => ({
    ...{ path: name, size, sha256, write },
  }));
}

function listSigned({ suite, release, releaseGpg, inRelease }: LivePublication): ExportFile[] {
  return [
    fromBytes(distsKey(suite, 'Release'), release),
    fromBytes(distsKey(suite, 'Release.gpg'), releaseGpg),
    fromBytes(distsKey(suite, 'InRelease'), inRelease),
  ];
}

async function choosePublications(
  parts: PublishParts,
  suites: readonly string[] | undefined,
): Promise<LivePublication[]> {
  for (const suite of suites ?? []) await getSuite(parts, suite);
  const chosen = [...parts.live.values()].filter(
    ({ suite }) => suites === undefined || suites.includes(suite),
  );
  if (chosen.length > 0) return chosen;
  throw new RefusalError('PUBLICATION_UNKNOWN', 'nothing is published that could be exported');
}

/**
 * Export the current publications of suites, of all without a choice.
 * @param folder empty, not there yet, or an earlier export, which is brought up to date.
 * @throws RefusalError SUITE_UNKNOWN, DIRECTORY_UNSUITABLE, SPACE_EXHAUSTED
 */
export async function exportSuites(
  parts: PublishParts,
  folder: string,
  suites: readonly string[] | undefined,
): Promise<ExportResult> {
  const publications = await choosePublications(parts, suites);
  const target = await ExportFolder.open(folder);
  const { binary, armored } = exportPublicKeys(parts.signingKeys);
  const keyrings = [
    fromBytes('archive-keyring.gpg', binary),
    fromBytes('archive-keyring.asc', Buffer.from(armored)),
  ];
  const bytes: ExportFile[] = [...keyrings];
  for (const publication of publications) {
    bytes.push(...(await listPool(parts, publication)));
    for (const file of publication.files.values()) {
      bytes.push(...listIndex(parts, publication, file));
    }
  }
  const signed = publications.flatMap(listSigned);
  const announced: ExportedFiles = new Map();
  for (const { path, sha256 } of [...bytes, ...signed]) announced.set(path, sha256);
  await target.announce(announced);
  let written = 0;
  const placeAll = async (files: readonly ExportFile[]): Promise<void> => {
    for (const { path, size, sha256, write } of files) {
      if (await target.place(path, { size, sha256 }, write)) written += 1;
    }
    await syncFilesystem(folder);
  };
  await placeAll(bytes);
  await placeAll(signed);
  const removed = await target.finish();
  return {
    suites: publications.map(({ suite, number, validUntil }) => ({
      ...{ suite, publication: number, validUntil },
    })),
    ...{ files: announced.size, written, removed },
  };
}
