/**
 * What an import will read: a repository of others in a folder or on a server, or nothing but a
 * folder of packages; its identity, and the list of its files. Floor 3.
 */
import type { ReleaseText } from '../deb/release-reader.ts';
import { RefusalError } from '../errors.ts';
import { type DistributionChoice, readDistribution } from '../foreign/distribution.ts';
import {
  findPackageFiles,
  findTreeRoot,
  listDistributions,
  openFolder,
} from '../foreign/folder.ts';
import type { ForeignPlace } from '../foreign/place.ts';
import { openWeb, type WebAccess } from '../foreign/web.ts';
import type { PublicKey } from '../signing/key.ts';
import { createStagingFile } from '../storage/staging.ts';
import type { Expected } from './inspect.ts';

export interface SourceRequest {
  /** A folder of this machine, absolute, or an https URL. */
  source: string;
  /** Of a dists-shaped source; without it the only one, or the one of the suite's name. */
  distribution: string | undefined;
  components: readonly string[] | undefined;
  architectures: readonly string[] | undefined;
  /** Whose signature vouches for the source; undefined where nobody's is asked for. */
  keyring: readonly PublicKey[] | undefined;
  web: WebAccess;
}

export interface SourceFile {
  /** Relative to the source; of a source package its .dsc. */
  path: string;
  /** Undefined where the source says nothing of components. */
  component: string | undefined;
  expected: Expected | undefined;
}

export interface ImportSource {
  place: ForeignPlace;
  /** Undefined for a folder of packages. */
  release: ReleaseText | undefined;
  /** Binary packages, and the .dsc of source packages. */
  files: SourceFile[];
}

const refuse = (why: string): RefusalError => new RefusalError('SOURCE_UNACCEPTABLE', why);

const isUrl = (source: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(source);

function chooseDistribution(
  present: readonly string[],
  wanted: string | undefined,
  suite: string,
): string {
  const [first] = present;
  if (wanted !== undefined) return wanted;
  if (present.length === 1 && first !== undefined) return first;
  if (present.includes(suite)) return suite;
  throw refuse(
    present.length === 0
      ? 'dists/ holds no distribution with an InRelease or a Release'
      : `it has the distributions ${present.join(', ')}: choose one`,
  );
}

async function readFolderOfPackages(folder: string): Promise<ImportSource> {
  const found = await findPackageFiles(folder);
  if (found.length === 0) throw refuse('it holds no package, and no dists/');
  return {
    place: openFolder(folder),
    release: undefined,
    files: found.map((path) => ({ path, component: undefined, expected: undefined })),
  };
}

async function readTree(
  place: ForeignPlace,
  choice: DistributionChoice,
  keyring: readonly PublicKey[] | undefined,
  now: Date,
): Promise<ImportSource> {
  const trust = keyring && { keyring, now };
  const { release, files, sources } = await readDistribution(place, choice, trust);
  const unproven = trust && files.find(({ sha256 }) => sha256 === undefined);
  if (unproven) throw refuse(`${unproven.path}: Packages has no SHA256 of it`);
  const own = sources.map(({ component, dsc }) => ({ ...dsc, component }));
  return {
    place,
    release,
    files: [...files, ...own].map(({ path, component, size, sha256 }) => ({
      ...{ path, component, expected: { size, sha256 } },
    })),
  };
}

/**
 * Open a source and read what it lists; the caller closes its place.
 * @param suite names the distribution where nothing else does.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export async function openSource(
  request: SourceRequest,
  suite: string,
  staging: string,
  now: Date,
): Promise<ImportSource> {
  const { source, distribution, components, architectures, keyring } = request;
  if (isUrl(source)) {
    if (!keyring) throw refuse('a source on a server needs the keyring that signs it: --keyring');
    const place = openWeb(source, () => createStagingFile(staging), request.web);
    try {
      const choice = { name: distribution ?? suite, components, architectures };
      return await readTree(place, choice, keyring, now);
    } catch (error) {
      await place.close();
      throw error;
    }
  }
  const root = await findTreeRoot(source);
  if (root === undefined) {
    if (keyring)
      throw refuse('a folder without dists/ has no signature that a keyring vouches for');
    return readFolderOfPackages(source);
  }
  const name = chooseDistribution(await listDistributions(root), distribution, suite);
  return readTree(openFolder(root), { name, components, architectures }, keyring, now);
}
