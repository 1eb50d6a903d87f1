/** The packages that the server itself makes for hosts: the client, and the keyring. Floor 5. */
import { readSetting } from '../catalog/settings.ts';
import { buildClientPackage } from '../fleet/client-package.ts';
import { buildKeyringPackage } from '../repository/keyring-package.ts';
import { type OwnPackage, publishOwnPackages } from '../repository/own-packages.ts';
import { listPublicKeys } from '../signing/signing-key.ts';
import type { Parts } from './operation.ts';

/** The organisation that init was told. */
export const readOrganisation = async ({ authority }: Parts): Promise<string> =>
  (await readSetting(authority.catalog, 'organisation')) ?? 'aptkeep';

/** The keyring of the keys that sign now, as a package. */
export async function buildKeyring(parts: Parts): Promise<OwnPackage & { filename: string }> {
  const edition = Number((await readSetting(parts.authority.catalog, 'keyring_edition')) ?? '0');
  const keys = listPublicKeys(parts.repository.signingKeys);
  return buildKeyringPackage(await readOrganisation(parts), keys, edition);
}

/** Both of them, into these suites; `upgrade` where an older one is. */
export async function publishHostPackages(
  parts: Parts,
  suites: readonly string[],
  request: { actor: string; upgrade: boolean },
): Promise<void> {
  const made = [await buildClientPackage(), await buildKeyring(parts)];
  for (const suite of suites) await publishOwnPackages(parts.repository, suite, made, request);
}

/** The keyring, into every suite: hosts that install it get it from the one they read. */
export async function publishKeyring(parts: Parts, actor: string): Promise<void> {
  const made = [await buildKeyring(parts)];
  for (const suite of parts.repository.live.keys()) {
    await publishOwnPackages(parts.repository, suite, made, { actor, upgrade: false });
  }
}

/** A newer program brings newer clients to where older ones are; it serves without them, too. */
export async function upgradeHostPackages(parts: Parts): Promise<void> {
  const suites = [...parts.repository.live.keys()];
  await publishHostPackages(parts, suites, { actor: 'start', upgrade: true }).catch(
    (error: unknown) => parts.log.error({ event: 'client not published', error: String(error) }),
  );
}
