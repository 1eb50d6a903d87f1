/**
 * What a suite asks for beyond Packages, Packages.gz and SHA256. Recorded as the difference from
 * the defaults, so that a default may change. Floor 3.
 */

/** A hash that Release and its stanzas carry besides SHA256, by its name in Release. */
export type ExtraHash = 'SHA512' | 'MD5sum';

export interface Retention {
  /**
   * Versions of a package, architecture and component that stay, newest first; null for the one
   * that always does, where `days` are given.
   */
  newest: number | null;
  /** What came into the suite in the last days stays, whatever its version; null for none. */
  days: number | null;
}

export interface SuiteOptions {
  /** Packages.xz, Sources.xz and the like beside .gz. */
  xz: boolean;
  hashes: readonly ExtraHash[];
  /** Contents-ARCH. */
  contents: boolean;
  /** Translation-en, and Description-md5 with the short description in Packages. */
  translations: boolean;
  /** Packages.diff/Index with merged patches. */
  pdiffs: boolean;
  /** apt pins the suite at 1; with `butAutomaticUpgrades` at 100. */
  notAutomatic: boolean;
  butAutomaticUpgrades: boolean;
  /** Version in Release; '' for none. */
  version: string;
  /** The field Changelogs, and changelogs served. */
  changelogs: boolean;
  /** The field Snapshots, and past publications served by time. */
  snapshots: boolean;
  /** Fingerprints of OpenPGP keys, one of which has to have signed a .changes; null for none. */
  signers: readonly string[] | null;
  retention: Retention | null;
}

export const DEFAULT_SUITE_OPTIONS: SuiteOptions = {
  xz: false,
  hashes: [],
  contents: true,
  translations: false,
  pdiffs: false,
  notAutomatic: false,
  butAutomaticUpgrades: false,
  version: '',
  changelogs: false,
  snapshots: false,
  signers: null,
  retention: null,
};

export function readSuiteOptions(json: string): SuiteOptions {
  return { ...DEFAULT_SUITE_OPTIONS, ...(JSON.parse(json) as Partial<SuiteOptions>) };
}

/** Only what differs from the defaults. */
export function recordSuiteOptions(options: SuiteOptions): string {
  const defaults: Record<string, unknown> = { ...DEFAULT_SUITE_OPTIONS };
  const differing = Object.entries(options).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  return JSON.stringify(Object.fromEntries(differing));
}
