/** What one publication changes in a suite. Floor 3. */

import type { AuditNote } from '../catalog/audit.ts';
import type { PackedPaths } from '../catalog/contents.ts';
import type { PackageFileRow } from '../catalog/package-files.ts';
import type { PackageRow } from '../catalog/packages.ts';
import type { Suite, SuiteDefinition } from './suites.ts';

/** A package that enters a component; `isNew` where the catalog has no row of it yet. */
export interface Addition {
  component: string;
  row: PackageRow;
  isNew: boolean;
  /** With a new source package: the files it names, recorded with it. */
  files?: readonly PackageFileRow[];
  /** The share of hosts that take it, in per cent; null or undefined for all. */
  phased?: number | null;
  /** What it contains, where that was just read; otherwise the catalog is asked. */
  contents?: PackedPaths;
}

export interface Removal {
  component: string;
  row: Omit<PackageRow, 'stanza' | 'hashes'>;
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
  /** Made to bring into Contents what is not there yet; any other change takes a little of it. */
  isBacklog?: boolean;
  /** One of several that were joined only signs again: there is a publication in any case. */
  signsAgain?: boolean;
  reason: string;
  actor: string;
  /** For the audit log: written in the transaction of the publication. */
  notes?: readonly AuditNote[];
}

export const isEmpty = ({ additions, removals, settings }: Change): boolean =>
  additions.length === 0 && removals.length === 0 && settings === undefined;

/**
 * A change that depends on what the suite lists, worked out under its lock; undefined where there is
 * nothing to change, and then there is no publication.
 */
export type ChangePlan = (suite: Suite) => Promise<Change | undefined>;
