/**
 * What the verbs of this folder work with: where bytes and facts live, who signs, what time it is.
 * Floor 3.
 */
import type { Catalog } from '../catalog/sql.ts';
import type { Logger } from '../log.ts';
import type { SigningKey } from '../signing/signing-key.ts';
import type { Storage } from '../storage/storage.ts';
import type { Prover } from './prover.ts';

export interface Repository {
  catalog: Catalog;
  storage: Storage;
  /** Where uploads are received: on the pool's filesystem, so that placing is a rename. */
  staging: string;
  /**
   * Every Release is signed once by each; more than one only while a key is rotated, which changes
   * the contents of this array.
   */
  readonly signingKeys: SigningKey[];
  /** Milliseconds since the epoch. */
  now: () => number;
  prover: Prover;
  log: Logger;
}
