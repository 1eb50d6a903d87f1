/** `aptkeep cert renew`: the pair of files that is replaced, whole or not at all; the server's own. */
import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuableRole } from '../../src/authority/profiles.ts';
import { repairPair } from '../../src/cli/pair.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { runAptkeep } from '../e2e/program.ts';
import { type Client, fingerprintFolder, remoteFlags } from '../e2e/site.ts';
import { ask, type Site, startSite } from '../http/start.ts';

const scratch = createScratch('cli-renew');
const data = join(scratch, 'data');
let site: Site;

beforeAll(async () => {
  site = await startSite(data);
});
afterAll(() => site.daemon.stop());

const issue = (name: string, role: IssuableRole = 'uploader'): Promise<Client> =>
  site.issue(name, role);

const renew = (client: Client, url = site.url) =>
  runAptkeep(['cert', 'renew', '--json', ...remoteFlags(client, url)]);

/** Whether a certificate and a key belong together, as openssl sees it. */
async function isPair({ certificate, key }: Pick<Client, 'certificate' | 'key'>): Promise<boolean> {
  const ofCertificate = await succeed('openssl', ['x509', '-noout', '-pubkey', '-in', certificate]);
  return ofCertificate === (await succeed('openssl', ['pkey', '-pubout', '-in', key]));
}

describe('a pair of files', () => {
  it.each(['uploader', 'observer', 'admin', 'host'] as const)(
    'of an %s is replaced, and opens the door',
    async (role) => {
      const client = await issue(`renewed-${role}`, role);
      await chmod(client.key, 0o640);
      const before = [await readFile(client.certificate), await readFile(client.key)];
      const outcome = await renew(client);
      expect([outcome.status, outcome.stderr]).toEqual([0, '']);
      const after = [await readFile(client.certificate), await readFile(client.key)];
      expect(after.map((bytes, at) => bytes.equals(before[at] ?? bytes))).toEqual([false, false]);
      expect(await isPair(client)).toBe(true);
      const facts = new X509Certificate(await readFile(client.certificate));
      expect(facts.subject).toBe(`OU=${role}\nCN=renewed-${role}`);
      expect((await stat(client.key)).mode & 0o777).toBe(0o640);
      expect((await stat(client.certificate)).mode & 0o777).toBe(0o644);
      expect((await ask(site, client, '/dists/stable/InRelease')).status).toBe(200);
      expect(await fingerprintFolder(client.folder)).not.toContain('.new');
    },
  );

  it('that is one file stays one', async () => {
    const client = await issue('combined');
    const file = join(client.folder, 'combined.pem');
    const parts = [await readFile(client.certificate), await readFile(client.key)];
    await writeFile(file, Buffer.concat(parts), { mode: 0o600 });
    const combined = { ...client, certificate: file, key: file };
    expect((await renew(combined)).status).toBe(0);
    expect(await isPair(combined)).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await ask(site, combined, '/dists/stable/InRelease')).status).toBe(200);
  });

  it('behind symbolic links is replaced where it lies', async () => {
    const client = await issue('linked');
    const links = { ...client, certificate: `${client.folder}.crt`, key: `${client.folder}.key` };
    await symlink(client.certificate, links.certificate);
    await symlink(client.key, links.key);
    expect((await renew(links)).status).toBe(0);
    expect(await isPair(client)).toBe(true);
    expect(await isPair(links)).toBe(true);
  });

  it('stays as it was where the server refuses', async () => {
    const client = await issue('refused');
    await site.perform('certificate.revoke', { certificate: 'refused' });
    const before = await fingerprintFolder(client.folder);
    const outcome = await renew(client);
    expect([outcome.status, outcome.stdout]).toEqual([1, '']);
    expect(outcome.stderr).toMatch(/^aptkeep: certificate revoked: /);
    expect(await fingerprintFolder(client.folder)).toBe(before);
  });

  it('stays as it was, and nothing is issued, where there is no room for the new one', async () => {
    const client = await issue('no-room');
    // Something that is no file lies where the new one has to.
    await mkdir(`${client.key}.new`);
    const before = await fingerprintFolder(client.folder);
    const outcome = await renew(client);
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringMatching(/no-room\.key/)]);
    expect(await fingerprintFolder(client.folder)).toBe(before);
    const shown = await site.perform('certificate.show', { certificate: 'no-room' });
    expect(shown.certificates).toHaveLength(1);
  });
});

describe('after a crash', () => {
  /** The files as a crash leaves them after so many of the two renames. */
  async function crash(name: string, renames: number): Promise<Client> {
    const client = await issue(name);
    const next = await issue(`${name}-next`);
    await writeFile(`${client.certificate}.new`, await readFile(next.certificate));
    await writeFile(`${client.key}.new`, await readFile(next.key));
    if (renames > 0) await rename(`${client.key}.new`, client.key);
    if (renames > 1) await rename(`${client.certificate}.new`, client.certificate);
    return client;
  }

  it.each([0, 1, 2])('after %i of its renames the pair is whole again', async (renames) => {
    const client = await crash(`crashed-${renames}`, renames);
    expect(await isPair(client)).toBe(renames !== 1);
    const outcome = await runAptkeep(['suite', 'list', ...remoteFlags(client, site.url)]);
    expect(outcome.status).toBe(0);
    expect(await isPair(client)).toBe(true);
    expect((await renew(client)).status).toBe(0);
    expect(await isPair(client)).toBe(true);
    expect(await fingerprintFolder(client.folder)).not.toContain('.new');
  });

  it('nothing is taken that does not belong to the key', async () => {
    const client = await issue('bystander');
    const stranger = await issue('stranger');
    await writeFile(`${client.certificate}.new`, await readFile(stranger.certificate));
    const before = await fingerprintFolder(client.folder);
    await repairPair({ cert: client.certificate, key: client.key });
    expect(await fingerprintFolder(client.folder)).toBe(before);
  });
});

describe('on the data directory', () => {
  it('the server’s own is made anew, and shown at once', async () => {
    const before = new X509Certificate(await readFile(join(data, 'certs/server.crt')));
    const { status, stdout } = await runAptkeep(['cert', 'renew', '--json', '--data', data]);
    expect(status).toBe(0);
    const shown = await run('openssl', [
      ...['s_client', '-connect', `127.0.0.1:${site.port}`, '-CAfile', site.ca],
      ...['-servername', 'localhost'],
    ]);
    const pem = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(shown.stdout);
    const after = new X509Certificate(pem?.[0] ?? '');
    expect(after.fingerprint256).not.toBe(before.fingerprint256);
    expect(after.serialNumber.toLowerCase().replace(/^0+/, '')).toBe(JSON.parse(stdout).serial);
    expect(after.checkHost('localhost')).toBe('localhost');
    expect(after.publicKey.equals(before.publicKey)).toBe(false);
  });

  it('it is made anew where no server runs, too', async () => {
    const other = join(scratch, 'other');
    await runAptkeep(['init', '--data', other]);
    const before = await readFile(join(other, 'certs/server.crt'), 'utf8');
    expect((await runAptkeep(['cert', 'renew', '--data', other])).status).toBe(0);
    expect(await readFile(join(other, 'certs/server.crt'), 'utf8')).not.toBe(before);
  });
});
