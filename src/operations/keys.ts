/** Operations on the archive's OpenPGP key. Floor 5. */
import { z } from 'zod';
import {
  beginKeyRotation,
  finishKeyRotation,
  isRotatingKey,
  KEY_BACKDATE_MS,
} from '../authority/archive-keys.ts';
import { readSetting, writeSetting } from '../catalog/settings.ts';
import { signSuiteAgain } from '../repository/publications.ts';
import { describeKey } from '../signing/key.ts';
import { exportPublicKeys, listPublicKeys } from '../signing/signing-key.ts';
import {
  type Actor,
  ADMINS,
  defineOperation,
  type Parts,
  REPOSITORY_READERS,
} from './operation.ts';
import { buildKeyring, publishKeyring, readOrganisation } from './own-packages.ts';
import { followers, listKeyFollowers, refuseFollowers } from './rotations.ts';

const key = z.object({
  fingerprint: z.string(),
  userId: z.string(),
  created: z.string(),
  expires: z.string().nullable(),
  state: z.enum(['current', 'next']).describe('next: hosts are learning it; both sign'),
});

/** The keys that sign, as people compare them. */
export async function describeSigningKeys(parts: Parts): Promise<z.input<typeof key>[]> {
  const keys = listPublicKeys(parts.repository.signingKeys);
  const facts = await Promise.all(keys.map(describeKey));
  const rotating = await isRotatingKey(parts.authority.certs);
  return facts.map(({ fingerprint, userId, created, expires }, position) => ({
    fingerprint,
    userId,
    created: created.toISOString(),
    expires: expires?.toISOString() ?? null,
    state: rotating && position > 0 ? ('next' as const) : ('current' as const),
  }));
}

export const showKey = defineOperation({
  summary: 'The OpenPGP keys that sign every suite',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ keys: z.array(key) }),
  run: async (parts) => ({ keys: await describeSigningKeys(parts) }),
});

export const exportKey = defineOperation({
  summary: 'The public keyring that hosts name in Signed-By',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ armored: z.string(), binary: z.string().describe('base64') }),
  async run(parts) {
    const { armored, binary } = exportPublicKeys(parts.repository.signingKeys);
    return { armored, binary: binary.toString('base64') };
  },
});

export const packageKey = defineOperation({
  summary: 'The public keyring as a binary package, to be uploaded like any other',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({}),
  output: z.object({
    package: z.string(),
    version: z.string(),
    filename: z.string(),
    content: z.string().describe('the .deb, base64'),
  }),
  async run(parts) {
    const made = await buildKeyring(parts);
    return { ...made, content: made.content.toString('base64') };
  },
});

const rotated = z.object({ keys: z.array(key), followers });

/** Every suite is signed by the keys of now, and the keyring package holds them. */
export async function signByKeysOfNow(parts: Parts, actor: Actor, reason: string): Promise<void> {
  const { catalog } = parts.authority;
  const edition = Number((await readSetting(catalog, 'keyring_edition')) ?? '0') + 1;
  await writeSetting(catalog, 'keyring_edition', String(edition));
  for (const suite of parts.repository.live.keys()) {
    await signSuiteAgain(parts.repository, suite, actor.name, reason);
  }
  await publishKeyring(parts, actor.name);
}

export const rotateKey = defineOperation({
  summary: 'Put a new signing key beside the one there is; every suite is signed by both',
  roles: ADMINS,
  changes: true,
  input: z.object({}),
  output: rotated,
  async run(parts, _input, actor) {
    const { signingKeys } = parts.repository;
    const created = new Date(parts.now() - KEY_BACKDATE_MS);
    const organisation = await readOrganisation(parts);
    await beginKeyRotation(parts.authority.certs, signingKeys, organisation, created);
    await signByKeysOfNow(parts, actor, 'sign with the new key too');
    return { keys: await describeSigningKeys(parts), followers: await listKeyFollowers(parts) };
  },
});

export const finishKey = defineOperation({
  summary: 'End the rotation of the signing key: only the new one signs from now on',
  roles: ADMINS,
  changes: true,
  input: z.object({
    force: z.boolean().default(false).describe('also where hosts have not reported the new key'),
  }),
  output: rotated,
  async run(parts, { force }, actor) {
    const { certs } = parts.authority;
    if (await isRotatingKey(certs)) {
      refuseFollowers('signing key', await listKeyFollowers(parts), force);
    }
    await finishKeyRotation(certs, parts.repository.signingKeys);
    await signByKeysOfNow(parts, actor, 'sign with the new key alone');
    return { keys: await describeSigningKeys(parts), followers: [] };
  },
});
