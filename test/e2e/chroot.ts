/**
 * Bare Debian hosts: trees made by mmdebstrap from the mirror that this machine's apt has, entered
 * with chroot(8). The network is this machine's, so that a server on loopback is reached. As an
 * ordinary user it takes a user namespace, for which newuidmap and a range in /etc/subuid are
 * needed. Source: mmdebstrap(1), unshare(1), apt-get(8) indextargets.
 */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { createScratch, type Outcome, run, succeed } from './command.ts';

export type Release = 'bullseye' | 'bookworm' | 'trixie';

const isRoot = process.getuid?.() === 0;
/** Making a tree fetches some forty megabytes. */
const MAKE_LIMIT_MS = 280_000;

/** What the command after it runs in: mounts of its own, and root's rights over the tree. */
const NAMESPACE = isRoot ? ['unshare', '--mount'] : ['mmdebstrap', '--unshare-helper'];

/** What every bare host has, and nothing else. */
const INCLUDED = 'curl,openssl,ca-certificates';

async function inNamespace(...words: string[]): Promise<string> {
  const [command = '', ...rest] = [...NAMESPACE, ...words];
  return succeed(command, rest);
}

/** @throws Error naming what an ordinary user lacks. */
async function checkRights(): Promise<void> {
  if (isRoot) return;
  const { username } = userInfo();
  const ranges = await readFile('/etc/subuid', 'utf8').catch(() => '');
  const hasMap = (await run('sh', ['-c', 'command -v newuidmap'])).status === 0;
  if (hasMap && ranges.split('\n').some((line) => line.startsWith(`${username}:`))) return;
  throw new Error(
    `a chroot for this test needs root, or for ${username}: newuidmap (Debian package uidmap) and a range in /etc/subuid and /etc/subgid`,
  );
}

/** The mirror from which this machine's own release is installed. */
export async function findMirror(): Promise<string> {
  const os = await readFile('/etc/os-release', 'utf8');
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(os)?.[1] ?? '';
  const format = '$(CREATED_BY) $(CODENAME) $(COMPONENT) $(SITE)|$(REPO_URI)';
  const targets = await succeed('apt-get', ['indextargets', '--format', format]);
  for (const line of targets.split('\n')) {
    const [what = '', uri = ''] = line.split('|');
    if (what.startsWith(`Packages ${codename} main `)) return uri.replace(/\/$/, '');
  }
  throw new Error(`apt knows no mirror with ${codename} main: run apt-get update first`);
}

export interface Tree {
  readonly release: Release;
  /** A host of its own, as bare as the tree. */
  unpack(name: string): Promise<Host>;
}

export interface Host {
  readonly directory: string;
  /** A command on the host, as root, to its end whatever that is. */
  run(...words: string[]): Promise<Outcome>;
  /** A shell script on the host, read from standard input; it has to succeed. */
  shell(script: string): Promise<string>;
  write(path: string, content: string): Promise<void>;
  read(path: string): Promise<string>;
  /** Names, kinds, modes, owners, targets and SHA-256 of everything below a folder of the host. */
  fingerprint(folder: string): Promise<string>;
}

/**
 * Entered with /dev of this machine, which is gone with the namespace. The status is said on the
 * last line, because mmdebstrap keeps it to itself.
 */
const ENTER = 'mount --rbind /dev "$1/dev" || exit; chroot "$@"; printf "[status %s]\\n" "$?" >&2';
const STATUS = /\[status (\d+)\]\n$/;

const ENVIRONMENT = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C.UTF-8'];

function openHost(directory: string): Host {
  const enter = async (words: readonly string[], input: string): Promise<Outcome> => {
    const inside = ['sh', '-c', ENTER, 'sh', directory, 'env', '-i', ...ENVIRONMENT, ...words];
    const [command = '', ...rest] = [...NAMESPACE, ...inside];
    const outcome = await run(command, rest, { input });
    const status = STATUS.exec(outcome.stderr)?.[1];
    if (status === undefined) throw new Error(`cannot enter ${directory}: ${outcome.stderr}`);
    return { ...outcome, status: Number(status), stderr: outcome.stderr.replace(STATUS, '') };
  };
  const shell = async (script: string): Promise<string> => {
    const outcome = await enter(['sh', '-eu'], script);
    if (outcome.status === 0) return outcome.stdout;
    throw new Error(`exit ${outcome.status}:\n${script}\n${outcome.stdout}${outcome.stderr}`);
  };
  return {
    directory,
    run: (...words) => enter(words, ''),
    shell,
    write: async (path, content) => {
      await shell(`cat >'${path}' <<'END-OF-FILE'\n${content.replace(/\n$/, '')}\nEND-OF-FILE\n`);
    },
    read: (path) => shell(`cat '${path}'`),
    fingerprint: (folder) =>
      shell(
        `cd '${folder}'; find . -printf '%P %y %m %U %G %l\\n' | sort; find . -type f -print0 | sort -z | xargs -0 -r sha256sum`,
      ),
  };
}

/** A tree of a release, in what createTrees() gave. */
export async function makeTree(scratch: string, release: Release): Promise<Tree> {
  await checkRights();
  const mirror = await findMirror();
  const tar = join(scratch, `${release}.tar`);
  const mode = isRoot ? 'root' : 'unshare';
  const args = [`--mode=${mode}`, '--variant=apt', `--include=${INCLUDED}`, release, tar, mirror];
  const made = await run('mmdebstrap', args, { limitMs: MAKE_LIMIT_MS });
  if (made.status !== 0) throw new Error(`mmdebstrap ${args.join(' ')}:\n${made.stderr}`);
  return {
    release,
    async unpack(name) {
      // Root of a user namespace is nobody out here: it needs a folder where anybody may make one.
      const outer = join(scratch, name);
      await mkdir(outer);
      await chmod(outer, 0o777);
      const directory = join(outer, 'root');
      await inNamespace('mkdir', directory);
      await inNamespace('tar', '-C', directory, '--exclude=./dev/*', '-xf', tar);
      const host = openHost(directory);
      await host.shell("printf '127.0.0.1 localhost\\n::1 localhost\\n' >/etc/hosts");
      return host;
    },
  };
}

/** A folder for trees, emptied at the end by who may: what is in it belongs to many. */
export function createTrees(name: string): string {
  const scratch = createScratch(name);
  afterAll(() => inNamespace('sh', '-c', 'rm -rf "$1"/*/root', 'sh', scratch));
  return scratch;
}
