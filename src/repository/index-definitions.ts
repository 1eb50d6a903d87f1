/**
 * Which indexes a suite has, what stands in each, and how one package stands in it. Floor 3.
 */
import type { PackageRow } from '../catalog/packages.ts';
import { indexPath } from '../deb/layout.ts';
import type { Suite } from './suites.ts';

/** A package as a suite lists it. */
export interface Entry {
  component: string;
  row: PackageRow;
}

export interface IndexDefinition {
  /** The uncompressed file, relative to the suite. */
  path: string;
  component: string;
  /** Null where packages of every architecture stand in it. */
  architecture: string | null;
  kinds: readonly string[];
  /** What stands in the index for a package, a newline at its end; undefined for nothing. */
  render: (entry: Entry) => Uint8Array | undefined;
}

/** In an order that does not change by itself. */
export function defineIndexes(suite: Suite): IndexDefinition[] {
  return suite.components.flatMap((component) =>
    suite.architectures.map((architecture) => ({
      path: indexPath(component, architecture),
      component,
      architecture,
      kinds: ['deb', 'ddeb'],
      render: ({ row }) => row.stanza,
    })),
  );
}

/** Whether a package of a component has a place in an index. */
export function belongsTo(
  definition: IndexDefinition,
  entry: { component: string; row: { architecture: string; kind: string } },
): boolean {
  const { architecture, kind } = entry.row;
  return (
    entry.component === definition.component &&
    definition.kinds.includes(kind) &&
    (definition.architecture === null ||
      architecture === 'all' ||
      architecture === definition.architecture)
  );
}
