/** What one publication changes in a suite. Floor 3. */
import type { PackageRow } from '../catalog/packages.ts';

/** A package that enters a component; `isNew` where the catalog has no row of it yet. */
export interface Addition {
  component: string;
  row: PackageRow;
  isNew: boolean;
}

export interface Removal {
  component: string;
  row: Omit<PackageRow, 'stanza'>;
}

/** An empty change only signs again. */
export interface Change {
  additions: readonly Addition[];
  removals: readonly Removal[];
  reason: string;
  actor: string;
}
