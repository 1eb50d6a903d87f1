/**
 * Several hundred packages of Debian's archive, chosen by a rule (vectors/archive/), fetched with
 * apt from the mirror of this machine and kept between runs under the system's temporary directory.
 * Versions are those that Debian has today. Source: apt-get(8) download, update.
 */
import { createHash } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findMirror } from './chroot.ts';
import { CHECKOUT, run, succeed } from './command.ts';

/** What the tests are promised at least: packages go with a release, and no mirror has udebs. */
export const MINIMUM_ARCHIVE = 300;

const LIST = join(CHECKOUT, 'test/vectors/archive/packages.txt');
/** The release from which they were chosen. */
const RELEASE = 'bookworm';
const ARCHITECTURES = ['amd64', 'arm64'];
const SOURCES: readonly (readonly string[])[] = [
  ['amd64,arm64', 'main contrib non-free non-free-firmware'],
  ['amd64', 'main/debian-installer'],
];
const DOWNLOADS_AT_ONCE = 4;
const DOWNLOAD_LIMIT_MS = 280_000;

/** The machine's way to the archive, proxies included. */
const env = { ...process.env, LC_ALL: 'C.UTF-8' };

/** Options of an apt that reads the machine's configuration, and none of its sources and lists. */
async function prepareApt(directory: string): Promise<string[]> {
  const mirror = await findMirror();
  const lines = SOURCES.map(
    ([architectures, components]) =>
      `deb [arch=${architectures}] ${mirror} ${RELEASE} ${components}`,
  );
  await mkdir(join(directory, 'lists/partial'), { recursive: true });
  await mkdir(join(directory, 'cache/archives/partial'), { recursive: true });
  await writeFile(join(directory, 'sources.list'), `${lines.join('\n')}\n`);
  const settings = [
    `Dir::Etc::sourcelist=${directory}/sources.list`,
    'Dir::Etc::sourceparts=/nonexistent',
    `Dir::State::lists=${directory}/lists`,
    `Dir::Cache=${directory}/cache`,
    'Acquire::Languages=none',
    ...ARCHITECTURES.map((architecture) => `APT::Architectures::=${architecture}`),
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}

async function downloadAll(into: string): Promise<void> {
  const apt = await mkdtemp(join(tmpdir(), 'aptkeep-archive-apt-'));
  try {
    const options = await prepareApt(apt);
    await succeed('apt-get', [...options, '-q', 'update'], { env, limitMs: DOWNLOAD_LIMIT_MS });
    const known = (await succeed('apt-cache', [...options, 'pkgnames'], { env })).split('\n');
    const names = (await readFile(LIST, 'utf8')).split('\n').flatMap((line) => {
      const [name = '', architecture = ''] = line.split(' ');
      if (!known.includes(name)) return [];
      return [architecture === 'all' ? name : `${name}:${architecture}`];
    });
    // Its exit status says only that one of them failed; the count is what matters.
    const step = Math.ceil(names.length / DOWNLOADS_AT_ONCE);
    await Promise.all(
      Array.from({ length: DOWNLOADS_AT_ONCE }, (_, index) => {
        const some = names.slice(index * step, (index + 1) * step);
        const limit = { env, cwd: into, limitMs: DOWNLOAD_LIMIT_MS };
        return run('apt-get', [...options, '-q', 'download', ...some], limit);
      }),
    );
  } finally {
    await rm(apt, { recursive: true, force: true });
  }
}

const listDebs = async (directory: string): Promise<string[]> =>
  (await readdir(directory))
    .filter((file) => file.endsWith('.deb'))
    .sort()
    .map((file) => join(directory, file));

/** Paths of at least MINIMUM_ARCHIVE packages. @throws Error where the archive is not reached. */
export async function fetchArchive(): Promise<string[]> {
  const list = createHash('sha256')
    .update(await readFile(LIST))
    .digest('hex')
    .slice(0, 12);
  const cache = join(tmpdir(), `aptkeep-archive-${process.getuid?.() ?? 0}-${list}`);
  const kept = await lstat(cache).catch(() => undefined);
  if (kept && kept.uid !== process.getuid?.()) throw new Error(`${cache} belongs to another user`);
  if (!kept) {
    const directory = await mkdtemp(`${cache}-`);
    try {
      await downloadAll(directory);
      const count = (await listDebs(directory)).length;
      if (count < MINIMUM_ARCHIVE) throw new Error(`${count} packages came from Debian's archive`);
      await rename(directory, cache);
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      // Another run may have been first with the same packages.
      if (!(await lstat(cache).catch(() => undefined))) throw error;
    }
  }
  return listDebs(cache);
}
