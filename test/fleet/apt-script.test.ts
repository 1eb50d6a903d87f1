/** The script that a host runs: under dash, in folders of odd names, read back by apt-config. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AptSource, listAptFiles } from '../../src/fleet/apt-files.ts';
import { quoteShell, renderAptScript } from '../../src/fleet/apt-script.ts';
import { listFiles } from '../e2e/site.ts';

const pem = (label: string): string => `-----BEGIN ${label}-----\nMIIB\n-----END ${label}-----\n`;

const SOURCE: AptSource = {
  host: 'web0',
  url: 'https://repo.example.org:8443',
  suites: [
    { name: 'stable', origin: 'Uni', components: ['main'] },
    { name: 'testing', origin: 'Uni', components: ['main', 'extra'] },
  ],
  certificate: pem('CERTIFICATE'),
  ca: `${pem('CERTIFICATE')}${pem('CERTIFICATE')}`,
  keyring: pem('PGP PUBLIC KEY BLOCK'),
};

const SECRET = pem('PRIVATE KEY');
/** Those too that no update has fetched yet. */
const ALL_TARGETS = ['--no-release-info'];

const isRoot = process.getuid?.() === 0;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aptkeep-script-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Run {
  key?: string;
  umask?: string;
}

/** Runs the script of a host below `root` as dash(1) does, beside the key; answers how it ended. */
function runScript(root: string, { key = 'web0.key', umask = '022' }: Run = {}) {
  const script = renderAptScript('web0', listAptFiles(SOURCE, root), key, root);
  const command = `umask ${umask}; exec dash -eu`;
  return spawnSync('sh', ['-c', command], { cwd: folder, input: script, encoding: 'utf8' });
}

/** What apt-config(8) makes of the root's apt.conf. */
const dumpConfig = (root: string): string =>
  execFileSync('apt-config', ['-c', join(root, 'apt.conf'), 'dump'], { encoding: 'utf8' });

describe('the script', () => {
  beforeEach(() => writeFileSync(join(folder, 'web0.key'), SECRET));

  it.each(['022', '077', '000'])(
    'writes the listed files with their modes (umask %s)',
    async (umask) => {
      const root = join(folder, 'root');
      const outcome = runScript(root, { umask });
      expect([outcome.status, outcome.stdout, outcome.stderr]).toEqual([0, '', '']);
      const files = listAptFiles(SOURCE, root);
      for (const { path, mode, content, owner } of files) {
        expect(readFileSync(path, 'utf8')).toBe(content ?? SECRET);
        expect(statSync(path).mode.toString(8), path).toBe(`10${mode}`);
        const user = owner === null || !isRoot ? (process.getuid?.() ?? 0) : userId(owner);
        expect(statSync(path).uid, path).toBe(user);
      }
      // A private root needs two more: its configuration, and a status of nothing installed.
      const more = ['apt.conf', 'var/lib/dpkg/status'];
      const listed = [...files.map(({ path }) => path.slice(root.length + 1)), ...more].sort();
      expect(await listFiles(root)).toEqual(listed);
    },
  );

  it('run a second time changes nothing', () => {
    const root = join(folder, 'root');
    runScript(root);
    const before = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} +'], { cwd: root });
    expect(runScript(root).status).toBe(0);
    const after = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} +'], { cwd: root });
    expect(after).toEqual(before);
  });

  it('without its key beside it ends at once, says why, and writes nothing', async () => {
    rmSync(join(folder, 'web0.key'));
    const outcome = runScript(join(folder, 'root'));
    expect(outcome.status).not.toBe(0);
    expect(outcome.stderr).toBe('aptkeep: web0: the private key web0.key is not in this folder\n');
    expect(await listFiles(folder)).toEqual([]);
  });

  it('never holds the private key', () => {
    const script = renderAptScript('web0', listAptFiles(SOURCE, ''), 'web0.key', '');
    expect(script).not.toContain('PRIVATE KEY');
    expect(script).toContain('/etc/apt/aptkeep/host.key');
    expect(spawnSync('dash', ['-n'], { input: script }).status).toBe(0);
  });

  it.each([
    "it's.key",
    'two words.key',
    '-rf',
    '$(touch touched).key',
    '`touch touched`.key',
    'a;touch touched;.key',
    'back\\slash.key',
    '"quoted".key',
    '*.key',
    '~.key',
    'ключ.key',
    '#.key',
  ])('finds a key named %s', async (key) => {
    writeFileSync(join(folder, key), SECRET);
    const root = join(folder, 'root');
    const outcome = runScript(root, { key });
    expect([outcome.status, outcome.stderr]).toEqual([0, '']);
    expect(readFileSync(join(root, 'etc/apt/aptkeep/host.key'), 'utf8')).toBe(SECRET);
    expect(await listFiles(folder)).not.toContain('touched');
  });

  it.each([
    "it's",
    '$HOME',
    '$(id)',
    '`id`',
    'back\\slash',
    'semi;colon',
    '{brace}',
    'sharp#hash',
    'два',
    'END',
    '%41',
    '[a]*?',
    '&|<>',
    '!x',
  ])('writes below a root named %s, and apt reads it back', async (name) => {
    const root = join(folder, name);
    mkdirSync(root);
    const outcome = runScript(root);
    expect([outcome.status, outcome.stderr]).toEqual([0, '']);
    const files = listAptFiles(SOURCE, root);
    for (const { path, content } of files)
      expect(readFileSync(path, 'utf8')).toBe(content ?? SECRET);
    const dump = dumpConfig(root);
    expect(dump).toContain(`Dir "${root}";`);
    expect(dump).toContain(
      `Acquire::https::repo.example.org::CaInfo "${root}/etc/apt/aptkeep/ca.crt";`,
    );
    expect(
      (await listFiles(folder)).every((file) => file.startsWith(name) || file === 'web0.key'),
    ).toBe(true);
    const targets = execFileSync(
      'apt-get',
      ['-c', join(root, 'apt.conf'), 'indextargets', ...ALL_TARGETS],
      {
        stdio: 'pipe',
        encoding: 'utf8',
      },
    );
    // It ends with an error where Signed-By names no file that it can be.
    expect(targets).toContain(
      `Filename: ${root}/var/lib/apt/lists/repo.example.org:8443_dists_stable`,
    );
  });
});

describe('apt', () => {
  it('finds the client certificate for the host name, without a port', () => {
    writeFileSync(join(folder, 'web0.key'), SECRET);
    const root = join(folder, 'root');
    runScript(root);
    const dump = dumpConfig(root);
    for (const [option, file] of [
      ['CaInfo', 'ca.crt'],
      ['SslCert', 'host.crt'],
      ['SslKey', 'host.key'],
    ]) {
      expect(dump).toContain(
        `Acquire::https::repo.example.org::${option} "${root}/etc/apt/aptkeep/${file}";`,
      );
    }
    expect(dump).not.toContain(':8443::');
    expect(dump).toContain('APT::Update::Error-Mode "any";');
  });

  it('reads every suite with its components from the sources', () => {
    writeFileSync(join(folder, 'web0.key'), SECRET);
    const root = join(folder, 'root');
    runScript(root);
    const format = '$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ARCHITECTURE)';
    const args = ['-c', join(root, 'apt.conf'), '-o', 'APT::Architecture=amd64'];
    const more = [
      '-o',
      'APT::Architectures=amd64',
      'indextargets',
      ...ALL_TARGETS,
      '--format',
      format,
    ];
    const lines = execFileSync('apt-get', [...args, ...more], { encoding: 'utf8' }).split('\n');
    expect(lines.filter((line) => line.endsWith(' Packages amd64')).sort()).toEqual([
      'https://repo.example.org:8443 stable main Packages amd64',
      'https://repo.example.org:8443 testing extra Packages amd64',
      'https://repo.example.org:8443 testing main Packages amd64',
    ]);
  });
});

describe('a quoted word', () => {
  it.each(['plain', '', ' ', "'", "''", 'a b', '$x', '\\', '"', '*', '\n', 'ä', '-n', '~', 'a=b'])(
    'comes back from the shell as it was: %j',
    (word) => {
      const output = execFileSync('dash', ['-c', `printf '%s' ${quoteShell(word)}`]);
      expect(output.toString()).toBe(word);
    },
  );
});

const userId = (name: string): number =>
  Number(execFileSync('id', ['-u', name], { encoding: 'utf8' }));
