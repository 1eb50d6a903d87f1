/**
 * Which indexes a suite has, what stands in each, and how one package stands in it. Floor 3.
 */
import type { PackageRow } from '../catalog/packages.ts';
import {
  contentsPath,
  indexPath,
  installerIndexPath,
  sourceIndexPath,
  translationPath,
} from '../deb/layout.ts';
import { renderPhase } from '../deb/phase.ts';
import { addHashes, type StanzaHashes, splitDescription } from '../deb/suite-stanza.ts';
import type { Change } from './change.ts';
import type { SuiteOptions } from './suite-options.ts';
import type { Suite } from './suites.ts';

/** A package as a suite lists it. */
export interface Entry {
  component: string;
  row: PackageRow;
  /** The share of hosts that take it, in per cent; null or undefined for all. */
  phased?: number | null;
  /** Its lines in Contents, where they were asked for. */
  lines?: Uint8Array;
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
  /**
   * Since when a package stands in it: since it is listed, or since its lines are known, which may
   * be later (contents.ts).
   */
  since: 'listing' | 'contents';
  /** What stands behind each entry: a stanza ends in a blank line, wherever it stands. */
  separator: '' | '\n';
  /** What stands in the index for a package, a newline at its end; undefined for nothing. */
  render: (entry: Entry) => Uint8Array | undefined;
}

const BINARY_KINDS: readonly string[] = ['deb', 'ddeb'];

/** The stanza of a binary package with what the suite asks for. */
function renderBinary(
  { hashes, translations }: SuiteOptions,
  { row, phased = null }: Entry,
): Uint8Array {
  let { stanza } = row;
  if (hashes.length > 0) {
    const known = JSON.parse(row.hashes) as StanzaHashes;
    const asked = hashes.map((name) => [name, known[name]]);
    stanza = addHashes(stanza, Object.fromEntries(asked) as StanzaHashes);
  }
  return renderPhase(translations ? splitDescription(stanza).stanza : stanza, phased);
}

/** Sources stand in every component or in none: one line of deb-src names them all. */
function familyOf(component: string, kind: string): string | null {
  if (kind === 'dsc') return 'source';
  return kind === 'udeb' ? `installer ${component}` : null;
}

type Shape = Pick<IndexDefinition, 'family' | 'kinds'>;

function defineStanzas({ architectures, options }: Suite, component: string): IndexDefinition[] {
  const shared = { component, since: 'listing', separator: '\n' } as const;
  const deb: Shape = { kinds: BINARY_KINDS, family: null };
  const udeb: Shape = { kinds: ['udeb'], family: familyOf(component, 'udeb') };
  const source: Shape = { kinds: ['dsc'], family: familyOf(component, 'dsc') };
  const render = (entry: Entry): Uint8Array => renderBinary(options, entry);
  // The installer reads descriptions where they always stood.
  const whole = { ...options, translations: false };
  const renderInstaller = (entry: Entry): Uint8Array => renderBinary(whole, entry);
  return [
    ...architectures.map((architecture) => {
      const path = indexPath(component, architecture);
      return { ...shared, ...deb, path, architecture, render };
    }),
    ...architectures.map((architecture) => {
      const path = installerIndexPath(component, architecture);
      return { ...shared, ...udeb, path, architecture, render: renderInstaller };
    }),
    {
      ...{ ...shared, ...source, path: sourceIndexPath(component), architecture: null },
      render: ({ row }) => row.stanza,
    },
  ];
}

function defineContents({ architectures }: Suite, component: string): IndexDefinition[] {
  const render = ({ lines }: Entry): Uint8Array | undefined => (lines?.length ? lines : undefined);
  const shared = { component, since: 'contents', separator: '', render } as const;
  return architectures.flatMap((architecture) => [
    {
      ...{ ...shared, path: contentsPath(component, architecture, 'deb'), architecture },
      ...{ kinds: BINARY_KINDS, family: null },
    },
    {
      ...{ ...shared, path: contentsPath(component, architecture, 'udeb'), architecture },
      ...{ kinds: ['udeb'], family: familyOf(component, 'udeb') },
    },
  ]);
}

/** A paragraph for each package: apt takes two that say the same for one. */
function defineTranslation(component: string): IndexDefinition {
  return {
    ...{ path: translationPath(component), component, architecture: null, kinds: BINARY_KINDS },
    ...{ family: null, since: 'listing', separator: '\n' },
    render: ({ row }) => splitDescription(row.stanza).translation,
  };
}

function defineComponent(suite: Suite, component: string): IndexDefinition[] {
  const { contents, translations } = suite.options;
  return [
    ...defineStanzas(suite, component),
    ...(contents ? defineContents(suite, component) : []),
    ...(translations ? [defineTranslation(component)] : []),
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

/**
 * The files of the last publication without the indexes whose stanzas would be other ones now: they
 * are made again from the catalog.
 */
export function dropStale<File>(
  before: Suite,
  after: Suite,
  files: ReadonlyMap<string, File>,
): ReadonlyMap<string, File> {
  const told = ({ options: { hashes, translations } }: Suite): string =>
    JSON.stringify([[...hashes].sort(), translations]);
  if (told(before) === told(after)) return files;
  const stale = defineIndexes(after).filter(({ family, since }) => !family && since === 'listing');
  const paths = stale.map(({ path }) => path);
  const isStale = (file: string): boolean =>
    paths.some((path) => file === path || file.startsWith(`${path}.`));
  return new Map([...files].filter(([file]) => !isStale(file)));
}

/** Whether a publication has an index of sources. */
export function hasSources(
  publication: { files: ReadonlyMap<string, unknown> } | undefined,
): boolean {
  return [...(publication?.files.keys() ?? [])].some((path) => path.endsWith('/source/Sources'));
}
