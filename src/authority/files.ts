/**
 * The folder certs/: names, modes, and writes that leave the old file or the new one, never half.
 * Keys are 0600, the folder 0700. Floor 3.
 */
import { chmod, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import { replaceFile } from '../storage/replace-file.ts';
import { checkExposure } from './exposure.ts';
import type { KeyAccess } from './key-access.ts';
import { finishReplacing, replaceTogether } from './replacement.ts';

/** File -> mode. What is not secret may be read by a web server or a person beside us. */
const MODES = {
  'client-ca.crt': 0o644,
  'client-ca.key': 0o600,
  'client-ca.previous.crt': 0o644,
  'client-ca.previous.key': 0o600,
  'crl.pem': 0o644,
  'foreign-crl.pem': 0o644,
  'server-ca.crt': 0o644,
  'server-ca.key': 0o600,
  'server-ca.next.crt': 0o644,
  'server-ca.next.key': 0o600,
  'server.crt': 0o644,
  'server.key': 0o600,
  'archive-key.asc': 0o600,
  'archive-key.next.asc': 0o600,
  'archive-keyring.gpg': 0o644,
  'archive-keyring.asc': 0o644,
} as const;

export type CertsFile = keyof typeof MODES;

/** What is secret of them: keys.ts reads and writes these. */
export type KeyFile = {
  [File in CertsFile]: (typeof MODES)[File] extends 0o600 ? File : never;
}[CertsFile];

/** A file that holds an OpenPGP key; the others hold PKCS#8. */
export type SecretKeyFile = Extract<KeyFile, `${string}.asc`>;
export type PrivateKeyFile = Exclude<KeyFile, SecretKeyFile>;

/** Every file that holds a key, whether it is there or not. */
export const KEY_FILES = (Object.keys(MODES) as CertsFile[]).filter(
  (file): file is KeyFile => MODES[file] === 0o600,
);

/** Every file that may stand in certs/, with its mode. */
export const CERTS_MODES: Readonly<Record<CertsFile, number>> = MODES;

/** The folder certs/ of one data directory. */
export interface CertsFolder {
  /** How its keys are opened. */
  readonly access: KeyAccess;
  path(file: CertsFile): string;
  /** @throws RefusalError NOT_INITIALISED where the file is missing. */
  readText(file: CertsFile): Promise<string>;
  exists(file: CertsFile): Promise<boolean>;
  write(file: CertsFile, content: string | Uint8Array): Promise<void>;
  /** Durable when it resolves; no fault where there is no such file. */
  remove(file: CertsFile): Promise<void>;
  /** All of these files or none, whenever the machine dies. */
  writeTogether(contents: ReadonlyMap<CertsFile, string>): Promise<void>;
}

/**
 * Opens certs/ below a data directory that is locked, creating the folder.
 * @throws RefusalError KEY_EXPOSED
 */
export async function openCertsFolder(data: string, access: KeyAccess): Promise<CertsFolder> {
  const root = join(data, 'certs');
  await checkExposure(root);
  await mkdir(root, { recursive: true, mode: 0o700 });
  await chmod(root, 0o700);
  await finishReplacing(root);
  const path = (file: CertsFile): string => join(root, file);
  const syncFolder = async (): Promise<void> => {
    const folder = await open(root, 'r');
    await folder.sync().finally(() => folder.close());
  };
  return {
    access,
    path,
    async readText(file) {
      try {
        return await readFile(path(file), 'utf8');
      } catch (error) {
        const why =
          systemCode(error) === 'ENOENT' ? 'is missing' : `cannot be read (${systemCode(error)})`;
        throw new RefusalError('NOT_INITIALISED', `certs/${file} ${why}`);
      }
    },
    async exists(file) {
      return readFile(path(file)).then(
        (bytes) => bytes.length > 0,
        () => false,
      );
    },
    async write(file, content) {
      await replaceFile(path(file), content, MODES[file]);
      await syncFolder();
    },
    async remove(file) {
      await rm(path(file), { force: true });
      await syncFolder();
    },
    writeTogether: (contents) =>
      replaceTogether(
        root,
        [...contents].map(([name, content]) => ({ name, content, mode: MODES[name] })),
      ),
  };
}
