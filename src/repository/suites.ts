/**
 * Suites: made once with an identity that never changes by itself, because apt refuses a
 * repository whose Origin, Label or Codename changed. Floor 3.
 */
import { insertSuite, findSuite as queryFindSuite, type SuiteRow } from '../catalog/suites.ts';
import { checkArchitectureName, checkComponentName, checkSuiteName } from '../deb/layout.ts';
import { RefusalError } from '../errors.ts';
import { checkXzProgram } from '../xz-program.ts';
import type { Repository } from './repository.ts';
import {
  DEFAULT_SUITE_OPTIONS,
  readSuiteOptions,
  recordSuiteOptions,
  type SuiteOptions,
} from './suite-options.ts';

/** `validFor` in milliseconds from Date to Valid-Until. */
export interface Suite {
  name: string;
  codename: string;
  origin: string;
  label: string;
  description: string;
  components: string[];
  architectures: string[];
  validFor: number;
  options: SuiteOptions;
  /** The number of the current publication; 0 before the first. */
  publication: number;
}

export interface SuiteDefinition extends Omit<Suite, 'publication' | 'options'> {
  /** What differs from the defaults. */
  options?: Partial<SuiteOptions>;
}

export function readSuiteRow(row: SuiteRow): Suite {
  return {
    name: row.name,
    codename: row.codename,
    origin: row.origin,
    label: row.label,
    description: row.description,
    components: JSON.parse(row.components) as string[],
    architectures: JSON.parse(row.architectures) as string[],
    validFor: row.valid_for_ms,
    options: readSuiteOptions(row.options),
    publication: row.publication,
  };
}

/** @throws RefusalError SUITE_UNKNOWN */
export async function getSuite(
  repository: Pick<Repository, 'catalog'>,
  name: string,
): Promise<Suite> {
  const row = await queryFindSuite(repository.catalog, name);
  if (row) return readSuiteRow(row);
  throw new RefusalError('SUITE_UNKNOWN', `there is no suite ${JSON.stringify(name.slice(0, 80))}`);
}

function checkLine(field: string, value: string, minimum: number): void {
  if (
    /^[^\p{C}\p{Zl}\p{Zp}]*$/u.test(value) &&
    value.trim() === value &&
    value.length >= minimum &&
    value.length <= 200
  )
    return;
  throw new RefusalError(
    'INPUT_INVALID',
    `${field} ${JSON.stringify(value.slice(0, 80))}: one line of ${minimum} to 200 printable characters is allowed`,
  );
}

/** As the catalog holds it. */
export function spellSuiteRow(
  definition: SuiteDefinition,
): Omit<SuiteRow, 'publication' | 'created_at'> {
  const { name, codename, origin, label, description, validFor } = definition;
  return {
    ...{ name, codename, origin, label, description },
    components: JSON.stringify(definition.components),
    architectures: JSON.stringify(definition.architectures),
    valid_for_ms: validFor,
    options: recordSuiteOptions({ ...DEFAULT_SUITE_OPTIONS, ...definition.options }),
  };
}

/**
 * What a suite may be, each name once.
 * @throws RefusalError INPUT_INVALID
 */
export function checkDefinition(definition: SuiteDefinition): SuiteDefinition {
  checkSuiteName(definition.name);
  checkSuiteName(definition.codename);
  checkLine('Origin', definition.origin, 1);
  checkLine('Label', definition.label, 1);
  checkLine('Description', definition.description, 0);
  if (definition.components.length === 0) {
    throw new RefusalError('INPUT_INVALID', 'a suite needs at least one component');
  }
  if (definition.architectures.length === 0) {
    throw new RefusalError('INPUT_INVALID', 'a suite needs at least one architecture');
  }
  for (const component of definition.components) checkComponentName(component);
  for (const architecture of definition.architectures) {
    checkArchitectureName(architecture);
    if (architecture !== 'all') continue;
    throw new RefusalError(
      'INPUT_INVALID',
      'architecture "all" is not named for a suite: its packages stand in the index of every architecture',
    );
  }
  checkOptions({ ...DEFAULT_SUITE_OPTIONS, ...definition.options });
  return {
    ...definition,
    components: [...new Set(definition.components)],
    architectures: [...new Set(definition.architectures)],
  };
}

function checkOptions(options: SuiteOptions): void {
  checkLine('Version', options.version, 0);
  if (!options.butAutomaticUpgrades || options.notAutomatic) return;
  throw new RefusalError(
    'INPUT_INVALID',
    'ButAutomaticUpgrades says something of a suite that is NotAutomatic alone: ask for both',
  );
}

/**
 * Proves that the programs are here which a suite needs for what it asks for.
 * @throws RefusalError PROGRAM_MISSING
 */
export async function checkPrograms(options: Partial<SuiteOptions> = {}): Promise<void> {
  if (options.xz) await checkXzProgram();
}

/**
 * Record a new suite; it has no publication yet, or none of its own where one of the name was
 * removed.
 * @throws RefusalError SUITE_EXISTS, INPUT_INVALID, PROGRAM_MISSING
 */
export async function createSuite(
  repository: Repository,
  definition: SuiteDefinition,
): Promise<Suite> {
  const row = spellSuiteRow(checkDefinition(definition));
  await checkPrograms(definition.options);
  const created_at = new Date(repository.now()).toISOString();
  const inserted = await insertSuite(repository.catalog, { ...row, publication: 0, created_at });
  if (!inserted) throw new RefusalError('SUITE_EXISTS', `suite ${definition.name} exists already`);
  return getSuite(repository, definition.name);
}
