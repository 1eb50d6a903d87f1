/**
 * Relations between binary packages. One that apt cannot parse makes every client of the index
 * fail for all its sources, and one that dpkg cannot parse is not installed, so only what both
 * take is let in. Source of truth: deb-control(5), Policy 7.1, apt's ParseDepends(), dpkg's
 * f_dependency(). Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { quoteText } from './printable.ts';
import { parseVersion } from './version.ts';

/** Field in lower case -> whether `a | b` may stand in it. */
export const RELATION_FIELDS: ReadonlyMap<string, { alternatives: boolean }> = new Map([
  ['pre-depends', { alternatives: true }],
  ['depends', { alternatives: true }],
  ['recommends', { alternatives: true }],
  ['suggests', { alternatives: true }],
  ['enhances', { alternatives: true }],
  ['breaks', { alternatives: false }],
  ['conflicts', { alternatives: false }],
  ['replaces', { alternatives: false }],
  ['provides', { alternatives: false }],
]);

const NAME = '[A-Za-z0-9][A-Za-z0-9+._-]*';
const ARCHITECTURE = ':[A-Za-z0-9][A-Za-z0-9-]*';
const OPERATOR = '(<<|<=|=|>=|>>|<|>)';
// No two runs of blanks side by side: what fails to match must fail in linear time.
const VERSION = `\\([ \\t\\n]*(?:${OPERATOR}[ \\t\\n]*)?([^ \\t\\n()]+)[ \\t\\n]*\\)`;
const RELATION = new RegExp(
  `^[ \\t\\n]*${NAME}(?:${ARCHITECTURE})?[ \\t\\n]*(?:${VERSION}[ \\t\\n]*)?$`,
);

/** apt 2.6 gives up where fewer characters than these are left of the field behind a bracket. */
const MIN_LAST_VERSION_CHARACTERS = 4;

/** What administrators most often meet: source-package syntax that never left debian/control. */
function reasonOf(member: string): string {
  if (/^[ \t\n]*$/.test(member)) return 'has an empty member';
  if (member.includes('${')) return `has an unreplaced variable in ${quoteText(member.trim())}`;
  if (member.includes('[')) return `has an architecture restriction: ${quoteText(member.trim())}`;
  if (/<!?[a-z]/.test(member)) return `has a build profile: ${quoteText(member.trim())}`;
  return `does not parse at ${quoteText(member.trim())}`;
}

function checkMember(field: string, member: string): void {
  const match = RELATION.exec(member);
  if (match === null) {
    throw new RefusalError('PACKAGE_UNACCEPTABLE', `field ${field} ${reasonOf(member)}`);
  }
  const [, operator, version] = match;
  if (version === undefined) return;
  try {
    parseVersion(version);
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    throw new RefusalError('PACKAGE_UNACCEPTABLE', `field ${field}: ${error.message}`);
  }
  if (field.toLowerCase() === 'provides' && (operator ?? '=') !== '=') {
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      `field ${field} may name versions with = only: ${quoteText(member.trim())}`,
    );
  }
}

function isTooShortForApt(value: string): boolean {
  const last = value.slice(value.lastIndexOf('(') + 1).trimStart();
  return value.endsWith(')') && last.length < MIN_LAST_VERSION_CHARACTERS;
}

/**
 * Proves that the value of a relation field parses; nothing but blanks is no relation at all.
 * @throws RefusalError PACKAGE_UNACCEPTABLE naming the field and the relation
 */
export function checkRelations(field: string, value: string): void {
  if (/^[ \t\n]*$/.test(value)) return;
  if (isTooShortForApt(value.trim())) {
    throw new RefusalError(
      'PACKAGE_UNACCEPTABLE',
      `field ${field} ends in a version that apt cannot read: ${quoteText(value.trim().slice(-20))}; put a blank before the version`,
    );
  }
  const alternatives = RELATION_FIELDS.get(field.toLowerCase())?.alternatives ?? true;
  for (const conjunct of value.split(',')) {
    if (!alternatives && conjunct.includes('|')) {
      throw new RefusalError(
        'PACKAGE_UNACCEPTABLE',
        `field ${field} may not have alternatives: ${quoteText(conjunct.trim())}`,
      );
    }
    for (const member of conjunct.split('|')) checkMember(field, member);
  }
}
