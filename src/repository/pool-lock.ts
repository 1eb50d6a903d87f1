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

/**
 * As `lockPackages`, for thousands of names: one lock stands beside the other instead of inside it,
 * so that a wait for oneself is not noticed.
 */
export async function holdPackages<Result>(
  catalog: Catalog,
  names: readonly string[],
  work: () => Promise<Result>,
): Promise<Result> {
  const ends: (() => void)[] = [];
  const held: Promise<void>[] = [];
  try {
    for (const name of [...new Set(names)].sort()) {
      await new Promise<void>((taken, failed) => {
        const hold = (): Promise<void> =>
          new Promise((end) => {
            ends.push(end);
            taken();
          });
        const lock = catalog.lock(`package:${name}`, hold);
        lock.catch(failed);
        held.push(lock);
      });
    }
    return await work();
  } finally {
    for (const end of ends) end();
    await Promise.allSettled(held);
  }
}
