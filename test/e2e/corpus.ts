/**
 * Real packages from Debian's archive, fetched with the machine's own apt sources and kept between
 * runs under the system's temporary directory; and the same packed again with the compressions
 * that the archive does not use today. Source: apt-get(8) download, dpkg-deb(1).
 */
import { createHash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run, succeed } from './command.ts';

/** What the tests are promised at least. */
export const MINIMUM_PACKAGES = 30;

/**
 * Small ones with something to get wrong: an epoch, a tilde, a plus, Multi-Arch same, foreign,
 * allowed and no, Architecture all, a gz control member (libxdmcp6), alternatives, long folded
 * relations, non-ASCII names. More than are needed, as releases of Debian differ.
 */
const NAMES = [
  'argon2 attr bsdutils debianutils default-jdk dns-root-data docbook-ebnf fonts-gujr gcc-12-base',
  'gcc-14-base hello hostname libacl1 libargon2-1 libargon2-dev libattr1 libbz2-1.0 libcap2',
  'libfontenc1 libjs-autosize liblz4-1 libsigsegv2 libxau-dev libxau6 libxdmcp6 libxmuu1',
  'lsb-release media-types netbase node-autosize php-bcmath php-soap pv python3-minimal pyzor',
  'rename ruby-all-dev sensible-utils tcl time tree ucf uim-look xfonts-thai-vor xorg-dev zlib1g',
].flatMap((line) => line.split(' '));

/** Need nothing and run nothing, so that dpkg installs them into an empty root. */
export const INSTALLABLE = ['dns-root-data', 'libjs-autosize', 'media-types', 'sensible-utils'];

/** Compression of all members -> the packages that are packed again with it. */
const REPACKED: Record<string, string[]> = {
  gzip: ['hello', 'dns-root-data', 'libxau6'],
  none: ['hostname', 'libattr1'],
  zstd: ['media-types', 'tree', 'php-bcmath', 'libargon2-1'],
};

const cacheDirectory = (): string => {
  const list = createHash('sha256').update(NAMES.join()).digest('hex').slice(0, 12);
  return join(tmpdir(), `aptkeep-corpus-${process.getuid?.() ?? 0}-${list}`);
};

const listPackages = async (directory: string): Promise<string[]> =>
  (await readdir(directory))
    .filter((file) => file.endsWith('.deb'))
    .sort()
    .map((file) => join(directory, file));

/** The machine's way to the archive, proxies included. */
const archiveEnvironment = { ...process.env, LC_ALL: 'C.UTF-8' };

/** apt with the machine's configuration and sources, and lists and cache in `directory`. */
async function downloadWith(directory: string, options: string[]): Promise<void> {
  const known = (
    await run('apt-cache', [...options, 'pkgnames'], { env: archiveEnvironment })
  ).stdout.split('\n');
  const names = NAMES.filter((name) => known.includes(name));
  // Its exit status says only that one of them failed; the count is what matters.
  if (names.length >= MINIMUM_PACKAGES) {
    await run('apt-get', [...options, '-q', 'download', ...names], {
      env: archiveEnvironment,
      cwd: directory,
    });
  }
}

async function downloadPackages(directory: string): Promise<void> {
  const own = ['-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache='];
  await downloadWith(directory, own);
  if ((await listPackages(directory)).length >= MINIMUM_PACKAGES) return;
  // The machine's lists are old or were never fetched. A source of somebody else's that does not
  // answer is nothing to us.
  const lists = join(directory, 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  const fresh = [...own, '-o', `Dir::State::lists=${lists}`, '-o', 'Acquire::Languages=none'];
  const update = await run('apt-get', [...fresh, '-q', 'update'], {
    env: archiveEnvironment,
    limitMs: 240_000,
  });
  await downloadWith(directory, fresh);
  await rm(lists, { recursive: true });
  const count = (await listPackages(directory)).length;
  if (count >= MINIMUM_PACKAGES) return;
  throw new Error(`only ${count} packages came from Debian's archive:\n${update.stderr}`);
}

/** Paths of at least MINIMUM_PACKAGES packages as Debian made them. */
export async function fetchCorpus(): Promise<string[]> {
  const cache = cacheDirectory();
  const kept = await lstat(cache).catch(() => undefined);
  if (kept && kept.uid !== process.getuid?.()) throw new Error(`${cache} belongs to another user`);
  if (!kept) {
    const directory = await mkdtemp(`${cache}-`);
    try {
      await downloadPackages(directory);
      await rename(directory, cache);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another run may have been first with the same packages.
      if (!(await lstat(cache).catch(() => undefined))) throw error;
    }
  }
  return listPackages(cache);
}

/** The same contents with another compression of all members; resolves with the new file. */
export async function repack(file: string, compression: string, into: string): Promise<string> {
  const tree = await mkdtemp(join(into, 'tree-'));
  await succeed('dpkg-deb', ['--raw-extract', file, tree]);
  const output = join(into, basename(file));
  const options = ['--root-owner-group', `-Z${compression}`, '--build', tree, output];
  await succeed('dpkg-deb', options);
  await rm(tree, { recursive: true });
  return output;
}

/** The corpus to upload: some as Debian made them, some packed again into `directory`. */
export async function prepareCorpus(directory: string): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const files = await fetchCorpus();
  return Promise.all(
    files.map(async (file) => {
      const name = basename(file).split('_')[0] ?? '';
      const pair = Object.entries(REPACKED).find(([, names]) => names.includes(name));
      return pair ? repack(file, pair[0], directory) : file;
    }),
  );
}
