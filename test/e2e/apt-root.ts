/**
 * A host of one's own: a private apt and dpkg root in which the real apt-get fetches as its sandbox
 * user and the real dpkg unpacks, as root and as an ordinary user. Nothing of the machine's own apt
 * configuration is read. Source: apt.conf(5), dpkg(1).
 */
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cleanEnvironment, type Outcome, run, succeed } from './command.ts';
import { formatFields } from './packages.ts';

const FOLDERS = [
  'etc/apt/apt.conf.d',
  'etc/apt/auth.conf.d',
  'etc/apt/keyrings',
  'etc/apt/preferences.d',
  'etc/apt/sources.list.d',
  'etc/apt/trusted.gpg.d',
  'var/cache/apt/archives/partial',
  'var/lib/apt/lists/partial',
  'var/lib/apt/mirrors/partial',
  'var/lib/dpkg/info',
  'var/lib/dpkg/triggers',
  'var/lib/dpkg/updates',
  'var/log/apt',
  'tmp',
];

/**
 * Maintainer scripts run from outside the root, told about it by DPKG_ROOT: a chroot would need a
 * shell in every root, and root's rights. --force-not-root lets dpkg go on where an ordinary user
 * cannot give files to root.
 */
const aptConfiguration = (root: string): string => `
Dir "${root}/";
Dir::State::status "${root}/var/lib/dpkg/status";
Dir::Bin::dpkg "/usr/bin/dpkg";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Update::Error-Mode "any";
APT::Get::Assume-Yes "true";
APT::Install-Recommends "false";
APT::Color "false";
Acquire::Check-Date "true";
Acquire::Check-Valid-Until "true";
Dpkg::Use-Pty "false";
DPkg::Options { "--root=${root}"; "--log=${root}/var/log/dpkg.log";
  "--force-script-chrootless"; "--force-not-root"; "--force-bad-path"; };
quiet "1";
`;

export interface AptRoot {
  readonly directory: string;
  /** `apt-get …`, to its end, whatever the end is. */
  aptGet(...args: string[]): Promise<Outcome>;
  /** The same in a working directory of its own. */
  aptGetIn(cwd: string, ...args: string[]): Promise<Outcome>;
  /** Another program that asks this apt, like apt-cache or apt-file. */
  run(program: string, ...args: string[]): Promise<Outcome>;
  /** The versions that dpkg has installed here, by package; only what is wholly installed. */
  listInstalled(): Promise<Map<string, string>>;
  /** Puts a file where an administrator would, `path` as on the host; owner _apt where asked. */
  install(path: string, content: string | Uint8Array, access?: FileAccess): Promise<void>;
  /** A file of the root, `path` as on the host. */
  read(path: string): Promise<string>;
}

export interface FileAccess {
  mode: number;
  owner?: { uid: number; gid: number };
}

/** The ids of apt's sandbox user; undefined for an ordinary user, whose apt drops no rights. */
export async function findSandboxUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [, , uid, gid] = (await succeed('getent', ['passwd', '_apt'])).split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

export async function createAptRoot(directory: string): Promise<AptRoot> {
  for (const folder of FOLDERS) await mkdir(join(directory, folder), { recursive: true });
  await writeFile(join(directory, 'var/lib/dpkg/status'), '');
  await writeFile(join(directory, 'var/lib/dpkg/available'), '');
  const configuration = join(directory, 'etc/apt/apt.conf');
  await writeFile(configuration, aptConfiguration(directory));
  // Read before Dir::Etc::parts, so that the private root is in force from the first file on.
  const env = {
    ...cleanEnvironment(),
    APT_CONFIG: configuration,
    DEBIAN_FRONTEND: 'noninteractive',
    TMPDIR: '/tmp',
  };
  return {
    directory,
    aptGet: (...args) => run('apt-get', args, { env }),
    aptGetIn: (cwd, ...args) => run('apt-get', args, { env, cwd }),
    run: (program, ...args) => run(program, args, { env }),
    listInstalled: async () => {
      const fields = formatFields('db:Status-Abbrev', 'Package', 'Version');
      const admindir = `--admindir=${join(directory, 'var/lib/dpkg')}`;
      const lines = (await run('dpkg-query', [admindir, '-W', '-f', `${fields}\n`])).stdout.split(
        '\n',
      );
      const installed = lines.map((line) => line.split('\t')).filter(([state]) => state === 'ii ');
      return new Map(installed.map(([, name = '', version = '']) => [name, version]));
    },
    install: async (path, content, access = { mode: 0o644 }) => {
      const file = join(directory, path);
      await mkdir(dirname(file), { recursive: true });
      await rm(file, { force: true });
      await writeFile(file, content, { mode: 0o600 });
      if (access.owner) await chown(file, access.owner.uid, access.owner.gid);
      await chmod(file, access.mode);
    },
    read: (path) => readFile(join(directory, path), 'utf8'),
  };
}
