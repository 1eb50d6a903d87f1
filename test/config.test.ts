/** The configuration: where a value comes from, and what is said of one that is not accepted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Config, describeSettings, environmentNames, loadConfig } from '../src/config.ts';
import { RefusalError } from '../src/errors.ts';
import type { SettingKey } from '../src/settings.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'aptkeep-config-'));
});
afterEach(() => rmSync(data, { recursive: true }));

interface Given {
  flags?: Partial<Record<SettingKey, string>>;
  environment?: Record<string, string>;
  file?: string | Uint8Array;
}

function load({ flags = {}, environment = {}, file }: Given): Config {
  if (file !== undefined) writeFileSync(join(data, 'aptkeep.yaml'), file);
  return loadConfig({ data, settings: flags }, environment);
}

function refusalOf(given: Given): RefusalError {
  try {
    load(given);
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('precedence', () => {
  it('is flag over environment over file over default, and says which it was', () => {
    const all = {
      flags: { 'log.level': 'debug' },
      environment: { APTKEEP_LOG_LEVEL: 'warn' },
      file: 'log: {level: error}\n',
    };
    const { flags, environment, file } = all;
    const found = [all, { environment, file }, { file }].map((given) => load(given));
    rmSync(join(data, 'aptkeep.yaml'));
    found.push(load({}));
    expect(found.map((config) => config.values['log.level'])).toEqual([
      'debug',
      'warn',
      'error',
      'info',
    ]);
    expect(found.map((config) => config.origins['log.level'])).toEqual([
      'flag --log-level',
      'environment APTKEEP_LOG_LEVEL',
      `file ${join(data, 'aptkeep.yaml')}`,
      'default',
    ]);
    expect(flags).toEqual({ 'log.level': 'debug' });
  });

  it('puts a flag for the data directory before the environment', () => {
    const environment = { APTKEEP_DATA: '/elsewhere' };
    expect(loadConfig({ data }, environment).data).toBe(data);
    expect(loadConfig({}, environment).data).toBe('/elsewhere');
    expect(loadConfig({}, {}).data).toBe(process.cwd());
  });

  it('reads the file that is named, and only that', () => {
    writeFileSync(join(data, 'aptkeep.yaml'), 'name: Wrong\n');
    const named = join(data, 'other.yaml');
    writeFileSync(named, 'name: Right\n');
    expect(loadConfig({ data, config: named }, {}).values.name).toBe('Right');
    expect(loadConfig({ data }, { APTKEEP_CONFIG: named }).values.name).toBe('Right');
  });
});

describe('a list in the file', () => {
  it('may hold rules without quotation marks, which YAML takes for mappings', () => {
    const file = [
      'clientCa:',
      '  crl: [a.crl, "http://x/b.crl"]',
      '  roles:',
      '    - host: O=Uni, CN=*.uni.example',
      '    - uploader(stable, testing): CN=jenkins',
      '    - "admin: CN=alice"',
      '',
    ].join('\n');
    const { values } = load({ file });
    expect(values['clientCa.crl']).toEqual(['a.crl', 'http://x/b.crl']);
    expect(values['clientCa.roles'].split('\n')).toEqual([
      'host: O=Uni, CN=*.uni.example',
      'uploader(stable, testing): CN=jenkins',
      'admin: CN=alice',
    ]);
  });
});

describe('a value', () => {
  it.each<[SettingKey, string, unknown]>([
    ['listen', '127.0.0.1:8443', { host: '127.0.0.1', port: 8443 }],
    ['listen', '[::]:0', { host: '::', port: 0 }],
    ['listen', 'repo.example.org:65535', { host: 'repo.example.org', port: 65_535 }],
    ['hostname', 'a.example, b.example,192.0.2.1', ['a.example', 'b.example', '192.0.2.1']],
    ['hostname', '', []],
    ['crl.lifetime', '8s', 8000],
    ['crl.lifetime', '15m', 900_000],
    ['crl.lifetime', '24h', 86_400_000],
    ['crl.lifetime', '90d', 7_776_000_000],
    ['crl.lifetime', '1000ms', 1000],
    ['upload.maxSize', '512B', 512],
    ['upload.maxSize', '64KiB', 65_536],
    ['upload.maxSize', '2GiB', 2_147_483_648],
    ['tls.strictHandshake', 'true', true],
    ['health.listen', 'off', null],
    ['name', ' Université de Lausanne ', 'Université de Lausanne'],
  ])('%s %j is taken', (key, text, value) => {
    expect(load({ flags: { [key]: text } }).values[key]).toEqual(value);
  });

  it.each<[SettingKey, string]>([
    ['listen', ''],
    ['listen', '8443'],
    ['listen', 'localhost'],
    ['listen', 'localhost:65536'],
    ['listen', '::1:8443'],
    ['listen', 'a b:1'],
    ['listen', 'localhost:-1'],
    ['hostname', 'a.example/path'],
    ['hostname', 'two words'],
    ['crl.lifetime', '0s'],
    ['crl.lifetime', '999ms'],
    ['crl.lifetime', '24'],
    ['crl.lifetime', '-1h'],
    ['crl.lifetime', '1.5h'],
    ['crl.lifetime', '1 h'],
    ['crl.lifetime', '1H'],
    ['crl.lifetime', 'forever'],
    ['crl.lifetime', '999999999999d'],
    ['upload.maxSize', '0B'],
    ['upload.maxSize', '4GB'],
    ['upload.maxSize', '1e3B'],
    ['tls.strictHandshake', 'yes'],
    ['tls.strictHandshake', 'TRUE'],
    ['workers', '2'],
    ['log.level', 'loud'],
    ['name', ''],
    ['name', ' '],
    ['name', 'two\nlines'],
    ['name', 'a line\u2028separator'],
    ['name', 'x'.repeat(65)],
  ])('%s %j is refused: the key, what was found, what is allowed', (key, text) => {
    const { allowed = '' } = describeSettings().find((one) => one.key === key) ?? {};
    const [variable = ''] = environmentNames(key);
    for (const given of [{ flags: { [key]: text } }, { environment: { [variable]: text } }]) {
      const { code, message } = refusalOf(given);
      expect(code).toBe('CONFIG_INVALID');
      expect(message).toMatch(new RegExp(`^${key.replace('.', '\\.')}: `));
      expect(message).toContain(JSON.stringify(text));
      expect(message).toContain(allowed);
    }
  });
});

describe('the file', () => {
  it.each([
    ['nested', 'crl:\n  lifetime: 8s\n'],
    ['dotted', 'crl.lifetime: 8s\n'],
    ['quoted', '"crl.lifetime": "8s"\n'],
    ['with comments and a mark', '\ufeff# ours\n---\ncrl: {lifetime: 8s} # short\n'],
  ])('may be %s', (_name, file) => {
    expect(load({ file }).values['crl.lifetime']).toBe(8000);
  });

  it.each(['', '\n', '# nothing\n', '---\n', '{}\n'])('may hold nothing: %j', (file) => {
    expect(load({ file }).values.name).toBe('aptkeep');
  });

  it('may hold a list of host names', () => {
    expect(load({ file: 'hostname: [a.example, 192.0.2.1]\n' }).values.hostname).toEqual([
      'a.example',
      '192.0.2.1',
    ]);
  });

  it.each<[string, string | Uint8Array, string]>([
    ['an unknown key', 'lisetn: 0.0.0.0:1\n', 'lisetn'],
    ['an unknown key below a known one', 'crl: {lifetme: 8s}\n', 'crl.lifetme'],
    ['a key of every object', 'constructor: x\n', 'constructor'],
    ['another one', '__proto__: {name: x}\n', '__proto__'],
    ['a group as a value', 'crl: 8s\n', 'unknown key crl'],
    ['a value as a group', 'name: {first: x}\n', 'name.first'],
    ['a key with nothing behind it', 'name:\n', 'name: found nothing'],
    ['a null', 'hostname: ~\n', 'hostname: found nothing'],
    ['a number for a size', 'upload: {maxSize: 4}\n', 'upload.maxSize: found "4"'],
    ['a bad value', 'crl: {lifetime: soon}\n', 'crl.lifetime: found "soon"'],
    ['a list', '- name\n', 'unknown key'],
    ['a word', 'name\n', 'unknown key name'],
    ['no YAML', 'name: "x\n', 'not YAML'],
    ['a key twice', 'name: a\nname: b\n', 'not YAML'],
    ['two documents', 'name: a\n---\nname: b\n', 'not YAML'],
    ['a bomb of aliases', `a: &a [${'x,'.repeat(9)}x]\n${bomb()}`, 'aptkeep.yaml'],
  ])('is refused with %s, named', (_name, file, named) => {
    const { code, message } = refusalOf({ file });
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toContain(named);
    expect(message).toContain('aptkeep.yaml');
    expect(message.length).toBeLessThan(2000);
  });

  it('that is named must be there', () => {
    const missing = join(data, 'missing.yaml');
    expect(() => loadConfig({ data, config: missing }, {})).toThrow(`${missing}: cannot be read`);
    expect(() => loadConfig({ data, config: data }, {})).toThrow('cannot be read (EISDIR)');
  });
});

/** Lists of lists of lists, each ten times the one before. */
function bomb(): string {
  const names = 'bcdefgh';
  return [...names]
    .map((name, i) => `${name}: &${name} [${`*${i ? names[i - 1] : 'a'},`.repeat(10)}]\n`)
    .join('');
}

describe('the environment', () => {
  it.each([
    ['APTKEEP_CRL_LIFETIME', '8s', 'crl.lifetime', 8000],
    ['APTKEEP_TLS_STRICT_HANDSHAKE', 'true', 'tls.strictHandshake', true],
    ['APTKEEP_TLS_STRICTHANDSHAKE', 'true', 'tls.strictHandshake', true],
    ['APTKEEP_UPLOAD_MAXSIZE', '1B', 'upload.maxSize', 1],
  ] as const)('%s=%s sets %s', (name, text, key, value) => {
    expect(load({ environment: { [name]: text } }).values[key]).toBe(value);
  });

  it('has a name for every key', () => {
    for (const { key, fallback } of describeSettings()) {
      for (const name of environmentNames(key)) {
        // A secret that is set to nothing is refused.
        const value = key === 'keys.passphrase' ? 'word' : fallback;
        const config = load({ environment: { [name]: value } });
        expect(config.origins[key]).toBe(`environment ${name}`);
        expect(config.warnings).toEqual([]);
      }
    }
  });

  it('is warned of where a name is misspelt, not where it belongs to the command line', () => {
    const environment = { APTKEEP_CRL_LIFETIEM: '8s', APTKEEP_SERVER: 'x', APTKEEP_KEY: 'x' };
    const { warnings } = load({ environment });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('APTKEEP_CRL_LIFETIEM');
  });
});

describe('a configuration', () => {
  it('is frozen, and complete with the defaults of the table', () => {
    const config = load({});
    expect(Object.isFrozen(config)).toBe(true);
    for (const { key, fallback } of describeSettings()) {
      expect(config.texts[key]).toBe(fallback);
      expect(config.origins[key]).toBe('default');
    }
    expect(config.warnings).toEqual([]);
  });

  it('warns where the revocation list would run out before the next one', () => {
    for (const refresh of ['24h', '25h']) {
      const { warnings } = load({ flags: { 'crl.refresh': refresh } });
      expect(warnings.join()).toContain(`crl.refresh (${refresh})`);
    }
  });
});
