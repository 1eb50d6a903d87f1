/**
 * The lock of a package: held from the look into the catalog until its bytes and its facts are both
 * there, or both gone. Floor 3.
 */
import type { Catalog } from '../catalog/sql.ts';

export interface PackageName {
  name: string;
  version: string;
  architecture: string;
}

/** The name that two packages with different bytes may not share. */
export const spellPackage = ({ name, version, architecture }: PackageName): string =>
  `${name}_${version}_${architecture}`;

/** Holds every name at once, always taken in the same order. */
export function lockPackages<Result>(
  catalog: Catalog,
  names: readonly string[],
  work: () => Promise<Result>,
): Promise<Result> {
  const take = ([first, ...rest]: readonly string[]): Promise<Result> =>
    first === undefined ? work() : catalog.lock(`package:${first}`, () => take(rest));
  return take([...new Set(names)].sort());
}
