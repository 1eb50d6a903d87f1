/** Bringing a repository of others into a suite. Floor 5. */
import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { adoptSigningKey, readForeignKey } from '../authority/archive-keys.ts';
import { listSuites, raiseFloors } from '../catalog/suites.ts';
import { RefusalError, systemCode } from '../errors.ts';
import type { WebAccess } from '../foreign/web.ts';
import { importRepository } from '../repository/import.ts';
import { findValidFrom, type PublicKey, readKeyring, type SecretKey } from '../signing/key.ts';
import { signByKeysOfNow } from './keys.ts';
import { ADMINS, defineOperation, READERS } from './operation.ts';

const input = z.object({
  suite: z.string(),
  source: z.string().describe('a folder on the machine of the server, absolute, or an https URL'),
  distribution: z.string().optional().describe('which of those under dists/'),
  components: z.array(z.string()).min(1).optional().describe('these alone'),
  architectures: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('these and all; source for source packages'),
  keyring: z.base64().optional().describe('who signs the source: an OpenPGP keyring, base64'),
  signingKey: z.string().optional().describe('a file there: the secret key that hosts know'),
  sourceCa: z.string().optional().describe('the CA of the server in the URL, PEM'),
  sourceCert: z.string().optional().describe('a file there: the certificate to show it, PEM'),
  sourceKey: z.string().optional().describe('a file there: its private key, PEM'),
  checkData: z
    .boolean()
    .optional()
    .describe('read data.tar of every package; without it where no index vouches for a file'),
  skipBad: z.boolean().default(false).describe('import the others where some are not accepted'),
});

type Input = z.output<typeof input>;

async function readNamed(what: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  if (!isAbsolute(path)) throw new RefusalError('INPUT_INVALID', `${what} is no absolute path`);
  return readFile(path).catch((error: unknown) => {
    throw new RefusalError('FILE_UNREADABLE', `${what} ${path}: ${systemCode(error)}`);
  });
}

async function readWebAccess(request: Input): Promise<WebAccess> {
  const { sourceCa, sourceCert, sourceKey } = request;
  if ((sourceCert === undefined) !== (sourceKey === undefined)) {
    throw new RefusalError('INPUT_INVALID', 'sourceCert and sourceKey belong together');
  }
  return {
    ca: sourceCa === undefined ? undefined : Buffer.from(sourceCa),
    cert: await readNamed('sourceCert', sourceCert),
    key: await readNamed('sourceKey', sourceKey),
  };
}

/** Whose signature vouches for the source: the keyring, or else the key that is taken over. */
async function readTrust(
  { keyring }: Input,
  key: SecretKey | undefined,
): Promise<PublicKey[] | undefined> {
  if (keyring === undefined) return key && [key.toPublic()];
  const keys = await readKeyring(Buffer.from(keyring, 'base64')).catch(() => []);
  if (keys.length > 0) return keys;
  throw new RefusalError('INPUT_INVALID', 'keyring: it holds no OpenPGP public key');
}

export const importSuite = defineOperation({
  summary: 'Bring a repository of others into a suite, in one publication',
  roles: ADMINS,
  changes: true,
  input,
  output: z.object({
    suite: z.string(),
    publication: z.number(),
    added: z.number(),
    present: z.number().describe('packages that the suite listed before'),
    refused: z.array(z.object({ file: z.string(), code: z.string(), why: z.string() })),
  }),
  subject: ({ suite, source }) => `${suite} ${source}`,
  async run(parts, request, actor) {
    const { suite, source, distribution, components, architectures } = request;
    if (!isAbsolute(source) && !/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
      throw new RefusalError('INPUT_INVALID', 'source is neither an absolute path nor a URL');
    }
    const keyText = (await readNamed('signingKey', request.signingKey))?.toString('utf8');
    const key =
      keyText === undefined ? undefined : await readForeignKey(keyText, new Date(parts.now()));
    const { imports } = parts.activity;
    let isTakenOver = false;
    const takeKeyOver = async (): Promise<void> => {
      if (!key) return;
      const { catalog, signingKeys } = parts.repository;
      // No signature may be older than the key, and a Date lies a little back.
      const floors = { number: 0, date: findValidFrom(key).toISOString() };
      await catalog.transaction(async (sql) => {
        for (const { name } of await listSuites(sql)) await raiseFloors(sql, name, floors);
      });
      isTakenOver = await adoptSigningKey(parts.authority.certs, signingKeys, key);
    };
    try {
      return await importRepository(parts.repository, {
        ...{ suite, source, distribution, components, architectures },
        ...{ keyring: await readTrust(request, key), web: await readWebAccess(request) },
        ...{ checkData: request.checkData, skipBad: request.skipBad, actor: actor.name },
        validFor: parts.config.values['suite.validFor'],
        prepare: takeKeyOver,
        progress: (done, total) => imports.set(suite, { done, total }),
      });
    } finally {
      imports.delete(suite);
      // Whoever reads the other suites knows the key that signed them before, which still does.
      const reason = 'sign with the key of an imported repository too';
      if (isTakenOver) await signByKeysOfNow(parts, actor, reason);
    }
  },
});

export const showImports = defineOperation({
  summary: 'The imports that are under way',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({
    imports: z.array(z.object({ suite: z.string(), done: z.number(), total: z.number() })),
  }),
  run: async (parts) => ({
    imports: [...parts.activity.imports].map(([suite, { done, total }]) => ({
      ...{ suite, done, total },
    })),
  }),
});
