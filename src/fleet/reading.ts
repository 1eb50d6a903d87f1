/**
 * Who may read which suite, decided from memory on every request: a host what its group may, an
 * uploader what it may add to, observers and admins everything. Nobody else reads anything. A file
 * of the pool may be read by whoever may read a suite that lists it or ever did. Floor 4.
 */
import { Announcer, type Listener } from '../announcer.ts';
import type { Role } from '../authority/profiles.ts';
import { RefusalError } from '../errors.ts';

/** Who asks; `suites` limits an uploader, null for all. */
export interface Reader {
  name: string;
  role: Role;
  suites: readonly string[] | null;
}

/** Plain data, so that another process can be given it: host -> group, group -> suites or all. */
export interface ReadingRules {
  hosts: ReadonlyMap<string, string>;
  groups: ReadonlyMap<string, readonly string[] | null>;
  /** The group of a host without a record; null where each has to have one. */
  unrecorded: string | null;
}

/** Where the facts come from: the catalog, or the process that has it. */
export interface ReadingSource {
  readRules(): Promise<ReadingRules>;
  /** The suites that list a key of the pool or ever did. */
  findSuites(key: string): Promise<readonly string[]>;
}

/** What a reader may read: null for all suites; `who` is asked only to refuse. */
interface Scope {
  suites: readonly string[] | null;
  who: () => string;
}

/** Hosts ask for the same few files; some megabytes at most. */
const MAX_FILES = 20_000;

/** @throws RefusalError SUITE_FORBIDDEN, ROLE_FORBIDDEN where nothing may be read at all. */
function findScope({ name, role, suites }: Reader, rules: ReadingRules): Scope {
  switch (role) {
    case 'observer':
    case 'admin':
      return { suites: null, who: () => `${role} ${name}` };
    case 'uploader':
      return { suites, who: () => `uploader ${name}` };
    case 'host': {
      const group = rules.hosts.get(name) ?? rules.unrecorded ?? undefined;
      const allowed = group === undefined ? undefined : rules.groups.get(group);
      if (group !== undefined && allowed !== undefined) {
        return { suites: allowed, who: () => `host ${name} of group ${group}` };
      }
      throw new RefusalError(
        'SUITE_FORBIDDEN',
        `host ${name} is not recorded, so it is in no group and may read no suite: \`aptkeep host add\``,
      );
    }
    default:
      throw new RefusalError(
        'ROLE_FORBIDDEN',
        `reading needs the role host, uploader, observer or admin; ${name} is ${String(role)}`,
      );
  }
}

const readsUnlisted = ({ role }: Reader): boolean => role === 'observer' || role === 'admin';

const allows = ({ suites }: Scope, suite: string): boolean =>
  suites === null || suites.includes(suite);

const describeScope = ({ suites, who }: Scope): string =>
  `${who()} may read ${suites === null ? 'every suite' : suites.join(', ') || 'no suite'}`;

export class Readers {
  readonly #source: ReadingSource;
  /** Only what lists a file: that grows, and what is forbidden is asked again. */
  readonly #files = new Map<string, readonly string[]>();
  #rules: ReadingRules | undefined;
  #loading: Promise<ReadingRules> | undefined;
  #generation = 0;
  readonly #announcer = new Announcer<'rules'>();

  constructor(source: ReadingSource) {
    this.#source = source;
  }

  /**
   * To be called when a host, a group or a suite has changed, or a listing was deleted, after that
   * is durable: whoever asks from then on is judged by what the source says then.
   */
  invalidate(): void {
    this.#generation += 1;
    this.#rules = undefined;
    this.#loading = undefined;
    this.#files.clear();
    this.#announcer.tell('rules');
  }

  /** Calls `listener` after every `invalidate`; the answer ends that. */
  subscribe(listener: Listener<'rules'>): () => void {
    return this.#announcer.subscribe(listener);
  }

  /** Resolves when every listener has taken over what was told so far. */
  settled(): Promise<void> {
    return this.#announcer.settled();
  }

  /** The rules of now, for a copy in another process. */
  readRules(): Promise<ReadingRules> {
    return this.#source.readRules();
  }

  /** @throws RefusalError SUITE_FORBIDDEN, ROLE_FORBIDDEN naming who asks and what they may read. */
  async checkSuite(reader: Reader, suite: string): Promise<void> {
    const scope = findScope(reader, this.#rules ?? (await this.#load()));
    if (allows(scope, suite)) return;
    throw new RefusalError(
      'SUITE_FORBIDDEN',
      `${describeScope(scope)}, not ${JSON.stringify(suite.slice(0, 80))}`,
    );
  }

  /** True where that is certain at once: the same judgement by the rules in memory, no refusal. */
  maySuite(reader: Reader, suite: string): boolean {
    if (!this.#rules) return false;
    try {
      return allows(findScope(reader, this.#rules), suite);
    } catch {
      return false;
    }
  }

  /** Which suites somebody may read. @throws RefusalError SUITE_FORBIDDEN, ROLE_FORBIDDEN */
  async findReadable(reader: Reader): Promise<(suite: string) => boolean> {
    const scope = findScope(reader, this.#rules ?? (await this.#load()));
    return (suite) => allows(scope, suite);
  }

  /**
   * Whether there is a file of the pool for this reader; false for one that no suite ever listed,
   * which is there for observers and admins alone.
   * @throws RefusalError SUITE_FORBIDDEN, ROLE_FORBIDDEN
   */
  async checkFile(reader: Reader, key: string): Promise<boolean> {
    if (readsUnlisted(reader)) return true;
    const scope = findScope(reader, this.#rules ?? (await this.#load()));
    if (this.#files.get(key)?.some((suite) => allows(scope, suite))) return true;
    const generation = this.#generation;
    const suites = await this.#source.findSuites(key);
    if (suites.length === 0) return false;
    if (generation === this.#generation) this.#remember(key, suites);
    if (suites.some((suite) => allows(scope, suite))) return true;
    throw new RefusalError(
      'SUITE_FORBIDDEN',
      `${describeScope(scope)}; none of them lists ${key.slice(0, 200)}`,
    );
  }

  #remember(key: string, suites: readonly string[]): void {
    if (this.#files.size >= MAX_FILES) {
      const [oldest = ''] = this.#files.keys();
      this.#files.delete(oldest);
    }
    this.#files.set(key, suites);
  }

  #load(): Promise<ReadingRules> {
    this.#loading ??= this.#read();
    return this.#loading;
  }

  async #read(): Promise<ReadingRules> {
    const generation = this.#generation;
    try {
      const rules = await this.#source.readRules();
      if (generation === this.#generation) this.#rules = rules;
      return rules;
    } finally {
      if (generation === this.#generation) this.#loading = undefined;
    }
  }
}
