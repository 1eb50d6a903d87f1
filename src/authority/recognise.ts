/**
 * Who the bearer of a certificate of another's authority is, by the site's rules: a pure function of
 * the certificate. In doubt, nobody. Source of truth: docs/own-pki.md. Floor 3.
 */
import type { CertificateFacts } from '../pki/certificate.ts';
import { listAttributes, type SubjectKeyword } from '../pki/name.ts';
import { readParts } from '../pki/parts.ts';
import { checkName, type Identity } from './profiles.ts';
import {
  type AlternativeKeyword,
  type Condition,
  isSubjectKeyword,
  type Keyword,
  type NameSource,
  type RoleRule,
} from './role-rules.ts';
import type { Recognise } from './trust.ts';

/** Longer values fit no pattern; it bounds the work of one. */
const MAX_VALUE_CHARACTERS = 512;

interface Matcher extends Condition {
  fits: (value: string) => boolean;
  /** What the first `*` stands for. */
  take: (value: string) => string | undefined;
}

interface CompiledRule extends RoleRule {
  matchers: Matcher[];
}

function compile(condition: Condition): Matcher {
  const literal = condition.pattern
    .split('*')
    .map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
    .join('([A-Za-z0-9_-]+)');
  const expression = new RegExp(`^${literal}$`, 'u');
  const match = (value: string): RegExpExecArray | null =>
    value.length <= MAX_VALUE_CHARACTERS ? expression.exec(value) : null;
  return {
    ...condition,
    fits: (value) => match(value) !== null,
    take: (value) => match(value)?.[1],
  };
}

/** What a certificate says, by keyword, in its own order. */
type Said = (keyword: Keyword) => readonly string[];

function readSaid(facts: CertificateFacts): Said {
  const attributes = listAttributes(readParts(facts.der).subject);
  const others: Record<Exclude<Keyword, SubjectKeyword>, readonly string[]> = {
    DNS: facts.dnsNames.map((name) => name.toLowerCase()),
    EMAIL: facts.emails,
    URI: facts.uris,
    IP: facts.ipAddresses,
    ISSUER: [facts.issuer.commonName],
    SERIAL: [facts.serial],
    FINGERPRINT: [facts.fingerprint],
  };
  return (keyword) =>
    isSubjectKeyword(keyword) ? (attributes.get(keyword) ?? []) : others[keyword];
}

/**
 * An attribute of the subject that a rule names must have exactly as many values as the rule names,
 * each in its place: one more OU than was thought of, and the rule does not fit. Of alternative
 * names, which are many by nature, one that fits is enough.
 */
function fitsRule(rule: CompiledRule, said: Said): boolean {
  return rule.matchers.every((matcher) => {
    const values = said(matcher.keyword);
    if (!isSubjectKeyword(matcher.keyword)) return values.some(matcher.fits);
    const same = rule.matchers.filter((one) => one.keyword === matcher.keyword);
    const value = values[same.indexOf(matcher)];
    return values.length === same.length && value !== undefined && matcher.fits(value);
  });
}

/** The one value that counts, undefined where there is none or more than one. */
function readName(rule: CompiledRule, source: NameSource, said: Said): string | undefined {
  if ('is' in source) return source.is;
  const values = said(source.from);
  if (isSubjectKeyword(source.from)) return values.length === 1 ? values[0] : undefined;
  const matcher = rule.matchers.find((one) => one.keyword === source.from);
  const fitting = values.filter((value) => matcher?.fits(value));
  const [value] = fitting;
  if (value === undefined || fitting.length > 1) return undefined;
  return isWhole(source.from) ? value : matcher?.take(value);
}

const isWhole = (keyword: AlternativeKeyword): boolean => keyword === 'DNS';

/** Builds the judgement from rules; the first rule that fits decides, whatever comes of it. */
export function createRecognise(rules: readonly RoleRule[]): Recognise {
  const compiled = rules.map((rule) => ({ ...rule, matchers: rule.conditions.map(compile) }));
  const identify = (facts: CertificateFacts): Identity | undefined => {
    const said = readSaid(facts);
    const rule = compiled.find((one) => fitsRule(one, said));
    const name = rule && readName(rule, rule.name, said);
    if (!rule || name === undefined) return undefined;
    const { role, suites } = rule;
    // A host of this name in the catalog lends its group; one without a record is of the default.
    return { name: checkName(name), role, serial: facts.serial, suites, packages: null };
  };
  return (facts) => {
    try {
      return identify(facts);
    } catch {
      return undefined; // a name that cannot be one, an attribute that is no text
    }
  };
}
