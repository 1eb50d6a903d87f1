/** What one publication changes in a suite. Floor 3. */
import type { PackedPaths } from '../catalog/contents.ts';
import type { PackageRow } from '../catalog/packages.ts';

/** A package that enters a component; `isNew` where the catalog has no row of it yet. */
export interface Addition {
  component: string;
  row: PackageRow;
  isNew: boolean;
  /** What it contains, where that was just read; otherwise the catalog is asked. */
  contents?: PackedPaths;
}

export interface Removal {
  component: string;
  row: Omit<PackageRow, 'stanza' | 'hashes'>;
}

/** An empty change only signs again. */
export interface Change {
  additions: readonly Addition[];
  removals: readonly Removal[];
  /** Made to bring into Contents what is not there yet; any other change takes a little of it. */
  isBacklog?: boolean;
  reason: string;
  actor: string;
}
