/**
 * Rotation of the signing key: in the overlap a host with the old key, one with the new, and one
 * with both accept every suite; after its end those that know the new one. gpgv, sqv and apt judge.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AptRoot, createAptRoot } from '../e2e/apt-root.ts';
import { cleanEnvironment, createScratch, run, succeed } from '../e2e/command.ts';
import { ask, type IssuedClient, type Site, startSite } from '../http/start.ts';

const scratch = createScratch('key-rotation');
const data = join(scratch, 'data');
let site: Site;
let admin: IssuedClient;
let host: IssuedClient;
let root: AptRoot;

/** The keyring that hosts get now, in both forms. */
async function saveKeyring(name: string): Promise<string> {
  const path = join(scratch, `${name}.gpg`);
  await writeFile(path, (await ask(site, admin, '/archive-keyring.gpg')).body);
  await writeFile(`${path}.asc`, (await ask(site, admin, '/archive-keyring.asc')).body);
  return path;
}

const listFingerprints = async (keyring: string): Promise<string[]> =>
  [
    ...(
      await succeed('gpg', ['--batch', '--show-keys', '--with-colons', keyring], {
        env: { ...cleanEnvironment(), GNUPGHOME: scratch },
      })
    ).matchAll(/^fpr:+([0-9A-F]{40}):/gm),
  ].map((match) => match[1] ?? '');

/** Whether gpgv and sqv accept a file of now with a keyring; they agree, or this throws. */
async function isSigned(path: string, by: string, keyring: string): Promise<boolean> {
  const [file, signature] = [join(scratch, 'signed'), join(scratch, 'signature')];
  await writeFile(file, (await ask(site, admin, path)).body);
  await writeFile(signature, (await ask(site, admin, by)).body);
  const gpgv = await run('gpgv', ['--keyring', keyring, signature, file]);
  const sqv = await run('sqv', ['--keyring', keyring, signature, file]);
  // gpgv exits 2 over a signature it has no key for, beside a good one: apt reads what it says.
  const accepts = / Good signature /.test(gpgv.stderr);
  if (accepts !== (sqv.status === 0)) throw new Error(`gpgv: ${gpgv.stderr}\nsqv: ${sqv.stderr}`);
  return accepts;
}

/** Whether a host with a keyring takes what is published, and the keyring that is given out. */
async function isAccepted(keyring: string): Promise<boolean> {
  const release = await isSigned('/dists/stable/Release', '/dists/stable/Release.gpg', keyring);
  const path = '/archive-keyring.asc';
  if ((await isSigned(path, `${path}.sig`, keyring)) === release) return release;
  throw new Error('the keyring and the Release are not signed by the same keys');
}

/** A real `apt-get update` of a host that has this keyring. */
async function update(keyring: string): Promise<number | null> {
  await root.install('/etc/apt/keyrings/aptkeep.asc', await readFile(keyring));
  await succeed('rm', ['-rf', join(root.directory, 'var/lib/apt/lists')]);
  await mkdir(join(root.directory, 'var/lib/apt/lists/partial'), { recursive: true });
  if (process.getuid?.() === 0) {
    await succeed('chown', ['_apt', join(root.directory, 'var/lib/apt/lists/partial')]);
  }
  return (await root.aptGet('update')).status;
}

/** The files of the host, with the port that the server listens on now. */
async function installHost(): Promise<void> {
  const input = { host: 'web', root: root.directory, key: host.key };
  const { script } = await site.perform('host.apt', input);
  await succeed('sh', ['-s'], { cwd: scratch, env: cleanEnvironment(), input: script });
}

beforeAll(async () => {
  site = await startSite(data);
  admin = await site.issue('root', 'admin');
  host = await site.issue('web', 'host');
  root = await createAptRoot(join(scratch, 'apt'));
  await installHost();
});

afterAll(() => site.daemon.stop());

describe('the signing key', () => {
  let [before, overlap, after] = ['', '', ''];
  let [oldKey, newKey] = ['', ''];

  it('is one at first', async () => {
    before = await saveKeyring('before');
    [oldKey = ''] = await listFingerprints(before);
    expect(await isAccepted(before)).toBe(true);
  });

  it('gets a second one beside it, and every suite both signatures', async () => {
    await site.perform('suite.create', { name: 'testing', origin: 'T', label: 'T' });
    const made = await site.perform('key.rotate', {});
    expect(made.keys.map((one) => one.state)).toEqual(['current', 'next']);
    expect(made.followers).toEqual(['web']);
    overlap = await saveKeyring('overlap');
    const [first, second = ''] = await listFingerprints(overlap);
    expect(first).toBe(oldKey);
    newKey = second;
    expect(await listFingerprints(`${overlap}.asc`)).toEqual([oldKey, newKey]);
    for (const suite of ['stable', 'testing']) {
      const release = (await ask(site, admin, `/dists/${suite}/InRelease`)).text;
      const said = await run('gpgv', ['--keyring', overlap, '--status-fd', '1', '-'], {
        input: release,
      });
      const good = [...said.stdout.matchAll(/VALIDSIG ([0-9A-F]{40})/g)].map((match) => match[1]);
      expect(good.sort()).toEqual([oldKey, newKey].sort());
    }
    expect(await isAccepted(before)).toBe(true);
    expect(await isAccepted(overlap)).toBe(true);
  });

  it('apt accepts with the old key, and with both in one armoured file', async () => {
    expect(await update(`${before}.asc`)).toBe(0);
    expect(await update(`${overlap}.asc`)).toBe(0);
  });

  it('is published as a package that holds both', async () => {
    const { packages } = await site.perform('package.show', {
      package: 'aptkeep-archive-keyring',
    });
    expect(packages.map((one) => one.suite).sort()).toEqual(['stable', 'testing']);
    const deb = join(data, String(packages[0]?.filename));
    await succeed('dpkg-deb', ['-x', deb, join(scratch, 'unpacked')]);
    const keyring = join(scratch, 'unpacked/usr/share/keyrings/aptkeep-archive-keyring.gpg');
    expect(await listFingerprints(keyring)).toEqual([oldKey, newKey]);
  });

  it('is not rotated twice at once, and goes on after a restart', async () => {
    await expect(site.perform('key.rotate', {})).rejects.toMatchObject({ code: 'ROTATION_STATE' });
    await site.daemon.stop();
    site = await startSite(data);
    await installHost();
    await site.perform('suite.publish', { suite: 'stable' });
    expect(await isAccepted(before)).toBe(true);
    expect((await site.perform('status.show', {})).rotations).toEqual([
      { what: 'signing key', followers: ['web'], end: 'aptkeep key rotate --finish' },
    ]);
  });

  it('is not taken from under a host that has not reported the new one, unless that is meant', async () => {
    await expect(site.perform('key.finish', {})).rejects.toMatchObject({
      code: 'ROTATION_FOLLOWERS',
      message: expect.stringContaining('web'),
    });
    await site.perform('key.finish', { force: true });
    after = await saveKeyring('after');
    expect(await listFingerprints(after)).toEqual([newKey]);
    expect(await isAccepted(before)).toBe(false);
    expect(await isAccepted(overlap)).toBe(true);
    expect(await isAccepted(after)).toBe(true);
    expect(await update(`${after}.asc`)).toBe(0);
    expect(await update(`${before}.asc`)).not.toBe(0);
  });

  it('that is over has no end to make', async () => {
    await expect(site.perform('key.finish', {})).rejects.toMatchObject({ code: 'ROTATION_STATE' });
    const { packages } = await site.perform('package.show', {
      package: 'aptkeep-archive-keyring',
    });
    const [newest] = packages;
    const [older] = packages.slice(-1);
    const versions = [newest?.version ?? '', 'gt', older?.version ?? ''];
    await succeed('dpkg', ['--compare-versions', ...versions]);
  });
});
