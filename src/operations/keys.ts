/** Operations on the archive's OpenPGP key. Floor 5. */
import { z } from 'zod';
import { readSetting } from '../catalog/settings.ts';
import { buildKeyringPackage } from '../repository/keyring-package.ts';
import { describeKey, exportKeyring, type PublicKey } from '../signing/key.ts';
import { defineOperation, type Parts, REPOSITORY_READERS } from './operation.ts';

const key = z.object({
  fingerprint: z.string(),
  userId: z.string(),
  created: z.string(),
  expires: z.string().nullable(),
});

const listPublicKeys = (parts: Parts): PublicKey[] =>
  parts.repository.signingKeys.map((one) => one.publicKey);

/** The keys that sign, as people compare them. */
export async function describeSigningKeys(parts: Parts): Promise<z.input<typeof key>[]> {
  const facts = await Promise.all(listPublicKeys(parts).map(describeKey));
  return facts.map(({ fingerprint, userId, created, expires }) => ({
    fingerprint,
    userId,
    created: created.toISOString(),
    expires: expires?.toISOString() ?? null,
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
    const keyrings = listPublicKeys(parts).map(exportKeyring);
    return {
      armored: keyrings.map((keyring) => keyring.armored).join(''),
      binary: Buffer.concat(keyrings.map((keyring) => keyring.binary)).toString('base64'),
    };
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
    const organisation = (await readSetting(parts.authority.catalog, 'organisation')) ?? 'aptkeep';
    const made = await buildKeyringPackage(organisation, listPublicKeys(parts));
    return { ...made, content: made.content.toString('base64') };
  },
});
