/**
 * A CA whose key is in a token: made, used and revoked with, its lists verified by openssl and
 * GnuTLS; and what a signer that fails, lies or hangs can do, which is nothing.
 */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { issueFirstCrl, issueNextCrl } from '../../src/authority/crl.ts';
import { demandUse } from '../../src/authority/key-access.ts';
import { writePrivateKey } from '../../src/authority/keys.ts';
import { revokeCertificates } from '../../src/authority/revoke.ts';
import { issueServerCertificate } from '../../src/authority/server-certificate.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import type { SettingKey } from '../../src/settings.ts';
import { createScratch, succeed } from '../e2e/command.ts';
import {
  initialise,
  issue,
  type KeptAuthority,
  openKept,
  readSerials,
  verifyClient,
  verifyCrl,
} from './kept.ts';
import { createToken, type Token, type TokenKey } from './token.ts';

type Settings = Partial<Record<SettingKey, string>>;

const scratch = createScratch('outside');
let token: Token;
let [clientKey, serverKey]: TokenKey[] = [];

beforeAll(async () => {
  token = await createToken(join(scratch, 'token'));
  clientKey = await token.generate('client', 'EC:prime256v1', 'sha256', 'ECDSA');
  serverKey = await token.generate('server', 'EC:prime256v1', 'sha256', 'ECDSA');
});

const settingsOf = (client: TokenKey | undefined, server: TokenKey | undefined): Settings => ({
  'signer.clientCa': client?.command ?? '',
  'signer.clientCaPublicKey': client?.publicKey ?? '',
  'signer.serverCa': server?.command ?? '',
  'signer.serverCaPublicKey': server?.publicKey ?? '',
});

const readText = (data: string, file: string): Promise<string> =>
  succeed('openssl', ['x509', '-in', join(data, 'certs', file), '-noout', '-text']);

describe('with both keys in a token', () => {
  const data = join(scratch, 'data');
  let kept: KeptAuthority;

  beforeAll(async () => {
    const settings = settingsOf(clientKey, serverKey);
    await initialise(data, { settings });
    kept = await openKept(data, { settings });
    return () => kept.close();
  });

  it('certs/ has neither, and both CAs are of those keys', async () => {
    expect((await readdir(join(data, 'certs'))).filter((name) => name.endsWith('.key'))).toEqual([
      'server.key',
    ]);
    for (const [kind, key] of [
      ['client', clientKey],
      ['server', serverKey],
    ] as const) {
      const file = join(data, 'certs', `${kind}-ca.crt`);
      await succeed('openssl', ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', file, file]);
      const found = await succeed('openssl', ['x509', '-in', file, '-noout', '-pubkey']);
      expect(found).toBe(await succeed('cat', [key?.publicKey ?? '']));
    }
    expect(await readText(data, 'server.crt')).toContain('Signature Algorithm: ecdsa-with-SHA256');
    const trusted = ['-CAfile', join(data, 'certs/server-ca.crt')];
    const strict = ['-x509_strict', '-purpose', 'sslserver'];
    await succeed('openssl', ['verify', ...strict, ...trusted, join(data, 'certs/server.crt')]);
  });

  it('a certificate is issued and revoked, and every list verified', async () => {
    const row = await issue(kept, 'moodle-web0');
    expect(await verifyClient(data, row.pem)).toMatch(/: OK\n$/);
    await revokeCertificates(kept.authority, 'moodle-web0', 'keyCompromise');
    expect(readSerials(await verifyCrl(data))).toContain(row.serial);
    await expect(verifyClient(data, row.pem)).rejects.toThrow(/certificate revoked/);
    expect(kept.authority.trust.listOwed).toBe(false);
  });

  it('no key is written beside it, of any generation', async () => {
    const { access } = kept.authority.certs;
    for (const file of ['client-ca.key', 'client-ca-2.key', 'server-ca.key']) {
      expect(() => demandUse(access, file)).toThrow(
        expect.objectContaining({ code: 'KEY_ELSEWHERE' }),
      );
    }
    for (const file of ['server.key', 'archive-key.asc']) demandUse(access, file);
    const written = writePrivateKey(kept.authority.certs, 'client-ca.key', generatePrivateKey());
    await expect(written).rejects.toMatchObject({
      code: 'KEY_ELSEWHERE',
      message:
        'certs/client-ca.key is not written: the key is held outside, behind signer.clientCa, and has to be changed there',
    });
  });

  it('many at once get a signature of their own each', async () => {
    const rows = await Promise.all(['a', 'b', 'c', 'd'].map((name) => issue(kept, name)));
    for (const row of rows) expect(await verifyClient(data, row.pem)).toMatch(/: OK\n$/);
  });
});

describe('with a key of another kind in a token', () => {
  it.each([
    ['rsa', 'rsa:2048', '', 'SHA256-RSA-PKCS', 'sha256WithRSAEncryption'],
    ['p384', 'EC:secp384r1', 'sha384', 'ECDSA', 'ecdsa-with-SHA384'],
  ])(
    '%s: a list is signed as its kind has it',
    async (name, kind, digest, mechanism, algorithm) => {
      const data = join(scratch, name);
      const key = await token.generate(name, kind, digest, mechanism);
      await initialise(data, { settings: settingsOf(key, undefined) });
      expect(await verifyCrl(data)).toContain(`Signature Algorithm: ${algorithm}\n`);
    },
  );
});

describe('init', () => {
  it.each([
    ['no public key', '', /signer\.clientCaPublicKey: init needs the public key/],
    ['a file that is not there', '/nowhere/key.pem', /\/nowhere\/key\.pem cannot be read/],
    ['what is no key', '/etc/passwd', /holds no public key/],
  ])('is refused with %s', async (_name, publicKey, why) => {
    const settings = {
      ...settingsOf(clientKey, undefined),
      'signer.clientCaPublicKey': publicKey,
    };
    const failed = initialise(join(scratch, 'refused'), { settings });
    await expect(failed).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(failed).rejects.toThrow(why);
  });

  it('is refused with the public key of another', async () => {
    const settings = {
      ...settingsOf(clientKey, undefined),
      'signer.clientCaPublicKey': serverKey?.publicKey ?? '',
    };
    const failed = initialise(join(scratch, 'crossed'), { settings });
    await expect(failed).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    // Begun and not ended: with the right key it is begun again.
    await initialise(join(scratch, 'crossed'), { settings: settingsOf(clientKey, undefined) });
  });
});

describe('a signer that', () => {
  const data = join(scratch, 'broken');
  const switchFile = join(scratch, 'switch');
  let kept: KeptAuthority;

  /** Lets the signer run another command in its place; '' for itself. */
  const replaceSigner = (command: string): Promise<void> => writeFile(switchFile, command);

  beforeAll(async () => {
    await replaceSigner('');
    // What is switched is the token, not ours.
    const line = `if [ -s ${switchFile} ]; then . ${switchFile}; else ${clientKey?.command}; fi`;
    const settings = { ...settingsOf(clientKey, undefined), 'signer.clientCa': line };
    await initialise(data, { settings });
    kept = await openKept(data, { settings });
    return () => kept.close();
  });

  const cases: [string, string, RegExp][] = [
    ['fails', 'echo no token >&2; exit 3', /ended with status 3/],
    ['says nothing', 'cat >/dev/null', /0 bytes that are no signature/],
    ['answers garbage', 'head -c 72 /dev/zero', /72 bytes that are no signature/],
    ['signs with another key', 'SERVER', /no signature of its key/],
    ['signs other bytes', 'echo other | @', /no signature of its key/],
    ['is killed', 'kill -9 $$', /ended with SIGKILL/],
  ];

  it.each(cases)('%s: nothing is issued, the old list stays', async (_name, command, why) => {
    const before = await verifyCrl(data);
    const text = command
      .replace('@', clientKey?.command ?? '')
      .replace('SERVER', serverKey?.command ?? '');
    await replaceSigner(text);
    await expect(issueNextCrl(kept.authority)).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    await expect(issueNextCrl(kept.authority)).rejects.toThrow(why);
    await expect(issue(kept, 'nobody')).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    expect(await verifyCrl(data)).toBe(before);
    await replaceSigner('');
    await issueNextCrl(kept.authority);
  });

  it('fails while somebody is revoked: refused at once, and on the list when it answers again', async () => {
    const row = await issue(kept, 'stolen');
    await replaceSigner('exit 1');
    const told: boolean[] = [];
    const { trust } = kept.authority;
    const unsubscribe = trust.subscribe(() => {
      told.push(trust.isRevoked(row.serial));
    });
    const revoked = revokeCertificates(kept.authority, 'stolen', 'keyCompromise');
    await expect(revoked).rejects.toThrow(/^revoked, and refused by this server from now on/);
    unsubscribe();
    expect(told).toEqual([true]);
    expect(trust.listOwed).toBe(true);
    expect(readSerials(await verifyCrl(data))).not.toContain(row.serial);
    // A start with a signer that is still gone goes on with the list it has.
    await issueFirstCrl(kept.authority);
    await replaceSigner('');
    await issueNextCrl(kept.authority);
    expect(trust.listOwed).toBe(false);
    expect(readSerials(await verifyCrl(data))).toContain(row.serial);
  });
});

describe('the server CA', () => {
  it('without its signer renews nothing and breaks nothing', async () => {
    const data = join(scratch, 'server-signer');
    await initialise(data, { settings: settingsOf(undefined, serverKey) });
    const settings = { ...settingsOf(undefined, serverKey), 'signer.serverCa': 'exit 1' };
    const kept = await openKept(data, { settings });
    const before = await readText(data, 'server.crt');
    const failed = issueServerCertificate(kept.authority.certs, ['localhost'], Date.now());
    await expect(failed).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    expect(await readText(data, 'server.crt')).toBe(before);
    await kept.close();
  });
});
