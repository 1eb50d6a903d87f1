/**
 * Every file of a source read: binary packages by threads, source packages with all that their .dsc
 * names, whose hashes it has. Floor 3.
 */
import { readFile } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import type { PackageFileRow } from '../catalog/package-files.ts';
import { dscStem, MAX_DSC_BYTES } from '../deb/dsc.ts';
import { sourceKey } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import type { AdoptedFile } from '../storage/storage.ts';
import type { ImportSource, SourceFile } from './import-source.ts';
import { type Expected, type InspectedFile, type InspectedRow, Inspector } from './inspect.ts';
import { parsePaper } from './paper.ts';
import { renderDsc } from './reread.ts';
import type { SuiteDefinition } from './suites.ts';

/** Files on their way from a server, or waiting for a thread, at once. */
const FILES_AT_ONCE = 512;

/** A package as the source has it, and what of it goes into the pool. */
export interface Taken {
  /** Relative to the source. */
  path: string;
  /** Of the listing; the row's own is where its bytes lie. */
  component: string;
  row: InspectedRow;
  /** The package itself the last. */
  writes: AdoptedFile[];
  /** What a .dsc names, by its keys in the pool. */
  files: Omit<PackageFileRow, 'package_id'>[];
}

export interface RefusedFile {
  file: string;
  code: string;
  why: string;
}

export interface ReadRequest {
  component: string | undefined;
  /** Whether data.tar is read; undefined: where no index vouches for the file. */
  checkData: boolean | undefined;
  progress: (done: number, total: number) => void;
}

/** Works through a list with so many under way at once. */
async function eachLimited<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, position: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as Item, at);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, run));
}

class SourceReader {
  readonly #source: ImportSource;
  readonly #definition: SuiteDefinition;
  readonly #request: ReadRequest;
  readonly #inspector = new Inspector();

  constructor(source: ImportSource, definition: SuiteDefinition, request: ReadRequest) {
    this.#source = source;
    this.#definition = definition;
    this.#request = request;
  }

  close(): Promise<void> {
    return this.#inspector.close();
  }

  /** @throws RefusalError where the package is not accepted. */
  read(file: SourceFile): Promise<Taken> {
    const component =
      file.component ?? this.#request.component ?? this.#definition.components[0] ?? '';
    return file.path.endsWith('.dsc')
      ? this.#readSource(file, component)
      : this.#readBinary(file, component);
  }

  async #readBinary({ path: named, expected }: SourceFile, component: string): Promise<Taken> {
    const path = await this.#source.place.bring(named, expected?.size ?? 0);
    const checkData = this.#request.checkData ?? expected?.sha256 === undefined;
    const job = { kind: 'binary', path, named, component, expected, checkData } as const;
    const { inspected, fault } = await this.#inspector.inspect(job);
    if (fault) throw new RefusalError(fault.code, fault.why);
    const { row, file } = inspected;
    if (!row) throw new Error('a binary package was read without its row');
    this.#checkArchitecture(row);
    const { size, modified } = file;
    const writes = [{ key: row.filename, path, size, modified }];
    return { path: named, component, row, writes, files: [] };
  }

  async #bringPlain(
    named: string,
    expected: Expected | undefined,
  ): Promise<{ path: string; file: InspectedFile }> {
    const path = await this.#source.place.bring(named, expected?.size ?? 0);
    const job = { kind: 'plain', path, expected } as const;
    const { inspected, fault } = await this.#inspector.inspect(job);
    if (fault) throw new RefusalError(fault.code, `${posix.basename(named)}: ${fault.why}`);
    return { path, file: inspected.file };
  }

  async #readSource({ path: named, expected }: SourceFile, component: string): Promise<Taken> {
    const { path, file } = await this.#bringPlain(named, expected);
    if (file.size > MAX_DSC_BYTES) {
      throw new RefusalError('PACKAGE_MALFORMED', 'a .dsc is not larger than 1 MiB');
    }
    const text = await readFile(path);
    const paper = parsePaper(text);
    if (paper?.kind !== 'dsc') throw new RefusalError('PACKAGE_MALFORMED', 'it is no .dsc');
    const { name, version, files } = paper.control;
    const writes: AdoptedFile[] = [];
    const rows: Taken['files'] = [];
    for (const { name: member, size, sha256 } of files) {
      const brought = await this.#bringPlain(posix.join(dirname(named), member), { size, sha256 });
      const key = sourceKey(component, name, member);
      writes.push({ key, path: brought.path, size, modified: brought.file.modified });
      rows.push({ filename: key, size, sha256 });
    }
    const filename = sourceKey(component, name, `${dscStem(name, version)}.dsc`);
    writes.push({ key: filename, path, size: file.size, modified: file.modified });
    const facts = { component, size: file.size, sha256: file.sha256 };
    const row = {
      ...{ name, version, architecture: 'source', kind: 'dsc', source: name, filename },
      ...{ ...facts, stanza: renderDsc(paper.control, text, facts), hashes: '{}' },
    };
    return { path: named, component, row, writes, files: rows };
  }

  #checkArchitecture({ architecture }: InspectedRow): void {
    const { name, architectures } = this.#definition;
    if (architecture === 'all' || architectures.includes(architecture)) return;
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      `Architecture ${architecture}: suite ${name} holds ${architectures.join(', ')} and all`,
    );
  }
}

/** Reads every file of a source; a refused one is in the second list. */
export async function readSourceFiles(
  source: ImportSource,
  definition: SuiteDefinition,
  request: ReadRequest,
): Promise<{ taken: Taken[]; refused: RefusedFile[] }> {
  const reader = new SourceReader(source, definition, request);
  const taken: (Taken | undefined)[] = [];
  const refused: RefusedFile[] = [];
  let done = 0;
  try {
    await eachLimited(source.files, FILES_AT_ONCE, async (file, position) => {
      try {
        taken[position] = await reader.read(file);
      } catch (error) {
        // Of what the source itself does not give, nothing is imported.
        const isOfPackage = error instanceof RefusalError && error.code !== 'SPACE_EXHAUSTED';
        if (!isOfPackage) throw error;
        refused.push({ file: file.path, code: error.code, why: error.message });
      }
      done += 1;
      request.progress(done, source.files.length);
    });
  } finally {
    await reader.close();
  }
  // In the order of the source, whichever came first.
  return { taken: taken.filter((one) => one !== undefined), refused };
}
