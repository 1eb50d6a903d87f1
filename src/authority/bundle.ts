/**
 * PEM files that a site brings with it, read once and judged as configuration: what is wrong with
 * them is said with the key that named them. Source of truth: RFC 7468. Floor 3.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RefusalError, systemCode } from '../errors.ts';
import { type CertificateFacts, readCertificate } from '../pki/certificate.ts';
import { readPemBlocks } from '../pki/pem.ts';
import { CERTIFICATE_PEM } from '../pki/signer.ts';
import type { SettingKey } from '../settings.ts';

/** A path as configured, and the folder where it begins when it is not absolute. */
export interface SitePath {
  setting: SettingKey;
  path: string;
  folder: string;
}

export const refuseSetting = (setting: SettingKey, why: string): RefusalError =>
  new RefusalError('CONFIG_INVALID', `${setting}: ${why}`);

/** @throws RefusalError CONFIG_INVALID */
export async function readSiteFile({ setting, path, folder }: SitePath): Promise<Buffer> {
  try {
    return await readFile(resolve(folder, path));
  } catch (error) {
    throw refuseSetting(setting, `${path} cannot be read (${systemCode(error)})`);
  }
}

/**
 * Every certificate of a file, in its order.
 * @throws RefusalError CONFIG_INVALID also where there is none.
 */
export async function readCertificates(file: SitePath): Promise<CertificateFacts[]> {
  const bytes = await readSiteFile(file);
  let found: CertificateFacts[];
  try {
    found = readPemBlocks(bytes, CERTIFICATE_PEM).map((der) => readCertificate(der));
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    throw refuseSetting(file.setting, `${file.path}: ${error.message}`);
  }
  if (found.length > 0) return found;
  throw refuseSetting(file.setting, `${file.path} holds no certificate in PEM`);
}
