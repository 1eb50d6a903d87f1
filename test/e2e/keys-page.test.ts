/** docs/keys.md as printed: its two walk-throughs run line by line, in folders that stand in for its own. */
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyCrl } from '../authority/kept.ts';
import { CHECKOUT, createScratch, run, succeed } from './command.ts';
import { APTKEEP, programEnvironment } from './program.ts';

const scratch = createScratch('page');
let page = '';

beforeAll(async () => {
  page = await readFile(join(CHECKOUT, 'docs/keys.md'), 'utf8');
  await mkdir(join(scratch, 'bin'));
  await symlink(APTKEEP, join(scratch, 'bin/aptkeep'));
});

/** Every indented line of a section, without its indent. */
function listLines(title: string): string[] {
  const section = page.split(/^#{2,3} /m).find((one) => one.startsWith(`${title}\n`)) ?? '';
  return (
    section
      .split('\n')
      .filter((line) => line.startsWith('    '))
      .map((line) => line.slice(4))
      // What is installed already, and lines of a unit of systemd.
      .filter((line) => !/^(apt-get |\[|Load|Limit)/.test(line))
  );
}

/** Runs a section as bash does for a person, whose aliases count. */
async function follow(title: string, folder: string): Promise<string> {
  const lines = listLines(title);
  expect(lines.length).toBeGreaterThan(4);
  const text = `shopt -s expand_aliases\n${lines.join('\n')}\n`
    .replaceAll('/etc/aptkeep', join(folder, 'etc'))
    .replaceAll('/srv/aptkeep', join(folder, 'srv'));
  await mkdir(join(folder, 'etc'), { recursive: true });
  const base = programEnvironment();
  const env = { ...base, PATH: `${join(scratch, 'bin')}:${base.PATH}` };
  return succeed('bash', ['-e'], { env, input: text });
}

const listKeys = async (data: string): Promise<string[]> =>
  (await readdir(join(data, 'certs'))).filter((name) => /\.key|archive-key\./.test(name)).sort();

describe('the page on keys', () => {
  it('makes a repository whose client CA is in a token', async () => {
    const folder = join(scratch, 'token');
    expect(await follow('A token', folder)).toContain('initialised ');
    const data = join(folder, 'srv');
    expect(await listKeys(data)).toEqual(['archive-key.asc', 'server-ca.key', 'server.key']);
    expect(await verifyCrl(data)).toContain('No Revoked Certificates');
    const of = join(data, 'certs/client-ca.crt');
    expect(await succeed('openssl', ['x509', '-in', of, '-noout', '-pubkey'])).toBe(
      await readFile(join(folder, 'etc/client-ca.pub'), 'utf8'),
    );
  });

  it('makes a repository that gpg signs', async () => {
    const folder = join(scratch, 'gpg');
    expect(await follow('gpg', folder)).toContain('initialised ');
    const data = join(folder, 'srv');
    expect(await listKeys(data)).toEqual(['client-ca.key', 'server-ca.key', 'server.key']);
    const signed = join(data, 'dists/stable/InRelease');
    const keyring = join(folder, 'etc/archive.gpg');
    await succeed('gpgv', ['--homedir', folder, '--keyring', keyring, signed]);
    await run('gpgconf', ['--homedir', join(folder, 'etc/gnupg'), '--kill', 'all']);
  });

  it('gives a repository a passphrase, and another one', async () => {
    const folder = join(scratch, 'word');
    const data = join(folder, 'srv');
    await succeed(APTKEEP, ['init', '--data', data], { env: programEnvironment() });
    const shown = await follow('A passphrase', folder);
    expect(shown).toContain('client-ca.key, server-ca.key, server.key, archive-key.asc in certs/');
    const words = ['-passin', `file:${join(folder, 'etc/passphrase')}`, '-noout'];
    await succeed('openssl', ['pkey', '-in', join(data, 'certs/client-ca.key'), ...words]);
    await succeed(APTKEEP, ['status', '--data', data], { env: programEnvironment() });
  });
});
