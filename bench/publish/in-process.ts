/**
 * The operation without the network: a file that was received, in this process, and of that the
 * publication alone.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findPackage, type PackageRow } from '../../src/catalog/packages.ts';
import { type OpenedParts, openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import type { Actor } from '../../src/operations/operation.ts';
import { perform } from '../../src/operations/perform.ts';
import type { Removal } from '../../src/repository/change.ts';
import type { ReceivedFile } from '../../src/repository/ingest.ts';
import type { Facts } from './corpus.ts';
import { type Cost, readWritten } from './cost.ts';
import { type Handed, type Peer, SUITE } from './peer.ts';

const COMPONENT = 'main';
const ACTOR: Actor = {
  ...{ name: 'bench', role: 'admin', serial: null, suites: null, packages: null, address: null },
  confirm: () => {},
};

async function watchHere(step: () => Promise<unknown>): Promise<Cost> {
  const written = readWritten('self');
  const before = process.cpuUsage();
  const began = performance.now();
  await step();
  const wall = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  const cpu = (user + system) / 1000;
  return { wall, cpu, written: readWritten('self') - written, peak: 0 };
}

/** The repository opened in this process, its publisher watched. */
class Opened {
  readonly #parts: OpenedParts;
  /** Of the last publication, from its change handed over to its end. */
  publication: Cost | undefined;
  /** What the next publication takes away besides what it adds. */
  #removals: Removal[] = [];

  constructor(parts: OpenedParts) {
    this.#parts = parts;
    const { publisher } = parts.repository;
    const submit = publisher.submit.bind(publisher);
    publisher.submit = async (suite, change) => {
      let published: { number: number } | undefined;
      const removed = this.#removals;
      this.#removals = [];
      const whole =
        typeof change === 'function' || removed.length === 0
          ? change
          : { ...change, removals: [...change.removals, ...removed] };
      this.publication = await watchHere(async () => {
        published = await submit(suite, whole);
      });
      return published ?? { number: 0 };
    };
  }

  /** Adds a staged file, the operation whole; `old` goes with the same publication. */
  async add(file: ReceivedFile, old?: Facts): Promise<void> {
    if (old) this.#removals = [{ component: COMPONENT, row: await this.#findRow(old) }];
    const input = { files: [file], suite: SUITE, component: COMPONENT };
    await perform(this.#parts, ACTOR, 'package.add', input);
  }

  async remove(old: Facts): Promise<void> {
    const removals = [{ component: COMPONENT, row: await this.#findRow(old) }];
    const change = { additions: [], removals, reason: 'remove', actor: 'bench' };
    await this.#parts.repository.publisher.submit(SUITE, change);
  }

  async stage({ path }: Handed): Promise<ReceivedFile> {
    const bytes = readFileSync(path);
    const { staging } = this.#parts.repository;
    await mkdir(staging, { recursive: true });
    const staged = join(staging, `bench-${performance.now()}`);
    await copyFile(path, staged);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return { path: staged, size: bytes.length, sha256 };
  }

  /** What follows in the background would use up the time of whoever is measured next. */
  async settle(): Promise<void> {
    await this.#parts.repository.mirror.flush();
  }

  inRelease(): string {
    return this.#parts.repository.live.get(SUITE)?.inRelease.toString() ?? '';
  }

  close(): Promise<void> {
    return this.#parts.close();
  }

  async #findRow({ name, version, architecture }: Facts): Promise<PackageRow> {
    const row = await findPackage(this.#parts.repository.catalog, name, version, architecture);
    if (row === undefined) throw new Error(`${name} ${version} is not there`);
    return row;
  }
}

/** Two that take turns on one repository: the whole operation, and what of it is the publication. */
export function openInProcess(data: string): Peer[] {
  const listed = new Set<string>();
  let opened: Opened | undefined;
  const open = (): Opened => {
    if (opened === undefined) throw new Error('it has not begun');
    return opened;
  };
  const settings = { 'log.level': 'error' } as const;
  const begin = async (): Promise<void> => {
    opened ??= new Opened(
      await openParts(loadConfig({ data, settings }, {}), createLogger('error')),
    );
  };
  const stop = async (): Promise<void> => {
    await opened?.close();
    opened = undefined;
  };
  const common = {
    ...{ listed, begin, stop, keyring: join(data, 'certs/archive-keyring.gpg') },
    async readInRelease() {
      await open().settle();
      return open().inRelease();
    },
  };
  const publication = (): Cost => {
    if (!open().publication) throw new Error('nothing was published');
    return open().publication as Cost;
  };
  return [
    {
      ...{ name: 'aptkeep, in process', ...common, variant: 2 },
      async add(file) {
        const staged = await open().stage(file);
        return watchHere(() => open().add(staged));
      },
      async replace(file, old) {
        const staged = await open().stage(file);
        return watchHere(() => open().add(staged, old));
      },
      remove: (old) => watchHere(() => open().remove(old)),
    },
    {
      ...{ name: 'aptkeep, publication alone', ...common, variant: 3 },
      async add(file) {
        await open().add(await open().stage(file));
        return publication();
      },
      async replace(file, old) {
        await open().add(await open().stage(file), old);
        return publication();
      },
    },
  ];
}
