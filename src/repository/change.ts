/** What one publication changes in a suite. Floor 3. */
import type { PackageFileRow } from '../catalog/package-files.ts';
import type { PackageRow } from '../catalog/packages.ts';

/** A package that enters a component; `isNew` where the catalog has no row of it yet. */
export interface Addition {
  component: string;
  row: PackageRow;
  isNew: boolean;
  /** With a new source package: the files it names, recorded with it. */
  files?: readonly PackageFileRow[];
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
