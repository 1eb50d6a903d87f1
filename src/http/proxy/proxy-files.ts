/**
 * The folder proxy/ of the data directory, which nginx reads: the authorities of client
 * certificates, their revocation lists, and the secret that shows us that it is nginx who asks. Each
 * is replaced whole. Floor 7.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { exportCrls } from '../../authority/crl.ts';
import type { Trust } from '../../authority/trust.ts';
import { RefusalError, systemCode } from '../../errors.ts';
import { replaceFile } from '../../storage/replace-file.ts';
import { HANDOVER_HEADERS } from './handover.ts';

const MODES = { 'crl.pem': 0o644, 'client-ca.pem': 0o644, 'secret.conf': 0o600 } as const;
export type ProxyFile = keyof typeof MODES;

const SECRET_BYTES = 32;

export const proxyFolder = (data: string): string => join(data, 'proxy');
export const proxyPath = (data: string, file: ProxyFile): string => join(proxyFolder(data), file);

const write = (data: string, file: ProxyFile, content: string): Promise<void> =>
  replaceFile(proxyPath(data, file), content, MODES[file]);

/** nginx's workers, of another user, have to get through to the socket. */
export async function openProxyFolder(data: string): Promise<void> {
  await mkdir(proxyFolder(data), { recursive: true });
  await chmod(proxyFolder(data), 0o755);
}

/**
 * The secret of this data directory, made where there is none. It stays the same, so that nginx
 * need not read it again when we start.
 * @throws RefusalError KEY_EXPOSED where others than its owner may read it.
 */
export async function openSecret(data: string): Promise<string> {
  const path = proxyPath(data, 'secret.conf');
  const found = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new RefusalError('CONFIG_INVALID', `proxy/secret.conf: ${systemCode(error)}`);
  });
  if (found !== undefined) {
    if (((await stat(path)).mode & 0o077) !== 0) {
      throw new RefusalError(
        'KEY_EXPOSED',
        'proxy/secret.conf may be read by others: whoever knows it passes for nginx; remove it and reload nginx after the next start',
      );
    }
    const [, secret] = /^proxy_set_header \S+ "([0-9a-f]{64})";\n$/.exec(found) ?? [];
    if (secret !== undefined) return secret;
  }
  const secret = randomBytes(SECRET_BYTES).toString('hex');
  await write(data, 'secret.conf', `proxy_set_header ${HANDOVER_HEADERS.secret} "${secret}";\n`);
  return secret;
}

/** What nginx checks certificates by, as it stands now. */
export async function writeProxyTrust(data: string, trust: Trust): Promise<void> {
  const authorities = trust.authorities.map(({ pem }) => `${pem.trimEnd()}\n`).join('');
  await write(data, 'client-ca.pem', authorities);
  await write(data, 'crl.pem', exportCrls(trust));
}
