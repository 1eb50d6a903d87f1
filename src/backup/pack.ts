/**
 * A backup written while the repository is in use: the catalog of one moment and everything it
 * refers to. Objects never change, and the caller keeps them from being swept meanwhile. Floor 4.
 */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import { openSnapshot } from '../catalog/snapshot.ts';
import { listStoredObjects, type StoredObject } from '../catalog/stored-objects.ts';
import { RefusalError, systemCode } from '../errors.ts';
import {
  CATALOG_NAME,
  CERTS_PREFIX,
  createManifest,
  END_NAME,
  findCertsMode,
  isSecret,
  MANIFEST_NAME,
  type Manifest,
  SETTINGS_NAME,
} from './contents.ts';

/** A snapshot taken while certs/ changed is taken again. */
const MAX_ATTEMPTS = 5;
const READ_BUFFER_BYTES = 1024 * 1024;

export interface PackRequest {
  data: string;
  /** The configuration in force; undefined where there is no file. */
  settingsFile: string | undefined;
  withKeys: boolean;
  program: string;
  created: Date;
  /** Makes a snapshot of the catalog now and answers its path. */
  takeSnapshot: () => Promise<string>;
  output: Writable;
  progress: (done: number, total: number) => void;
}

interface MemberHeader {
  name: string;
  mode: number;
  mtime: Date;
}

export interface CertsCopy {
  name: string;
  mode: number;
  content: Buffer;
}

async function readCerts(data: string): Promise<CertsCopy[]> {
  const folder = join(data, 'certs');
  const found: CertsCopy[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const mode = findCertsMode(name);
    if (mode !== undefined) found.push({ name, mode, content: await readFile(join(folder, name)) });
  }
  return found;
}

const isEqual = (one: readonly CertsCopy[], other: readonly CertsCopy[]): boolean =>
  one.length === other.length &&
  one.every(({ name, content }, at) => {
    const same = other[at];
    return same?.name === name && same.content.equals(content);
  });

/** The catalog and certs/ of the same moment. */
async function takeTogether(
  request: PackRequest,
): Promise<{ snapshot: string; certs: CertsCopy[] }> {
  for (let attempt = 1; ; attempt += 1) {
    const before = await readCerts(request.data);
    const snapshot = await request.takeSnapshot();
    const certs = await readCerts(request.data);
    if (isEqual(before, certs)) return { snapshot, certs };
    if (attempt === MAX_ATTEMPTS) {
      throw new RefusalError('DIRECTORY_IN_USE', 'certs/ changes all the time: try again later');
    }
  }
}

async function hashFile(path: string): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BUFFER_BYTES })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { size, sha256: hash.digest('hex') };
}

const damaged = (key: string, why: string): RefusalError =>
  new RefusalError(
    'BACKUP_UNACCEPTABLE',
    `${key} ${why}: what cannot be restored is not backed up; aptkeep check finds all that is damaged`,
  );

/** Bytes of a file into the next member, which has to have exactly this size and hash. */
async function packFile(
  archive: Pack,
  header: MemberHeader,
  path: string,
  expected: { size: number; sha256: string },
  count: (bytes: number) => void,
): Promise<void> {
  const { name } = header;
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (error: unknown) => {
      throw damaged(name, systemCode(error) === 'ENOENT' ? 'is missing' : 'cannot be read');
    },
  );
  try {
    const { size } = await handle.stat();
    if (size !== expected.size) {
      throw damaged(name, `has ${size} bytes where the catalog says ${expected.size}`);
    }
    const hash = createHash('sha256');
    const tap = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        count(chunk.length);
        done(null, chunk);
      },
    });
    const file = handle.createReadStream({ autoClose: false, highWaterMark: READ_BUFFER_BYTES });
    await pipeline(file, tap, archive.entry({ ...header, size }));
    const sha256 = hash.digest('hex');
    if (sha256 !== expected.sha256) {
      throw damaged(name, `has SHA256 ${sha256} where the catalog says ${expected.sha256}`);
    }
  } finally {
    await handle.close();
  }
}

function packBytes(archive: Pack, header: MemberHeader, content: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry({ ...header, size: content.length }, Buffer.from(content), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

async function listObjects(snapshot: string): Promise<StoredObject[]> {
  const sql = openSnapshot(snapshot);
  try {
    const objects: StoredObject[] = [];
    for await (const object of listStoredObjects(sql)) objects.push(object);
    return objects;
  } finally {
    sql.close();
  }
}

async function readSettingsFile(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere ? readFile(path) : undefined;
}

/**
 * Write a backup; what is written of one that fails is of no use.
 * @throws RefusalError BACKUP_UNACCEPTABLE where an object is missing or damaged, DIRECTORY_IN_USE
 */
export async function packBackup(request: PackRequest): Promise<Manifest> {
  const { snapshot, certs } = await takeTogether(request);
  const objects = await listObjects(snapshot);
  const catalog = await hashFile(snapshot);
  const settings = await readSettingsFile(request.settingsFile);
  const total = objects.reduce((sum, { size }) => sum + size, catalog.size);
  const manifest = createManifest({
    ...{ program: request.program, created: request.created.toISOString(), catalog },
    ...{ keys: request.withKeys, objects: objects.length, bytes: total - catalog.size },
  });
  const mtime = request.created;
  let done = 0;
  const count = (bytes: number): void => {
    done += bytes;
    request.progress(done, total);
  };
  const archive = pack();
  const writing = pipeline(archive, request.output);
  const fill = async (): Promise<void> => {
    const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
    await packBytes(archive, { name: MANIFEST_NAME, mode: 0o600, mtime }, text);
    const header = { name: CATALOG_NAME, mode: 0o600, mtime };
    await packFile(archive, header, snapshot, catalog, count);
    for (const { name, mode, content } of certs) {
      if (!request.withKeys && isSecret(name)) continue;
      await packBytes(archive, { name: `${CERTS_PREFIX}${name}`, mode, mtime }, content);
    }
    if (settings) await packBytes(archive, { name: SETTINGS_NAME, mode: 0o600, mtime }, settings);
    for (const object of objects) {
      const place = { name: object.key, mode: 0o644, mtime };
      await packFile(archive, place, join(request.data, object.key), object, count);
    }
    await packBytes(archive, { name: END_NAME, mode: 0o600, mtime }, new Uint8Array());
    archive.finalize();
  };
  // Whichever fails ends the other: what is written to may be full, what is read may be damaged.
  await Promise.all([
    writing,
    fill().catch((error: unknown) => {
      archive.destroy(error as Error);
      throw error;
    }),
  ]);
  return manifest;
}
