/** The archive's key and its two signatures, judged by gpg, gpgv and sqv. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  describeKey,
  exportKeyring,
  generateSigningKey,
  readKeyring,
  readSigningKey,
  type SecretKey,
} from '../../src/signing/key.ts';
import { signRelease } from '../../src/signing/sign.ts';
import { holdSecretKey } from '../../src/signing/signing-key.ts';
import { verifySignatures } from '../e2e/signatures.ts';

const CREATED = new Date('2021-05-14T09:00:00Z');
const SIGNED = new Date('2021-05-14T10:00:00Z');
const RELEASE = 'Origin: Uni Example\nSuite: stable\nSHA256:\n 00 1 main/Packages\n';

const root = mkdtempSync(join(tmpdir(), 'aptkeep-signing-'));
afterAll(() => rmSync(root, { recursive: true }));

let key: SecretKey;
let second: SecretKey;
let armored: string;
beforeAll(async () => {
  armored = await generateSigningKey('Uni Exämple', CREATED);
  key = await readSigningKey(armored);
  second = await readSigningKey(await generateSigningKey('Next', CREATED));
});

let folders = 0;
/** A folder with those files, and a keyring of those keys. */
function writeFolder(
  files: Record<string, string | Uint8Array>,
  keys: readonly SecretKey[] = [],
): { folder: string; keyring: string } {
  folders += 1;
  const folder = mkdtempSync(join(root, `${folders}-`));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const keyring = join(folder, 'keyring.gpg');
  writeFileSync(keyring, exportKeyring(keys).binary);
  return { folder, keyring };
}

async function signInto(release: string, signers: readonly SecretKey[], known = signers) {
  const signed = await signRelease(release, signers.map(holdSecretKey), SIGNED);
  const { inRelease, releaseGpg } = signed;
  const files = { Release: signed.release, InRelease: inRelease, 'Release.gpg': releaseGpg };
  return { signed, ...writeFolder(files, known) };
}

/** gpg without anybody's home. */
const gpg = (home: string, args: readonly string[], input?: string | Uint8Array): Buffer =>
  execFileSync('gpg', ['--batch', '--no-tty', '--homedir', home, ...args], {
    ...(input === undefined ? {} : { input }),
    stdio: ['pipe', 'pipe', 'ignore'],
  });

describe('the key', () => {
  it('is one that gpg knows: Ed25519, for signing, without an end', async () => {
    const { folder } = writeFolder({});
    const args = ['--show-keys', '--with-colons', '--fixed-list-mode'];
    const lines = gpg(folder, args, exportKeyring([key]).binary)
      .toString()
      .split('\n');
    const fields = (type: string): string[] =>
      lines.find((line) => line.startsWith(`${type}:`))?.split(':') ?? [];
    const facts = await describeKey(key);
    // doc/DETAILS of GnuPG: field 4 algorithm (22 EdDSA), 6 created, 7 expires, 12 capabilities.
    const [, , , algorithm, , created, expires, , , , , capabilities = ''] = fields('pub');
    expect(algorithm).toBe('22');
    expect(Number(created)).toBe(CREATED.getTime() / 1000);
    expect(facts.created).toEqual(CREATED);
    expect(expires).toBe('');
    expect(facts.expires).toBeUndefined();
    expect(capabilities).toContain('s');
    expect(fields('fpr')[9]).toBe(facts.fingerprint);
    expect(fields('uid')[9]).toBe(facts.userId);
    expect(facts.userId).toBe('Uni Exämple archive signing key');
    expect(lines.filter((line) => line.startsWith('sub:'))).toEqual([]);
  });

  it('is exported twice, the same to gpg, and without its secret', async () => {
    const { folder } = writeFolder({});
    const exported = exportKeyring([key]);
    expect(gpg(folder, ['--dearmor'], exported.armored).equals(exported.binary)).toBe(true);
    const packets = gpg(folder, ['--list-packets'], exported.binary).toString();
    expect(packets).toContain(':public key packet:');
    expect(packets).not.toContain('secret');
    const [read] = await readKeyring(exported.armored);
    expect(read && (await describeKey(read))).toEqual(await describeKey(key));
  });

  it('is read from what gpg exports', async () => {
    const { folder } = writeFolder({});
    gpg(folder, ['--import'], armored);
    const exported = gpg(folder, ['--armor', '--export-secret-keys']).toString();
    expect(await describeKey(await readSigningKey(exported))).toEqual(await describeKey(key));
    execFileSync('gpgconf', ['--homedir', folder, '--kill', 'all']);
  });

  it.each<[string, () => string]>([
    ['nothing', () => ''],
    ['a text', () => 'not a key'],
    ['only the public half', () => exportKeyring([key]).armored],
    ['one whose armour is cut', () => armored.slice(0, armored.length / 2)],
    [
      'one of which a byte is another',
      () => armored.replace(/\n\n.{20}/, '\n\nAAAAAAAAAAAAAAAAAAAA'),
    ],
  ])('is not: %s', async (_name, make) => {
    await expect(readSigningKey(make())).rejects.toThrow();
  });
});

describe('a signed Release', () => {
  it('is accepted by gpgv and sqv, and names the key that signed', async () => {
    const { folder, keyring } = await signInto(RELEASE, [key]);
    expect(await verifySignatures(folder, keyring)).toBe((await describeKey(key)).fingerprint);
  });

  it.each<[string, string]>([
    ['letters of other languages', 'Description: Päckchen für 大学\n'],
    ['a line of ten thousand bytes', `Description: ${'x'.repeat(10_000)}\n`],
    ['blank lines', '\n\nSuite: stable\n\n'],
    ['a dash that begins no line', 'Codename: a-b\nX: -\n'],
    ['words of an armour', 'X: -----BEGIN PGP SIGNATURE-----\n'],
    ['a blank that no framework takes for one', 'X: a\u00a0\nY: b\u2028\n'],
  ])('holds %s as it is', async (_name, release) => {
    const { folder, keyring, signed } = await signInto(release, [key]);
    expect(signed.release).toBe(release);
    await verifySignatures(folder, keyring);
    // What apt takes out of InRelease is the text that was given.
    const output = ['--homedir', folder, '--keyring', keyring, '--output', '-'];
    const text = execFileSync('gpgv', [...output, join(folder, 'InRelease')], { stdio: 'pipe' });
    expect(text.toString()).toBe(release);
  });

  it.each<[string, string]>([
    ['a line that ends in a blank', 'Suite: stable \nCodename: x\n'],
    ['a last line that ends in a blank', 'Suite: stable \n'],
    ['a line that ends in a tab', 'Suite: stable\t\n'],
    ['a line that ends in CR LF', 'Suite: stable\r\n'],
    ['a line that begins with a dash', 'Suite: stable\n- x\n'],
    ['a dash at the very beginning', '-----BEGIN PGP SIGNATURE-----\n'],
    ['no newline at the end', 'Suite: stable'],
    ['nothing at all', ''],
  ])('is not made of %s', async (_name, release) => {
    await expect(signRelease(release, [holdSecretKey(key)], SIGNED)).rejects.toThrow(
      'Release file',
    );
  });

  it('is the same file when it is signed again at the same second', async () => {
    const [first, again] = [await signInto(RELEASE, [key]), await signInto(RELEASE, [key])];
    expect(first.signed).toEqual(again.signed);
  });

  it('says when it was signed, with SHA-512, and is armoured without comments', async () => {
    const { folder, keyring, signed } = await signInto(RELEASE, [key]);
    const flags = ['--homedir', folder, '--status-fd', '1', '--keyring', keyring];
    const files = [join(folder, 'Release.gpg'), join(folder, 'Release')];
    const status = execFileSync('gpgv', [...flags, ...files], { stdio: 'pipe' }).toString();
    // VALIDSIG fingerprint date time expires version reserved algorithm(22) hash(10: SHA512) ...
    expect(status).toMatch(
      new RegExp(`VALIDSIG [0-9A-F]{40} 2021-05-14 ${SIGNED.getTime() / 1000} 0 4 0 22 10 `),
    );
    for (const text of [signed.inRelease, signed.releaseGpg]) {
      expect(text).not.toMatch(/^(Version|Comment):|\r/m);
    }
    expect(signed.inRelease).toMatch(/^-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n/);
    expect(signed.inRelease).toMatch(/\n-----END PGP SIGNATURE-----\n$/);
  });

  it('by two keys is accepted by a host that knows either', async () => {
    for (const known of [[key], [second]]) {
      const { folder, keyring } = await signInto(RELEASE, [key, second], known);
      const flags = ['--keyring', keyring];
      for (const files of [['InRelease'], ['Release.gpg', 'Release']]) {
        const paths = files.map((name) => join(folder, name));
        const { stderr } = spawnSync('gpgv', ['--homedir', folder, ...flags, ...paths]);
        expect(stderr.toString()).toContain('Good signature');
      }
      const detached = ['Release.gpg', 'Release'].map((name) => join(folder, name));
      execFileSync('sqv', [...flags, ...detached], { stdio: 'pipe' });
    }
  });

  it('is refused by gpgv and sqv where the key is another, or a byte', async () => {
    const stranger = await signInto(RELEASE, [key], [second]);
    await expect(verifySignatures(stranger.folder, stranger.keyring)).rejects.toThrow('gpgv');
    const { folder, keyring, signed } = await signInto(RELEASE, [key]);
    writeFileSync(join(folder, 'InRelease'), signed.inRelease.replace('stable', 'stahle'));
    const args = ['--homedir', folder, '--keyring', keyring, join(folder, 'InRelease')];
    expect(spawnSync('gpgv', args).status).not.toBe(0);
    writeFileSync(join(folder, 'Release'), RELEASE.replace('stable', 'stahle'));
    const detached = ['Release.gpg', 'Release'].map((name) => join(folder, name));
    expect(spawnSync('sqv', ['--keyring', keyring, ...detached]).status).not.toBe(0);
  });
});
