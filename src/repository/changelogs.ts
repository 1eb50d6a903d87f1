/**
 * The changelog of a source package, read from a package of the pool when it is asked for: one at a
 * time, and the last ones kept. Source of truth: Debian Policy 12.7. Floor 3.
 */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { findPackagesOfSource, type SourcePackage } from '../catalog/packages.ts';
import { readDataFile, readPackage } from '../deb/archive.ts';
import { readStanzaSource } from '../deb/stanza.ts';
import { RefusalError } from '../errors.ts';
import { createQueue } from '../queue.ts';
import { openObjectSource } from '../storage/object-source.ts';
import type { Repository } from './repository.ts';

const decompress = promisify(gunzip);

/** Of data.tar, unpacked: what is behind that is not looked for. */
const MAX_DATA_BYTES = 2 * 1024 ** 3;
const MAX_CHANGELOG_BYTES = 8 * 1024 * 1024;
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Binary packages of one source that are looked into. */
const MAX_LOOKS = 8;

/** What a changelog is asked by: the version has no epoch, for apt leaves it out. */
export interface ChangelogName {
  component: string;
  source: string;
  version: string;
}

const stripEpoch = (version: string): string => version.replace(/^\d+:/, '');

/** The package of the source's own name first: the others may only link to its documentation. */
function order(rows: SourcePackage[], source: string): SourcePackage[] {
  const rank = ({ name }: SourcePackage): number => (name === source ? 0 : 1);
  return rows.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

async function readChangelog(
  { storage }: Repository,
  { name, filename }: SourcePackage,
): Promise<Buffer | undefined> {
  const source = await openObjectSource(storage, filename);
  if (!source) return undefined;
  const folder = `usr/share/doc/${name}`;
  const wanted = ['changelog.Debian.gz', 'changelog.gz', 'changelog.Debian', 'changelog'];
  const found = await readDataFile(
    source,
    await readPackage(source),
    wanted.map((file) => `${folder}/${file}`),
    { outputBytes: MAX_DATA_BYTES, fileBytes: MAX_CHANGELOG_BYTES },
  );
  if (!found?.path.endsWith('.gz')) return found?.content;
  return decompress(found.content, { maxOutputLength: MAX_CHANGELOG_BYTES });
}

export class Changelogs {
  readonly #parts: Repository;
  /** Key in the pool -> its changelog, null for none; bounded by bytes. */
  readonly #kept = new Map<string, Buffer | null>();
  #keptBytes = 0;
  readonly #queue = createQueue();

  constructor(parts: Repository) {
    this.#parts = parts;
  }

  /**
   * The changelog as text, or undefined where none is to be had.
   * @param mayRead whether it may be taken from a suite: one that serves changelogs and may be read.
   */
  async find(
    wanted: ChangelogName,
    mayRead: (suite: string) => boolean,
  ): Promise<Buffer | undefined> {
    const rows = await findPackagesOfSource(this.#parts.catalog, wanted);
    const found = new Map(
      rows
        .filter((row) => mayRead(row.suite))
        .filter((row) => stripEpoch(readStanzaSource(row.stanza, row).version) === wanted.version)
        .map((row) => [row.filename, row]),
    );
    for (const row of order([...found.values()], wanted.source).slice(0, MAX_LOOKS)) {
      const changelog = await this.#read(row);
      if (changelog) return changelog;
    }
    return undefined;
  }

  async #read(row: SourcePackage): Promise<Buffer | null> {
    const known = this.#kept.get(row.filename);
    if (known !== undefined) return known;
    return this.#queue.add(async () => {
      const meanwhile = this.#kept.get(row.filename);
      if (meanwhile !== undefined) return meanwhile;
      const changelog = (await readChangelog(this.#parts, row).catch(explain)) ?? null;
      this.#keep(row.filename, changelog);
      return changelog;
    });
  }

  #keep(filename: string, changelog: Buffer | null): void {
    this.#kept.set(filename, changelog);
    // Its name takes room too.
    this.#keptBytes += (changelog?.length ?? 0) + 200;
    for (const [oldest, bytes] of this.#kept) {
      if (this.#keptBytes <= MAX_KEPT_BYTES) return;
      this.#kept.delete(oldest);
      this.#keptBytes -= (bytes?.length ?? 0) + 200;
    }
  }
}

/** One that is larger than the limits, or no gzip, is none. */
function explain(error: unknown): undefined {
  const code = (error as { code?: unknown }).code;
  const isOdd =
    typeof code === 'string' && (code.startsWith('Z_') || code === 'ERR_BUFFER_TOO_LARGE');
  if (isOdd || error instanceof RefusalError) return undefined;
  throw error;
}
