/** Suites that ask for a signature. Keys and signatures are made by gpg, at its own faked time. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { publishOwnPackages } from '../../src/repository/own-packages.ts';
import { recordSigners, removeSigner, requireSigners } from '../../src/repository/signers.ts';
import { setSuite } from '../../src/repository/suite-settings.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import { buildSource, fileOf, filesOf } from '../deb/build-source.ts';
import { listFiles } from '../e2e/site.ts';
import {
  type Clock,
  createKey,
  createPackage,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  START_MS,
} from './open.ts';

const HOUR_MS = 3_600_000;
const home = mkdtempSync(join(tmpdir(), 'aptkeep-gpg-'));
const gpgTime = (ms: number): string =>
  `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}!`;

/** gpg as at `ms`, whose answer is text. */
function gpg(args: string[], input: string | Uint8Array = '', ms = START_MS): string {
  const flags = ['--homedir', home, '--batch', '--quiet', '--faked-system-time', gpgTime(ms)];
  return execFileSync('gpg', [...flags, ...args], {
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
  }).toString();
}

function makeKey(name: string, expiry: string, ms = START_MS - 24 * HOUR_MS): string {
  gpg(['--passphrase', '', '--quick-gen-key', name, 'ed25519', 'sign', expiry], '', ms);
  const lines = gpg(['--with-colons', '--list-keys', name]).split('\n');
  return lines.find((line) => line.startsWith('fpr:'))?.split(':')[9] ?? '';
}

const exportKey = (fingerprint: string): string => gpg(['--armor', '--export', fingerprint]);
const sign = (bytes: Uint8Array, fingerprint: string, ms = START_MS): Buffer =>
  Buffer.from(gpg(['--clearsign', '--local-user', fingerprint], bytes, ms));

const files = buildSource({ name: 'hello' });
const [changes = Buffer.alloc(0), ...rest] = filesOf(files, fileOf(files, '.changes'));
const keys = { maintainer: '', other: '', brief: '', revoked: '' };
let key: SecretKey;
let root: string;
let parts: OpenRepository;
let clock: Clock;

beforeAll(async () => {
  key = await createKey();
  keys.maintainer = makeKey('maintainer', 'never');
  keys.other = makeKey('other', 'never');
  keys.brief = makeKey('brief', '2d');
  keys.revoked = makeKey('revoked', 'never');
});
afterAll(() => {
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
  rmSync(home, { recursive: true, force: true });
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-signers-'));
  clock = { now: START_MS + 1000 };
  parts = await openRepository(root, { key, clock });
  await publishFirst(parts);
  const { maintainer, brief, revoked } = keys;
  for (const one of [maintainer, brief, revoked])
    await recordSigners(parts, exportKey(one), 'test');
  await setSuite(parts, 'stable', {
    settings: { options: { signers: [maintainer, brief, revoked] } },
    ...{ force: false, forceIdentity: false, actor: 'test' },
  });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const refusal = (sent: readonly Uint8Array[]) =>
  ingest(parts, sent).then(
    () => undefined,
    (error: unknown) => error as { code: string; message: string },
  );
const listPool = (): Promise<string[]> => listFiles(join(root, 'pool'));

describe('a suite that asks for a signature', () => {
  it('takes a .changes that one of its signers signed, and says who', async () => {
    const signed = sign(changes, keys.maintainer);
    const results = await ingest(parts, [...rest, signed]);
    expect(results.map((one) => one.isNew)).toEqual([true, true]);
    const number = results[0]?.publication ?? 0;
    const row = await parts.catalog.get<{ reason: string }>(
      'SELECT reason FROM publication WHERE suite = $1 AND number = $2',
      'stable',
      number,
    );
    expect(row?.reason).toBe(
      `add hello 1.0-1 source, hello 1.0-1 all; signed by ${keys.maintainer}`,
    );
    const again = await ingest(parts, [...rest, signed]);
    expect(again).toEqual(results.map((one) => ({ ...one, isNew: false })));
  });

  it('takes a .dsc that one of its signers signed, as debsign leaves it', async () => {
    const source = buildSource({ name: 'hello', flags: ['-S'] });
    const [dsc = Buffer.alloc(0), ...members] = filesOf(source, fileOf(source, '.dsc'));
    const [added] = await ingest(parts, [sign(dsc, keys.maintainer), ...members]);
    expect(added).toMatchObject({ architecture: 'source', isNew: true });
    expect(await refusal([dsc, ...members])).toMatchObject({ code: 'SIGNATURE_REQUIRED' });
  });

  it('takes one that has another signature beside', async () => {
    const both = ['--local-user', keys.other, '--local-user', keys.maintainer];
    const signed = Buffer.from(gpg(['--clearsign', ...both], changes));
    expect(await ingest(parts, [signed, ...rest])).toHaveLength(2);
  });

  const refused: Record<string, { make: () => Uint8Array[]; why: RegExp | string }> = {
    'a .changes that nobody signed': { make: () => [changes, ...rest], why: /is not signed/ },
    'a .changes that somebody else signed': {
      make: () => [sign(changes, keys.other), ...rest],
      why: /none of theirs/,
    },
    'a binary package alone': { make: () => [createPackage({ name: 'alone' })], why: /not signed/ },
    'a binary package beside a signed .changes': {
      make: () => [sign(changes, keys.maintainer), ...rest, createPackage({ name: 'alone' })],
      why: /alone is not signed/,
    },
    'a text changed under its signature': {
      make: () => {
        const text = sign(changes, keys.maintainer).toString();
        return [Buffer.from(text.replace('Urgency: medium', 'Urgency: low')), ...rest];
      },
      why: /does not count/,
    },
    'a signature of tomorrow': {
      make: () => [sign(changes, keys.maintainer, START_MS + HOUR_MS), ...rest],
      why: /future/,
    },
  };
  it.each(Object.entries(refused))('refuses %s', async (_name, { make, why }) => {
    const found = await refusal(make());
    expect(found?.code).toBe('SIGNATURE_REQUIRED');
    expect(found?.message).toMatch(why);
    expect(found?.message).toContain(keys.maintainer);
    expect(await listPool()).toEqual([]);
  });

  it('refuses another distribution, whatever the sender says of it', async () => {
    const text = changes.toString().replace('Distribution: stable', 'Distribution: sid');
    const signed = sign(Buffer.from(text), keys.maintainer);
    expect(await refusal([signed, ...rest])).toMatchObject({ code: 'PACKAGE_UNACCEPTABLE' });
  });

  it('refuses the signature of a key that ran out since', async () => {
    const signed = sign(changes, keys.brief);
    clock.now = START_MS + 72 * HOUR_MS;
    const found = await refusal([signed, ...rest]);
    expect(found).toMatchObject({ code: 'SIGNATURE_REQUIRED' });
    expect(found?.message).toMatch(/expired/);
    clock.now = START_MS + 1000;
    expect(await ingest(parts, [signed, ...rest])).toHaveLength(2);
  });

  it('refuses the signature of a key as soon as its revocation is recorded', async () => {
    const signed = sign(changes, keys.revoked);
    const certificate = readFileSync(join(home, `openpgp-revocs.d/${keys.revoked}.rev`), 'utf8');
    gpg(['--import'], certificate.replace(':-----BEGIN', '-----BEGIN'));
    await recordSigners(parts, exportKey(keys.revoked), 'test');
    const found = await refusal([signed, ...rest]);
    expect(found?.code).toBe('SIGNATURE_REQUIRED');
    expect(found?.message).toMatch(/revoked/);
  });

  it('gets the packages that the server makes itself', async () => {
    const content = createPackage({ name: 'keyring' });
    const own = { package: 'keyring', version: '1.0', content };
    await publishOwnPackages(parts, 'stable', [own], { actor: 'server', upgrade: false });
    expect(await listPool()).toHaveLength(1);
  });

  it('names keys that are recorded, which stay as long as it names them', async () => {
    const { other, maintainer } = keys;
    await expect(requireSigners(parts, [maintainer, other])).rejects.toMatchObject({
      code: 'SIGNER_UNKNOWN',
    });
    await expect(removeSigner(parts, maintainer)).rejects.toMatchObject({ code: 'SIGNER_IN_USE' });
    await recordSigners(parts, exportKey(other), 'test');
    await requireSigners(parts, [maintainer, other]);
    expect(await removeSigner(parts, other.toLowerCase())).toBe(other);
    await expect(removeSigner(parts, other)).rejects.toMatchObject({ code: 'SIGNER_UNKNOWN' });
  });

  it.each([
    ['no keyring', 'hello'],
    ['a secret key', '-----BEGIN PGP PRIVATE KEY BLOCK-----'],
    ['nothing', ''],
  ])('records nothing of %s', async (_name, text) => {
    await expect(recordSigners(parts, text, 'test')).rejects.toMatchObject({
      code: 'KEY_UNACCEPTABLE',
    });
  });
});

describe('a suite that asks for none', () => {
  it('takes what is signed by whomever', async () => {
    await publishFirst(parts, { name: 'open', codename: 'open' });
    const text = changes.toString().replace('Distribution: stable', 'Distribution: open');
    const signed = sign(Buffer.from(text), keys.other);
    expect(await ingest(parts, [signed, ...rest], { suite: 'open' })).toHaveLength(2);
  });
});
