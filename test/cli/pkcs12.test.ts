/** `aptkeep cert issue --p12`: what openssl finds in the bundle, and what is not left behind. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch, succeed } from '../e2e/command.ts';
import { aptkeep, programEnvironment, runAptkeep } from '../e2e/program.ts';

const scratch = createScratch('pkcs12');
const data = join(scratch, 'data');

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
});

const issueWords = (name: string, ...flags: string[]): string[] => [
  ...['cert', 'issue', name, '--role', 'observer', '--out', join(scratch, name), '--data', data],
  ...flags,
];

const listNames = async (): Promise<string[]> =>
  JSON.parse(await aptkeep('cert', 'list', '--json', '--data', data)).certificates.map(
    (one: { name: string }) => one.name,
  );

/** What `openssl pkcs12` prints of a bundle. */
function open(file: string, password: string, ...flags: string[]): Promise<string> {
  const words = ['pkcs12', '-in', file, '-passin', 'stdin', ...flags];
  return succeed('openssl', words, { input: `${password}\n` });
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

describe('a bundle', () => {
  const file = join(scratch, 'anna/anna.p12');
  let password = '';

  beforeAll(async () => {
    const said = await aptkeep(...issueWords('anna', '--p12'));
    expect(said).toContain(`written      ${file}\n`);
    password = /^password {5}(\S+)$/m.exec(said)?.[1] ?? '';
  });

  it('has a password of a hundred random bits, and is for its owner only', async () => {
    expect(password).toMatch(/^([a-km-np-z2-9]{4}-){4}[a-km-np-z2-9]{4}$/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readdir(join(scratch, 'anna'))).sort()).toEqual([
      ...['anna.crt', 'anna.key', 'anna.p12', 'ca.crt'],
    ]);
  });

  it('holds the key, its certificate and the CA that signed it', async () => {
    const text = await open(file, password, '-noenc');
    expect(text).toContain('friendlyName: anna (aptkeep)');
    const found = (text.match(PEM) ?? []).map((pem) => new X509Certificate(pem));
    const leaf = new X509Certificate(await readFile(join(scratch, 'anna/anna.crt')));
    const authority = new X509Certificate(await readFile(join(data, 'certs/client-ca.crt')));
    expect(found.map((one) => one.fingerprint256)).toEqual([
      leaf.fingerprint256,
      authority.fingerprint256,
    ]);
    expect(found[0]?.checkPrivateKey(createPrivateKey(text))).toBe(true);
  });

  it('is encrypted as today’s browsers read it', async () => {
    const outcome = await succeed(
      'sh',
      [
        '-c',
        'exec "$@" 2>&1',
        'sh',
        'openssl',
        'pkcs12',
        '-in',
        file,
        '-info',
        '-noout',
        '-passin',
        'stdin',
      ],
      { input: `${password}\n` },
    );
    expect(outcome).toMatch(/^MAC: sha256, Iteration 100000$/m);
    const form = 'PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256';
    expect(outcome).toContain(`PKCS7 Encrypted data: ${form}`);
    expect(outcome).toContain(`Shrouded Keybag: ${form}`);
  });

  it('is not replaced without --force', async () => {
    const before = await readFile(file);
    const { status, stderr } = await runAptkeep(issueWords('anna', '--p12'));
    expect([status, stderr]).toEqual([1, expect.stringContaining('exists; --force replaces it')]);
    expect(await readFile(file)).toEqual(before);
  });

  it('shows neither password nor key to those who look at processes', async () => {
    const folder = join(scratch, 'spy');
    await mkdir(folder);
    const seen = join(scratch, 'seen');
    const spy = `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } >> '${seen}'\nPATH=$REAL exec openssl "$@"\n`;
    await writeFile(join(folder, 'openssl'), spy, { mode: 0o755 });
    const { PATH = '' } = programEnvironment();
    const env = { PATH: `${folder}:${PATH}`, REAL: PATH };
    const { stdout, status } = await runAptkeep(issueWords('berta', '--p12', '--json'), env);
    expect(status).toBe(0);
    const given = await readFile(seen, 'utf8');
    expect(given).toContain('berta (aptkeep)');
    expect(given).not.toContain(JSON.parse(stdout).password);
    const key = await readFile(join(scratch, 'berta/berta.key'), 'utf8');
    expect(given).not.toContain(key.split('\n')[1]);
    expect(await readdir(join(scratch, 'berta'))).toHaveLength(4);
  });
});

describe('a password of one’s own', () => {
  const write = async (name: string, content: string, mode = 0o600): Promise<string> => {
    await writeFile(join(scratch, name), content, { mode });
    return join(scratch, name);
  };

  it('is the first line of a file, and is not printed', async () => {
    const file = await write('good', 'correct horse\r\nanother line\n');
    const words = issueWords('carla', '--p12', '--p12-password-file', file, '--json');
    const said = await aptkeep(...words);
    expect(JSON.parse(said)).not.toHaveProperty('password');
    expect(said).not.toContain('correct horse');
    const text = await open(join(scratch, 'carla/carla.p12'), 'correct horse', '-nokeys');
    expect(text.match(PEM)).toHaveLength(2);
  });

  it.each<[string, string, number, RegExp]>([
    ['that the group may read', 'correct horse\n', 0o640, /others than its owner may read it/],
    ['that others may read', 'correct horse\n', 0o604, /others than its owner may read it/],
    ['that is empty', '', 0o600, /not a password of 8 to 256 printable/],
    ['that begins with an empty line', '\ncorrect horse\n', 0o600, /not a password/],
    ['that is short', 'seven..\n', 0o600, /not a password/],
    ['that is not ASCII', 'pässwörter\n', 0o600, /not a password/],
  ])('from a file %s is refused before anything is issued', async (_name, content, mode, why) => {
    const file = await write(`bad-${mode}-${content.length}`, content, mode);
    const words = issueWords('dora', '--p12', '--p12-password-file', file);
    const { status, stdout, stderr } = await runAptkeep(words);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(why);
    expect(await listNames()).not.toContain('dora');
    expect(await readdir(scratch)).not.toContain('dora');
  });

  it('from a file that is not there, or is a folder, is refused', async () => {
    for (const [file, why] of [
      [join(scratch, 'absent'), /file not readable: --p12-password-file .*absent: ENOENT/],
      [scratch, /is a folder/],
    ] as const) {
      const words = issueWords('dora', '--p12', '--p12-password-file', file);
      const { status, stderr } = await runAptkeep(words);
      expect([status, stderr]).toEqual([1, expect.stringMatching(why)]);
    }
  });
});

describe('no bundle', () => {
  it('without openssl: nothing is issued', async () => {
    const folder = join(scratch, 'bin');
    await mkdir(folder);
    for (const program of ['sh', 'node', 'dirname', 'readlink', 'uname']) {
      const real = await succeed('sh', ['-c', 'command -v "$1"', 'sh', program]);
      await symlink(real.trim(), join(folder, program));
    }
    const { status, stdout, stderr } = await runAptkeep(issueWords('emil', '--p12'), {
      PATH: folder,
    });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      'aptkeep: program not installed: --p12 needs the openssl command; on Debian: apt-get install openssl\n',
    ]);
    expect(await listNames()).not.toContain('emil');
    expect(await readdir(scratch)).not.toContain('emil');
  });

  it('with an openssl that refuses: nothing is issued', async () => {
    const folder = join(scratch, 'refusing');
    await mkdir(folder);
    await writeFile(join(folder, 'openssl'), '#!/bin/sh\necho "no such cipher" >&2\nexit 1\n', {
      mode: 0o755,
    });
    const { PATH = '' } = programEnvironment();
    const env = { PATH: `${folder}:${PATH}` };
    const { status, stderr } = await runAptkeep(issueWords('emil', '--p12'), env);
    expect([status, stderr]).toEqual([
      1,
      'aptkeep: malformed request: openssl pkcs12 made no bundle: no such cipher\n',
    ]);
    expect(await listNames()).not.toContain('emil');
    expect(await readdir(scratch)).not.toContain('emil');
  });

  it.each<[string, string[], RegExp]>([
    ['for the key of a request', ['--p12', '--csr', 'x'], /--p12 needs the private key/],
    ['where only its password is given', ['--p12-password-file', 'x'], /is for --p12/],
  ])('%s', async (_name, flags, why) => {
    const { status, stderr } = await runAptkeep(issueWords('emil', ...flags));
    expect([status, stderr]).toEqual([2, expect.stringMatching(why)]);
  });
});
