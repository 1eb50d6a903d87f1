/** What one publication changes in a suite. Floor 3. */
import type { PackageRow } from '../catalog/packages.ts';
import type { Suite, SuiteDefinition } from './suites.ts';

/** A package that enters a component; `isNew` where the catalog has no row of it yet. */
export interface Addition {
  component: string;
  row: PackageRow;
  isNew: boolean;
  /** The share of hosts that take it, in per cent; null or undefined for all. */
  phased?: number | null;
}

export interface Removal {
  component: string;
  row: Omit<PackageRow, 'stanza'>;
}

/**
 * An empty change only signs again. What is removed goes before what is added: a listing that
 * changes is both.
 */
export interface Change {
  additions: readonly Addition[];
  removals: readonly Removal[];
  /** What the suite is from this publication on; undefined leaves it as it is. */
  settings?: SuiteDefinition;
  reason: string;
  actor: string;
}

/**
 * A change that depends on what the suite lists, worked out under its lock; undefined where there is
 * nothing to change, and then there is no publication.
 */
export type ChangePlan = (suite: Suite) => Promise<Change | undefined>;
