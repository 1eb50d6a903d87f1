/**
 * One distribution of a dists-shaped repository: what it says of itself and which files it lists,
 * from its Release down, every index by its hash. With a keyring, nothing counts that no signature
 * vouches for. Source of truth: DebianRepository/Format, apt-secure(8). Floor 2.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { bytesOf } from '../deb/byte-source.ts';
import { type Compression, decompress } from '../deb/decompress.ts';
import {
  type IndexedFile,
  type IndexedSource,
  readPackagesIndex,
  readSourcesIndex,
} from '../deb/packages-reader.ts';
import { type ReleaseText, readRelease } from '../deb/release-reader.ts';
import { RefusalError } from '../errors.ts';
import type { PublicKey } from '../signing/key.ts';
import { demandDetached, openClearsigned } from '../signing/verify.ts';
import type { ForeignPlace } from './place.ts';

const MAX_RELEASE_BYTES = 64 * 1024 * 1024;
const MAX_INDEX_BYTES = 1024 * 1024 * 1024;

/** Suffix -> compression, in the order in which they are wanted. */
const FORMS: readonly (readonly [string, Compression])[] = [
  ['.gz', 'gz'],
  ['.xz', 'xz'],
  ['', 'none'],
  ['.zst', 'zst'],
];

export interface ListedFile extends IndexedFile {
  component: string;
}

export interface ListedSource extends IndexedSource {
  component: string;
}

export interface Distribution {
  release: ReleaseText;
  /** In the chosen components and architectures, each once in each component. */
  files: ListedFile[];
  sources: ListedSource[];
  /** Whether a signature by a key of the keyring vouches for all of it. */
  isVerified: boolean;
}

export interface DistributionChoice {
  name: string;
  /** All that Release names without it. */
  components: readonly string[] | undefined;
  /** All that Release names, and source, without it; `all` is always among them. */
  architectures: readonly string[] | undefined;
}

const refuse = (why: string): RefusalError => new RefusalError('SOURCE_UNACCEPTABLE', why);

async function verify<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefusalError) throw error;
    throw refuse(`${name}: no signature counts: ${(error as Error).message}`);
  }
}

/** Bytes of the Release file, verified where there is a keyring. */
async function readSigned(
  place: ForeignPlace,
  folder: string,
  trust: { keyring: readonly PublicKey[]; now: Date } | undefined,
): Promise<Buffer> {
  const inRelease = await place.read(`${folder}/InRelease`, MAX_RELEASE_BYTES);
  if (inRelease && trust) {
    const text = inRelease.toString('utf8');
    return verify('InRelease', async () =>
      Buffer.from(await openClearsigned(text, trust.keyring, trust.now)),
    );
  }
  const release = await place.read(`${folder}/Release`, MAX_RELEASE_BYTES);
  if (!release && inRelease) return cutFrame(inRelease);
  if (!release) throw refuse(`${place.name}: ${folder} has neither InRelease nor Release`);
  if (!trust) return release;
  const signature = await place.read(`${folder}/Release.gpg`, MAX_RELEASE_BYTES);
  if (!signature) throw refuse(`${folder}/Release is not signed: there is no Release.gpg`);
  await verify('Release', () => demandDetached(release, signature, trust.keyring, trust.now));
  return release;
}

/** The text of an InRelease that nobody verifies. */
function cutFrame(inRelease: Buffer): Buffer {
  const text = inRelease.toString('utf8');
  const body =
    /^-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: .*\n)*\n([\s\S]*?\n)-----BEGIN PGP/.exec(
      text,
    )?.[1];
  if (body === undefined) throw refuse('InRelease is no clear-signed text');
  return Buffer.from(body);
}

/** An index in whichever form is listed and there; undefined where Release lists none. */
async function readIndex(
  place: ForeignPlace,
  folder: string,
  release: ReleaseText,
  path: string,
): Promise<Buffer | undefined> {
  const listed = FORMS.filter(([suffix]) => release.files.has(`${path}${suffix}`));
  for (const [suffix, compression] of listed) {
    const file = release.files.get(`${path}${suffix}`);
    if (!file || file.size > MAX_INDEX_BYTES) throw refuse(`${path}${suffix} is too large`);
    if (file.size === 0 && suffix === '') return Buffer.alloc(0);
    const packed = await place.read(`${folder}/${path}${suffix}`, file.size);
    if (!packed) continue;
    const sha256 = createHash('sha256').update(packed).digest('hex');
    if (packed.length !== file.size || sha256 !== file.sha256) {
      throw refuse(`${path}${suffix} is not the one that Release lists (SHA256 ${file.sha256})`);
    }
    const { stream } = bytesOf(packed);
    const limits = { outputBytes: MAX_INDEX_BYTES };
    return buffer(decompress(stream(0, packed.length), compression, limits));
  }
  if (listed.length > 0) throw refuse(`${path} is listed in Release, but not there`);
  return undefined;
}

/** What was asked for, where the repository has it all. */
function choose(
  what: string,
  wanted: readonly string[] | undefined,
  present: readonly string[],
): string[] {
  const missing = wanted?.find((one) => !present.includes(one));
  if (missing === undefined) return [...(wanted ?? present)];
  throw refuse(`it has no ${what} ${JSON.stringify(missing)}; it has ${present.join(', ')}`);
}

/**
 * Read a distribution, down to the list of its files.
 * @throws RefusalError SOURCE_UNACCEPTABLE
 */
export async function readDistribution(
  place: ForeignPlace,
  choice: DistributionChoice,
  trust: { keyring: readonly PublicKey[]; now: Date } | undefined,
): Promise<Distribution> {
  const folder = `dists/${choice.name}`;
  const release = readRelease(await readSigned(place, folder, trust));
  const binary = release.architectures.filter((one) => one !== 'all' && one !== 'source');
  const components = choose('component', choice.components, release.components);
  const named = choose('architecture', choice.architectures, [...binary, 'source']);
  const architectures = named.filter((one) => one !== 'source');
  const read = (path: string): Promise<Buffer | undefined> =>
    readIndex(place, folder, release, path);
  const files: ListedFile[] = [];
  const sources: ListedSource[] = [];
  for (const component of components) {
    const seen = new Set<string>();
    for (const part of ['', 'debian-installer/']) {
      for (const architecture of [...architectures, 'all']) {
        const index = await read(`${component}/${part}binary-${architecture}/Packages`);
        for (const file of index ? readPackagesIndex(index) : []) {
          if (seen.has(file.path)) continue;
          seen.add(file.path);
          files.push({ ...file, component });
        }
      }
    }
    if (!named.includes('source')) continue;
    const index = await read(`${component}/source/Sources`);
    for (const source of index ? readSourcesIndex(index) : []) {
      sources.push({ ...source, component });
    }
  }
  const chosen = { ...release, components, architectures };
  return { release: chosen, files, sources, isVerified: trust !== undefined };
}
