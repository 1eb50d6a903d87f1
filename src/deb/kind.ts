/**
 * What kind of binary package one is: for hosts, for the Debian installer, or of debugging symbols.
 * Source of truth: deb-control(5) for Package-Type and Auto-Built-Package; Policy 2.4 for the
 * section debian-installer. Floor 1.
 */
import type { Control } from './control.ts';
import type { PackageKind } from './layout.ts';

function readWord(control: Control, name: string): string {
  const field = control.fields.find((one) => one.name.toLowerCase() === name);
  return field?.value.toString('latin1').trim() ?? '';
}

/**
 * An installer's package in the common index would be offered to every host. dpkg-gencontrol writes
 * no Package-Type, so the section says it as well, and a .changes by the name that it gives.
 * @param named its name in a .changes; '' where none names it.
 */
export function kindOf(control: Control, named = ''): PackageKind {
  const type = readWord(control, 'package-type');
  if (type === 'udeb' || type === 'ddeb') return type;
  if (/(^|\/)debian-installer$/.test(control.section ?? '')) return 'udeb';
  if (named.endsWith('.udeb')) return 'udeb';
  return named.endsWith('.ddeb') ? 'ddeb' : 'deb';
}

/** Whether a package holds nothing but debugging symbols. */
export const holdsSymbols = (control: Control, kind: PackageKind): boolean =>
  kind === 'ddeb' || readWord(control, 'auto-built-package') === 'debug-symbols';
