/**
 * The suites as their mirror in dists/ still tells of them: the signed Release, and what its indexes
 * list. Floor 3.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { bytesOf } from '../deb/byte-source.ts';
import { type Compression, decompress } from '../deb/decompress.ts';
import { distsKey, distsPrefix, suiteOfKey } from '../deb/layout.ts';
import { type ReleaseText, readRelease } from '../deb/release-reader.ts';
import type { PublicKey } from '../signing/key.ts';
import { openClearsigned } from '../signing/verify.ts';
import type { Storage } from '../storage/storage.ts';
import type { ExtraHash, SuiteOptions } from './suite-options.ts';
import type { SuiteDefinition } from './suites.ts';

const MAX_INDEX_BYTES = 4 * 1024 ** 3;

/** A package that a suite lists, by the key of its .deb or .dsc. */
export interface ListedKey {
  component: string;
  key: string;
  sha256: string;
  phased: number | null;
}

export interface MirroredSuite {
  definition: SuiteDefinition;
  /** Of the publication that the mirror holds; milliseconds. */
  date: number;
  listed: ListedKey[];
  /** What could not be taken at its word. */
  warnings: string[];
}

interface Place {
  storage: Storage;
  suite: string;
}

async function readKey(storage: Storage, key: string): Promise<Buffer | undefined> {
  return (await storage.stat(key)) ? buffer(await storage.read(key)) : undefined;
}

const yes = (text: string, pattern: RegExp): boolean => pattern.test(text);

/** What the suite asked for, as far as what it published shows it. */
function readOptions(text: string, release: ReleaseText): Partial<SuiteOptions> {
  const paths = [...release.files.keys()];
  const has = (pattern: RegExp): boolean => paths.some((path) => pattern.test(path));
  const hashes: ExtraHash[] = [];
  if (yes(text, /^SHA512:/m)) hashes.push('SHA512');
  if (yes(text, /^MD5Sum:/m)) hashes.push('MD5sum');
  return {
    xz: has(/\.xz$/),
    hashes,
    contents: has(/\/Contents-/),
    translations: has(/\/i18n\/Translation-/),
    pdiffs: has(/\.diff\/Index$/),
    notAutomatic: release.notAutomatic,
    butAutomaticUpgrades: release.butAutomaticUpgrades,
    version: release.version,
    changelogs: yes(text, /^Changelogs:/m),
    snapshots: yes(text, /^Snapshots:/m),
  };
}

function defineSuite(name: string, text: string, release: ReleaseText): SuiteDefinition {
  const date = release.date?.getTime() ?? 0;
  const until = Date.parse(/^Valid-Until: (.*)$/m.exec(text)?.[1] ?? '');
  return {
    name,
    codename: release.codename,
    origin: release.origin,
    label: release.label,
    description: release.description,
    components: release.components,
    architectures: release.architectures.filter((one) => one !== 'all' && one !== 'source'),
    validFor: Number.isNaN(until) ? 0 : until - date,
    options: readOptions(text, release),
  };
}

/** The plain index, as the mirror has it; undefined where there is none. */
async function readIndex({ storage, suite }: Place, path: string): Promise<Buffer | undefined> {
  const forms: [string, Compression][] = [
    ['', 'none'],
    ['.gz', 'gz'],
  ];
  for (const [suffix, compression] of forms) {
    const bytes = await readKey(storage, distsKey(suite, path + suffix));
    if (!bytes) continue;
    const source = bytesOf(bytes);
    const limits = { outputBytes: MAX_INDEX_BYTES };
    const chunks: Uint8Array[] = [];
    for await (const chunk of decompress(source.stream(0, source.size), compression, limits)) {
      chunks.push(Buffer.from(chunk));
    }
    return Buffer.concat(chunks);
  }
  return undefined;
}

const field = (stanza: string, name: string): string | undefined =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(stanza)?.[1]?.trim();

function readBinary(component: string, stanza: string): ListedKey[] {
  const key = field(stanza, 'Filename');
  const sha256 = field(stanza, 'SHA256');
  const phased = field(stanza, 'Phased-Update-Percentage');
  if (!key || !sha256) return [];
  return [{ component, key, sha256, phased: phased === undefined ? null : Number(phased) }];
}

function readSource(component: string, stanza: string): ListedKey[] {
  const directory = field(stanza, 'Directory');
  const list = /^Checksums-Sha256:\s*\n((?: .*\n?)+)/m.exec(`${stanza}\n`)?.[1] ?? '';
  const [, sha256, name] = /^ (\w{64}) \d+ (\S+\.dsc)$/m.exec(list) ?? [];
  if (!directory || !sha256 || !name) return [];
  return [{ component, key: `${directory}/${name}`, sha256, phased: null }];
}

/** `main/binary-amd64/Packages` -> main; undefined for what lists no packages. */
const componentOf = (path: string): string | undefined =>
  /^([^/]+)\/(?:debian-installer\/)?(?:binary-[^/]+\/Packages|source\/Sources)$/.exec(path)?.[1];

async function readListed(
  place: Place,
  release: ReleaseText,
  warnings: string[],
): Promise<ListedKey[]> {
  const listed = new Map<string, ListedKey>();
  for (const [path, { sha256 }] of release.files) {
    const component = componentOf(path);
    if (component === undefined) continue;
    const index = await readIndex(place, path);
    if (!index) {
      warnings.push(`${place.suite}: ${path} is not there, and what it listed is not known`);
      continue;
    }
    if (createHash('sha256').update(index).digest('hex') !== sha256) {
      warnings.push(`${place.suite}: ${path} is not the signed one; taken as it stands`);
    }
    const read = path.endsWith('/Sources') ? readSource : readBinary;
    for (const stanza of index.toString('utf8').split('\n\n')) {
      for (const one of read(component, stanza)) listed.set(`${component} ${one.key}`, one);
    }
  }
  return [...listed.values()];
}

/** The names of the suites that have a mirror. */
async function findMirrored(storage: Storage): Promise<string[]> {
  const names: string[] = [];
  for await (const key of storage.list(distsPrefix())) {
    if (/^dists\/[^/]+\/InRelease$/.test(key)) names.push(suiteOfKey(key));
  }
  return names.sort();
}

/**
 * Every suite with a mirror that our own key has signed; of the others a warning says why not.
 * @param now no signature may be later.
 */
export async function readMirroredSuites(
  storage: Storage,
  keyring: readonly PublicKey[],
  now: Date,
): Promise<{ suites: MirroredSuite[]; warnings: string[] }> {
  const suites: MirroredSuite[] = [];
  const warnings: string[] = [];
  for (const suite of await findMirrored(storage)) {
    const place = { storage, suite };
    const inRelease = await readKey(storage, distsKey(suite, 'InRelease'));
    try {
      const text = await openClearsigned(inRelease?.toString('utf8') ?? '', keyring, now);
      const release = readRelease(Buffer.from(text));
      const own: string[] = [];
      const listed = await readListed(place, release, own);
      const definition = defineSuite(suite, text, release);
      suites.push({ definition, date: release.date?.getTime() ?? 0, listed, warnings: own });
      warnings.push(...own);
    } catch (error) {
      warnings.push(`${suite}: its InRelease is not taken: ${(error as Error).message}`);
    }
  }
  return { suites, warnings };
}
