/**
 * The notation in which a site says who the bearers of its certificates are: `clientCa.roles`, one
 * rule a line, the first that fits counts. What it reads is plain data, so that any process can
 * build its judgement from it (recognise.ts). Source of truth: docs/own-pki.md. Floor 3.
 */
import { RefusalError } from '../errors.ts';
import { SUBJECT_KEYWORDS, type SubjectKeyword } from '../pki/name.ts';
import { canonicalSerial } from '../pki/serial.ts';
import { checkName } from './profiles.ts';

/** What a rule may give. Enrolment is not among them: it is of our own authority alone. */
const MAPPED_ROLES = ['host', 'uploader', 'observer', 'admin'] as const;
export type MappedRole = (typeof MAPPED_ROLES)[number];

const ALTERNATIVE_KEYWORDS = ['DNS', 'EMAIL', 'URI', 'IP'] as const;
const EXACT_KEYWORDS = ['ISSUER', 'SERIAL', 'FINGERPRINT'] as const;

export type AlternativeKeyword = (typeof ALTERNATIVE_KEYWORDS)[number];
export type Keyword = SubjectKeyword | AlternativeKeyword | (typeof EXACT_KEYWORDS)[number];

const KEYWORDS: readonly Keyword[] = [
  ...SUBJECT_KEYWORDS,
  ...ALTERNATIVE_KEYWORDS,
  ...EXACT_KEYWORDS,
];

export const isSubjectKeyword = (keyword: Keyword): keyword is SubjectKeyword =>
  SUBJECT_KEYWORDS.some((one) => one === keyword);

const isAlternativeKeyword = (keyword: Keyword): keyword is AlternativeKeyword =>
  ALTERNATIVE_KEYWORDS.some((one) => one === keyword);

/** One thing the certificate must say; `*` in it stands for letters, digits, `-` and `_`. */
export interface Condition {
  keyword: Keyword;
  pattern: string;
}

/** Where the name comes from: a value of the certificate, or the rule itself. */
export type NameSource = { from: SubjectKeyword | AlternativeKeyword } | { is: string };

export interface RoleRule {
  role: MappedRole;
  /** The suites an uploader may add to; null for all. */
  suites: string[] | null;
  conditions: Condition[];
  name: NameSource;
}

const MAX_STARS = 3;
const SUITE = /^[A-Za-z0-9][A-Za-z0-9+.~_-]*$/;

/**
 * @param text rules, each on a line of its own or after `|`.
 * @throws RefusalError CONFIG_INVALID naming the rule and what is wrong with it.
 */
export function parseRoleRules(text: string): RoleRule[] {
  return splitOutsideQuotes(text, '\n|')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line, index) => {
      try {
        return parseRule(line);
      } catch (error) {
        if (!(error instanceof RefusalError)) throw error;
        const shown = JSON.stringify(line.slice(0, 200));
        const detail = `clientCa.roles: rule ${index + 1}, ${shown}: ${error.message}`;
        throw new RefusalError('CONFIG_INVALID', detail);
      }
    });
}

const refuse = (why: string): RefusalError => new RefusalError('CONFIG_INVALID', why);

/** Cuts at each of the characters, except between quotation marks. */
function splitOutsideQuotes(text: string, characters: string): string[] {
  const parts: string[] = [''];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '"') quoted = !quoted;
    const escaped = quoted && character === '\\';
    if (!quoted && characters.includes(character)) parts.push('');
    else parts[parts.length - 1] += escaped ? character + text.charAt(++at) : character;
  }
  if (quoted) throw refuse('clientCa.roles: a quotation mark has no other end');
  return parts;
}

function parseRule(line: string): RoleRule {
  const head = /^([A-Za-z]+)\s*(?:\(([^()]*)\))?\s*:(.*)$/s.exec(line);
  if (!head) throw refuse('a role, a colon and conditions are expected');
  const [, word = '', suites, rest = ''] = head;
  const role = MAPPED_ROLES.find((one) => one === word);
  if (!role) throw refuse(`${word} is no role; allowed are ${MAPPED_ROLES.join(', ')}`);
  const conditions: Condition[] = [];
  let name: string | undefined;
  for (const part of splitOutsideQuotes(rest, ',')) {
    const { key, value } = parsePart(part);
    if (key === 'NAME') {
      if (name !== undefined) throw refuse('name= occurs twice');
      name = value;
    } else conditions.push(parseCondition(key, value));
  }
  if (conditions.length === 0) throw refuse('it has no condition; it would fit everybody');
  return { role, suites: parseSuites(role, suites), conditions, name: parseName(name, conditions) };
}

function parsePart(part: string): { key: string; value: string } {
  const match = /^\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\["\\])*)"|([^"]*?))\s*$/s.exec(part);
  if (!match) {
    throw refuse(`${JSON.stringify(part.trim())} is not written KEY=VALUE or KEY="VALUE"`);
  }
  const [, key = '', quoted, plain] = match;
  const value = quoted?.replaceAll(/\\(["\\])/g, '$1') ?? plain ?? '';
  if (value === '') throw refuse(`${key}= has no value`);
  if (/\p{C}/u.test(value)) throw refuse(`${key}= has a control or invisible character`);
  return { key: key.toUpperCase(), value };
}

function parseCondition(key: string, value: string): Condition {
  const keyword = KEYWORDS.find((one) => one === key);
  if (!keyword) throw refuse(`${key} is unknown; known are ${KEYWORDS.join(', ')} and name`);
  const stars = value.split('*').length - 1;
  if (stars > MAX_STARS || value.includes('**')) {
    throw refuse(`${key}=${value} has more * than can be told apart`);
  }
  if (stars > 0 && (keyword === 'IP' || EXACT_KEYWORDS.some((one) => one === keyword))) {
    throw refuse(`${key} takes no *`);
  }
  return { keyword, pattern: spellPattern(keyword, value) };
}

/** As the certificate's own value is spelt when it is compared. */
function spellPattern(keyword: Keyword, value: string): string {
  if (keyword === 'DNS') return value.toLowerCase();
  if (keyword === 'SERIAL') {
    try {
      return canonicalSerial(value.replace(/^0x/i, ''));
    } catch (error) {
      throw refuse((error as Error).message);
    }
  }
  if (keyword !== 'FINGERPRINT') return value;
  const hex = value.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw refuse('FINGERPRINT is SHA-256, 64 hexadecimal digits');
  return hex;
}

function parseSuites(role: MappedRole, text: string | undefined): string[] | null {
  if (text === undefined) return null;
  if (role !== 'uploader') throw refuse(`only an uploader is limited to suites, not a ${role}`);
  const suites = text.split(',').map((one) => one.trim());
  const wrong = suites.find((one) => !SUITE.test(one));
  if (wrong !== undefined) throw refuse(`${JSON.stringify(wrong)} is no name of a suite`);
  return suites;
}

/** `name=DNS` takes what fits that condition, `name=jenkins` is the name itself; CN without it. */
function parseName(text: string | undefined, conditions: readonly Condition[]): NameSource {
  const keyword = KEYWORDS.find((one) => one === (text ?? 'CN'));
  if (keyword === undefined) {
    try {
      return { is: checkName(text ?? '') };
    } catch (error) {
      throw refuse((error as Error).message);
    }
  }
  if (isSubjectKeyword(keyword)) return { from: keyword };
  if (!isAlternativeKeyword(keyword)) throw refuse(`name=${keyword} is no source of names`);
  const sources = conditions.filter((one) => one.keyword === keyword);
  const [source] = sources;
  if (!source || sources.length > 1)
    throw refuse(`name=${keyword} needs one condition ${keyword}=`);
  const stars = source.pattern.split('*').length - 1;
  if (keyword !== 'DNS' && stars !== 1) {
    throw refuse(`name=${keyword} is what * stands for: ${keyword}= needs exactly one *`);
  }
  return { from: keyword };
}
