/**
 * The hashes that indexes have by what the catalog lists. From one publication to the next most only
 * grow: then what is new is hashed on. Floor 3.
 */
import { createHash, type Hash } from 'node:crypto';
import { hasEnded } from '../catalog/checking.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { listEntries, renderUnits } from './contents-of.ts';
import type { IndexDefinition } from './index-definitions.ts';

interface Reached {
  publication: number;
  hash: Hash;
}

/** Behind everything that a publication added. */
const LAST_ORDINAL = Number.MAX_SAFE_INTEGER;

export class CatalogDigests {
  readonly #sql: SqlExecutor;
  readonly #suite: string;
  /** By path. */
  readonly #reached = new Map<string, Reached>();

  constructor(sql: SqlExecutor, suite: string) {
    this.#sql = sql;
    this.#suite = suite;
  }

  /** Publications have to be asked for in their order. */
  async digest(definition: IndexDefinition, publication: number): Promise<string> {
    const reached = await this.#continueFrom(definition, publication);
    const range = reached
      ? { after: { publication: reached.publication, ordinal: LAST_ORDINAL }, publication }
      : { publication };
    const hash = reached ? reached.hash.copy() : createHash('sha256');
    for await (const entries of listEntries(this.#sql, this.#suite, definition, range)) {
      for (const { bytes } of renderUnits(definition, entries)) hash.update(bytes);
    }
    this.#reached.set(definition.path, { publication, hash });
    return hash.copy().digest('hex');
  }

  async #continueFrom(
    { path, since }: IndexDefinition,
    publication: number,
  ): Promise<Reached | undefined> {
    const reached = this.#reached.get(path);
    if (!reached || since !== 'listing') return undefined;
    const ended = await hasEnded(this.#sql, this.#suite, reached.publication, publication);
    return ended ? undefined : reached;
  }
}
