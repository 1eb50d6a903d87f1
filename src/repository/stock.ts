/**
 * What was received, looked up by hash and size: a .changes and a .dsc name files, and which of the
 * received ones is meant says their content alone. Floor 3.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { NamedFile } from '../deb/file-list.ts';
import { RefusalError } from '../errors.ts';
import type { ReceivedFile } from './ingest-request.ts';

const READ_BUFFER_BYTES = 1_048_576;

/** The hashes besides SHA-256, by their key in NamedFile. */
const OTHER_HASHES = ['md5', 'sha1', 'sha512'] as const;

export class Stock {
  readonly #byHash = new Map<string, ReceivedFile>();
  readonly #sent: readonly ReceivedFile[];
  readonly #waiting: ReadonlySet<ReceivedFile>;
  readonly #used = new Set<ReceivedFile>();

  constructor(sent: readonly ReceivedFile[], waiting: readonly ReceivedFile[]) {
    this.#sent = sent;
    this.#waiting = new Set(waiting);
    for (const file of [...waiting, ...sent]) this.#byHash.set(file.sha256, file);
  }

  /** What a paper names, proven to be that; undefined where it was not received. */
  async take(named: NamedFile): Promise<ReceivedFile | undefined> {
    const file = this.#byHash.get(named.sha256);
    if (file === undefined) return undefined;
    if (file.size !== named.size) {
      throw new RefusalError(
        'PACKAGE_MALFORMED',
        `${named.name} is said to have ${named.size} bytes; it has ${file.size}`,
      );
    }
    await checkOtherHashes(file, named);
    this.use(file);
    return file;
  }

  use(file: ReceivedFile): void {
    this.#used.add(file);
    // The same bytes may have come twice.
    for (const one of this.#sent) if (one.sha256 === file.sha256) this.#used.add(one);
  }

  isWaiting(file: ReceivedFile): boolean {
    return this.#waiting.has(file);
  }

  /** Of what was sent now, what nothing has asked for yet. */
  listUnused(): ReceivedFile[] {
    return this.#sent.filter((file) => !this.#used.has(file));
  }

  /** Of what was waiting, what is used. */
  listUsedWaiting(): ReceivedFile[] {
    return [...this.#used].filter((file) => this.#waiting.has(file));
  }
}

/** @throws RefusalError PACKAGE_MALFORMED */
async function checkOtherHashes(file: ReceivedFile, named: NamedFile): Promise<void> {
  const hashes = OTHER_HASHES.flatMap((key) => {
    const expected = named[key];
    return expected === undefined ? [] : [{ key, expected, hash: createHash(key) }];
  });
  const bytes =
    file.bytes === undefined
      ? createReadStream(file.path, { highWaterMark: READ_BUFFER_BYTES })
      : [file.bytes];
  for await (const chunk of bytes) for (const { hash } of hashes) hash.update(chunk as Buffer);
  for (const { key, expected, hash } of hashes) {
    const found = hash.digest('hex');
    if (found === expected) continue;
    throw new RefusalError(
      'PACKAGE_MALFORMED',
      `${named.name} is said to have the ${key.toUpperCase()} ${expected}; it has ${found}`,
    );
  }
}
