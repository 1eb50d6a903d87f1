/** Which kind of binary package one is, by what stands in it. Source: deb-control(5), Policy 4.9. Floor 3. */
import type { Control } from '../deb/control.ts';
import type { PackageKind } from '../deb/layout.ts';

/** A word of the control file; '' where it has no such field. */
export function readWord(control: Control, name: string): string {
  const field = control.fields.find((one) => one.name.toLowerCase() === name);
  return field?.value.toString('latin1').trim() ?? '';
}

/**
 * An installer's package in the common index would be offered to every host. dpkg-gencontrol writes
 * no Package-Type, so the section says it as well, and the .changes by the name that it gives.
 * @param named its file name where somebody vouches for it, '' otherwise.
 */
export function kindOf(control: Control, named: string): PackageKind {
  const type = readWord(control, 'package-type');
  if (type === 'udeb' || type === 'ddeb') return type;
  if (/(^|\/)debian-installer$/.test(control.section ?? '')) return 'udeb';
  if (named.endsWith('.udeb')) return 'udeb';
  return named.endsWith('.ddeb') ? 'ddeb' : 'deb';
}
