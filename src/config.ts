/**
 * Flags over environment over file over default -> one frozen Config. The keys and their defaults
 * stand in settings.ts. Floor 2.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { RefusalError, systemCode } from './errors.ts';
import { SETTINGS, type SettingKey, type ValueOf } from './settings.ts';

/** The effective configuration: durations in milliseconds, sizes in bytes. */
export interface Config {
  readonly data: string;
  readonly values: { readonly [Key in SettingKey]: ValueOf<Key> };
  /** Where each value came from, as people read it: `flag --listen`, `default`. */
  readonly origins: { readonly [Key in SettingKey]: string };
  readonly texts: { readonly [Key in SettingKey]: string };
  readonly warnings: readonly string[];
  /** Where systemd puts the credentials of a unit (systemd.exec(5)). */
  readonly credentials: string | undefined;
}

/** What the command line was given: setting key -> text, and the two that are no settings. */
export interface ConfigFlags {
  data?: string | undefined;
  config?: string | undefined;
  settings?: Partial<Record<SettingKey, string | undefined>>;
}

/** Flags that are not spelled as their setting is. */
const FLAGS: { readonly [Key in SettingKey]?: string } = { 'proxy.trust': 'trust-proxy' };

/** `tls.strictHandshake` -> APTKEEP_TLS_STRICT_HANDSHAKE; the spelling without the inner _ works too. */
export function environmentNames(key: string): string[] {
  const flat = `APTKEEP_${key.replace(/\./g, '_')}`.toUpperCase();
  const parted = `APTKEEP_${key.replace(/\./g, '_').replace(/([A-Z])/g, '_$1')}`.toUpperCase();
  return [...new Set([parted, flat])];
}

/** Names in the environment that are not settings but belong to the command line. */
const CLIENT_VARIABLES = ['DATA', 'CONFIG', 'SERVER', 'CERT', 'KEY', 'CA'].map(
  (n) => `APTKEEP_${n}`,
);

const keys = Object.keys(SETTINGS) as SettingKey[];

function readSettingsFile(path: string, required: boolean): Map<string, string> {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && !required) return new Map();
    throw new RefusalError('CONFIG_INVALID', `${path}: cannot be read (${systemCode(error)})`);
  }
  let tree: unknown;
  try {
    tree = parse(source) ?? {};
  } catch (error) {
    throw new RefusalError('CONFIG_INVALID', `${path}: not YAML: ${(error as Error).message}`);
  }
  const found = new Map<string, string>();
  const walk = (value: unknown, prefix: string): void => {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value))
        walk(inner, prefix ? `${prefix}.${name}` : name);
      return;
    }
    if (!Object.hasOwn(SETTINGS, prefix)) {
      throw new RefusalError(
        'CONFIG_INVALID',
        `${path}: unknown key ${prefix || String(value)}; allowed are ${keys.join(', ')}`,
      );
    }
    // A key with nothing behind it: not the text "null".
    if (value === null) {
      const { allowed } = SETTINGS[prefix as SettingKey];
      throw new RefusalError(
        'CONFIG_INVALID',
        `${prefix}: found nothing (file ${path}); allowed is ${allowed}`,
      );
    }
    if (isSecret(prefix as SettingKey)) {
      const [variable] = environmentNames(prefix);
      throw new RefusalError(
        'CONFIG_INVALID',
        `${prefix}: a secret does not belong in ${path}: put it into a file of its own and name that with ${prefix}File, or set ${variable}`,
      );
    }
    const { separator = ',' }: { separator?: string } = SETTINGS[prefix as SettingKey];
    const text = Array.isArray(value) ? value.map(spellItem).join(separator) : String(value);
    found.set(prefix, text);
  };
  walk(tree, '');
  return found;
}

const isSecret = (key: SettingKey): boolean => 'secret' in SETTINGS[key];

/** An item of a list; `host: CN=web` without quotes is a mapping to YAML and one line to people. */
function spellItem(item: unknown): string {
  const pairs = item !== null && typeof item === 'object' ? Object.entries(item) : [];
  const [pair] = pairs;
  return pairs.length === 1 && pair ? `${pair[0]}: ${String(pair[1])}` : String(item);
}

function parseSetting(key: SettingKey, value: string, origin: string): unknown {
  const parsed = SETTINGS[key].parse(value);
  const isMissing = isSecret(key) && parsed === null && origin !== 'default';
  if (parsed !== undefined && !isMissing) return parsed;
  const where = origin === 'default' ? '' : ` (${origin})`;
  const shown = isSecret(key) && !isMissing ? 'something else' : JSON.stringify(value);
  throw new RefusalError(
    'CONFIG_INVALID',
    `${key}: found ${shown}${where}; allowed is ${SETTINGS[key].allowed}`,
  );
}

/**
 * Read the configuration once, at start.
 * @throws RefusalError CONFIG_INVALID naming the key, what was found and what is allowed.
 */
export function loadConfig(
  flags: ConfigFlags,
  environment: Record<string, string | undefined>,
): Config {
  const data = resolve(flags.data ?? environment.APTKEEP_DATA ?? '.');
  const named = flags.config ?? environment.APTKEEP_CONFIG;
  const path = named === undefined ? resolve(data, 'aptkeep.yaml') : resolve(named);
  const fromFile = readSettingsFile(path, named !== undefined);
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  const texts: Record<string, string> = {};
  for (const key of keys) {
    const variable = environmentNames(key).find((name) => environment[name] !== undefined);
    const candidates: [string | undefined, string][] = [
      [flags.settings?.[key], `flag --${FLAGS[key] ?? key.replace('.', '-')}`],
      [variable && environment[variable], `environment ${variable}`],
      [fromFile.get(key), `file ${path}`],
      [SETTINGS[key].fallback, 'default'],
    ];
    const [found, origin] = candidates.find(([value]) => value !== undefined) as [string, string];
    values[key] = parseSetting(key, found, origin);
    origins[key] = origin;
    texts[key] = isSecret(key) && found !== '' ? '[masked]' : found;
  }
  checkSigners(texts);
  const known = new Set([...CLIENT_VARIABLES, ...keys.flatMap(environmentNames)]);
  const warnings = Object.keys(environment)
    .filter((name) => name.startsWith('APTKEEP_') && !known.has(name))
    .map((name) => `the environment variable ${name} is no setting of aptkeep and is ignored`);
  if ((values['crl.refresh'] as number) >= (values['crl.lifetime'] as number)) {
    warnings.push(
      `crl.refresh (${texts['crl.refresh']}) is not shorter than crl.lifetime (${texts['crl.lifetime']}): ` +
        'the revocation list will run out and the door will close between two issues',
    );
  }
  const credentials = environment.CREDENTIALS_DIRECTORY || undefined;
  const parts = { data, values, origins, texts, warnings, credentials };
  return Object.freeze(parts) as unknown as Config;
}

/** @throws RefusalError CONFIG_INVALID where a signer lacks its other half. */
function checkSigners(texts: Record<string, string>): void {
  const demand = (key: string, needed: string): void => {
    if (!texts[key] || texts[needed]) return;
    throw new RefusalError('CONFIG_INVALID', `${key}: it needs ${needed} beside it`);
  };
  demand('signer.clientCaPublicKey', 'signer.clientCa');
  demand('signer.serverCaPublicKey', 'signer.serverCa');
  demand('signer.openpgp', 'signer.openpgpKeyring');
  demand('signer.openpgpKeyring', 'signer.openpgp');
}

/** Key -> what it is for, for documentation and `aptkeep config show`. */
export function describeSettings(): {
  key: SettingKey;
  fallback: string;
  allowed: string;
  purpose: string;
}[] {
  return keys.map((key) => {
    const { fallback, allowed, purpose } = SETTINGS[key];
    return { key, fallback, allowed, purpose };
  });
}
