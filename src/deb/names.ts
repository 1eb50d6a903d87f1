/**
 * The spellings of Debian's names. Source of truth: dpkg's pkg_name_is_illegal() and
 * dpkg_arch_name_is_illegal(); Policy 5.6.7. Floor 1.
 */

/** Longest name a file system keeps, in bytes. */
export const MAX_FILE_NAME_BYTES = 255;

/**
 * dpkg takes upper case too, but records the name in lower case, so that apt would never find
 * what it installed.
 */
export function isPackageName(text: string): boolean {
  return /^[a-z0-9][a-z0-9+._-]*$/.test(text);
}

/** Of a binary package: `all` or one architecture; no wildcard, not `source`. */
export function isArchitectureName(text: string): boolean {
  return (
    /^[a-z0-9][a-z0-9-]*$/.test(text) && text !== 'source' && !/^any(-|$)|-any(-|$)/.test(text)
  );
}
