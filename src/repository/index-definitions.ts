/**
 * Which indexes a suite has, what stands in each, and how one package stands in it. Floor 3.
 */
import type { PackageRow } from '../catalog/packages.ts';
import { indexPath, installerIndexPath, sourceIndexPath } from '../deb/layout.ts';
import type { Change } from './change.ts';
import type { Suite } from './suites.ts';

/** A package as a suite lists it. */
export interface Entry {
  component: string;
  row: PackageRow;
  /** The share of hosts that take it, in per cent; null or undefined for all. */
  phased?: number | null;
}

export interface IndexDefinition {
  /** The uncompressed file, relative to the suite. */
  path: string;
  component: string;
  /** Null where packages of every architecture stand in it. */
  architecture: string | null;
  kinds: readonly string[];
  /**
   * Indexes of one family are there together, from the first package of theirs on and for ever:
   * who has them in sources.list would be told of an error otherwise. Null for what is always there.
   */
  family: string | null;
  /** What stands behind each entry: a stanza ends in a blank line, wherever it stands. */
  separator: '' | '\n';
  /** What stands in the index for a package, a newline at its end; undefined for nothing. */
  render: (entry: Entry) => Uint8Array | undefined;
}

const BINARY_KINDS: readonly string[] = ['deb', 'ddeb'];
const renderPackage = ({ row }: Entry): Uint8Array => row.stanza;

/** Sources stand in every component or in none: one line of deb-src names them all. */
function familyOf(component: string, kind: string): string | null {
  if (kind === 'dsc') return 'source';
  return kind === 'udeb' ? `installer ${component}` : null;
}

function defineComponent({ architectures }: Suite, component: string): IndexDefinition[] {
  const shared = { component, render: renderPackage, separator: '\n' } as const;
  return [
    ...architectures.map((architecture) => ({
      ...{ ...shared, path: indexPath(component, architecture), architecture },
      ...{ kinds: BINARY_KINDS, family: null },
    })),
    ...architectures.map((architecture) => ({
      ...{ ...shared, path: installerIndexPath(component, architecture), architecture },
      ...{ kinds: ['udeb'], family: familyOf(component, 'udeb') },
    })),
    {
      ...{ ...shared, path: sourceIndexPath(component), architecture: null },
      ...{ kinds: ['dsc'], family: familyOf(component, 'dsc') },
    },
  ];
}

/** Every index that a suite may have, in an order that does not change by itself. */
export function defineIndexes(suite: Suite): IndexDefinition[] {
  return suite.components.flatMap((component) => defineComponent(suite, component));
}

/** Those that the next publication has: what is always there, what was, what the change brings. */
export function chooseIndexes(
  suite: Suite,
  previous: { files: { has(path: string): boolean } } | undefined,
  change: Pick<Change, 'additions'>,
): IndexDefinition[] {
  const all = defineIndexes(suite);
  const families = new Set([
    null,
    ...all.filter(({ path }) => previous?.files.has(path)).map(({ family }) => family),
    ...change.additions.map(({ component, row }) => familyOf(component, row.kind)),
  ]);
  return all.filter(({ family }) => families.has(family));
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
