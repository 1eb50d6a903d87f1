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

/** A package name in which `*` stands for any run of a name's characters. */
export function isPackagePattern(text: string): boolean {
  return /^[a-z0-9*][a-z0-9+._*-]*$/.test(text) && text.length <= MAX_FILE_NAME_BYTES;
}

/** In steps that grow with pattern times name at most, whatever the pattern is. */
export function matchesPattern(pattern: string, name: string): boolean {
  let [at, from, star, taken] = [0, 0, -1, 0];
  while (from < name.length) {
    if (pattern[at] === '*') {
      star = at;
      taken = from;
      at += 1;
    } else if (pattern[at] === name[from]) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      taken += 1;
      from = taken;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

/** Of a binary package: `all` or one architecture; no wildcard, not `source`. */
export function isArchitectureName(text: string): boolean {
  return (
    /^[a-z0-9][a-z0-9-]*$/.test(text) && text !== 'source' && !/^any(-|$)|-any(-|$)/.test(text)
  );
}

/** Of a file that a .dsc or .changes names: one segment, nothing that begins with a dot or a dash. */
export function isUploadFileName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9+._~%-]*$/.test(text) && text.length <= MAX_FILE_NAME_BYTES;
}
