/**
 * Flags over environment over file over default -> one frozen Config. Every default lives here,
 * in one table that also writes `aptkeep config show`. Floor 1.
 */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { RefusalError, systemCode } from './errors.ts';
import type { LogLevel } from './log.ts';

export interface Address {
  host: string;
  port: number;
}

/** How one setting is written; `parse` returns undefined for what it does not accept. */
interface Notation<Value> {
  parse(text: string): Value | undefined;
  allowed: string;
}

interface Setting<Value> extends Notation<Value> {
  fallback: string;
  purpose: string;
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const UNIT_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

function scaled<Unit extends string>(
  units: Record<Unit, number>,
  minimum: number,
  allowed: string,
): Notation<number> {
  const pattern = new RegExp(`^(\\d{1,12})(${Object.keys(units).join('|')})$`);
  return {
    allowed,
    parse: (text) => {
      const match = pattern.exec(text);
      const value = match ? Number(match[1]) * units[match[2] as Unit] : Number.NaN;
      return Number.isSafeInteger(value) && value >= minimum ? value : undefined;
    },
  };
}

const duration = scaled(
  UNIT_MS,
  1000,
  'a duration of at least one second, like 8s, 15m, 24h or 90d',
);
const size = scaled(UNIT_BYTES, 1, 'a size like 512B, 64KiB, 20MiB or 2GiB');

const address: Notation<Address> = {
  allowed: 'HOST:PORT, like 0.0.0.0:8443 or [::]:8443',
  parse: (text) => {
    const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    const host = match?.[1] ?? match?.[2];
    return host && port <= 65_535 ? { host, port } : undefined;
  },
};

const optionalAddress: Notation<Address | null> = {
  allowed: `${address.allowed}, or off`,
  parse: (text) => (text === 'off' ? null : address.parse(text)),
};

const boolean: Notation<boolean> = {
  allowed: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

const choice = <Word extends string>(...words: Word[]): Notation<Word> => ({
  allowed: words.join(', '),
  parse: (text) => words.find((word) => word === text),
});

const text: Notation<string> = {
  allowed: 'one line of 1 to 64 printable characters',
  parse: (value) => (/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(value.trim()) ? value.trim() : undefined),
};

/** A DNS name of letters, digits and hyphens (RFC 1123 section 2.1) or an IP address. */
export function isHostName(name: string): boolean {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  return (
    isIP(name) !== 0 || (name.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(name))
  );
}

const hostNames: Notation<string[]> = {
  allowed: 'host names or IP addresses, separated by commas',
  parse: (value) => {
    const names = value
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    return names.every(isHostName) ? names : undefined;
  },
};

const setting = <Value>(
  notation: Notation<Value>,
  fallback: string,
  purpose: string,
): Setting<Value> => ({
  ...notation,
  fallback,
  purpose,
});

/** Every key a configuration file may hold. */
const SETTINGS = {
  name: setting(
    text,
    'aptkeep',
    'the organisation: Origin and Label of suite "stable", O of the CAs; read by init',
  ),
  listen: setting(address, '0.0.0.0:8443', 'where the mutual-TLS port listens'),
  hostname: setting(hostNames, '', "more names and IP addresses of the server's certificate"),
  'crl.lifetime': setting(duration, '24h', 'from the issue of a revocation list to its nextUpdate'),
  'crl.refresh': setting(duration, '1h', 'how often a new revocation list is issued'),
  'tls.strictHandshake': setting(
    boolean,
    'false',
    'hang up on revoked and expired certificates in silence instead of answering 403',
  ),
  'upload.maxSize': setting(size, '4GiB', 'the largest file an upload may hold'),
  'upload.idleTimeout': setting(duration, '60s', 'how long an upload may stand still'),
  'suite.validFor': setting(
    duration,
    '7d',
    'from Date to Valid-Until of suites that set nothing else',
  ),
  workers: setting(choice('1'), '1', 'processes that serve; this version serves from one'),
  'health.listen': setting(
    optionalAddress,
    '127.0.0.1:9464',
    'where /healthz, /readyz and /metrics are served in the clear',
  ),
  'log.level': setting(
    choice<LogLevel>('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'what is logged',
  ),
} as const;

export type SettingKey = keyof typeof SETTINGS;
type ValueOf<Key extends SettingKey> =
  | NonNullable<ReturnType<(typeof SETTINGS)[Key]['parse']>>
  | (null extends ReturnType<(typeof SETTINGS)[Key]['parse']> ? null : never);

/** The effective configuration: durations in milliseconds, sizes in bytes. */
export interface Config {
  readonly data: string;
  readonly values: { readonly [Key in SettingKey]: ValueOf<Key> };
  /** Where each value came from, as people read it: `flag --listen`, `default`. */
  readonly origins: { readonly [Key in SettingKey]: string };
  readonly texts: { readonly [Key in SettingKey]: string };
  readonly warnings: readonly string[];
}

/** What the command line was given: setting key -> text, and the two that are no settings. */
export interface ConfigFlags {
  data?: string | undefined;
  config?: string | undefined;
  settings?: Partial<Record<SettingKey, string | undefined>>;
}

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
    found.set(prefix, Array.isArray(value) ? value.join(',') : String(value));
  };
  walk(tree, '');
  return found;
}

function parseSetting(key: SettingKey, value: string, origin: string): unknown {
  const parsed = SETTINGS[key].parse(value);
  if (parsed !== undefined) return parsed;
  const where = origin === 'default' ? '' : ` (${origin})`;
  throw new RefusalError(
    'CONFIG_INVALID',
    `${key}: found ${JSON.stringify(value)}${where}; allowed is ${SETTINGS[key].allowed}`,
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
      [flags.settings?.[key], `flag --${key.replace('.', '-')}`],
      [variable && environment[variable], `environment ${variable}`],
      [fromFile.get(key), `file ${path}`],
      [SETTINGS[key].fallback, 'default'],
    ];
    const [found, origin] = candidates.find(([value]) => value !== undefined) as [string, string];
    values[key] = parseSetting(key, found, origin);
    origins[key] = origin;
    texts[key] = found;
  }
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
  return Object.freeze({ data, values, origins, texts, warnings }) as unknown as Config;
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
