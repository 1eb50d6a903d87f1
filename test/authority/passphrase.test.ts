/**
 * The passphrase of the keys at rest: where it comes from, what it does at start, how it is changed.
 * What is encrypted is opened by openssl and gpg.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { initialiseDirectory, openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { runAptkeep } from '../e2e/program.ts';
import { fingerprintFolder } from '../e2e/site.ts';

type Environment = Record<string, string>;

const WORD = 'Grüße aus der Küche';
const OTHER = 'the next one';
const KEYS = ['client-ca.key', 'server-ca.key', 'server.key'];
const silent = createLogger('silent');

const scratch = createScratch('passphrase');
const logged: Record<string, unknown>[] = [];
const log = { ...silent, warn: (entry: object) => logged.push({ ...entry }) } as typeof silent;

let files = 0;
async function writeWord(text: string, mode = 0o600): Promise<string> {
  files += 1;
  const path = join(scratch, `word-${files}`);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

const initialise = (data: string, environment: Environment = {}): Promise<void> =>
  initialiseDirectory(loadConfig({ data }, environment), silent);

const open = async (data: string, environment: Environment = {}): Promise<void> => {
  const parts = await openParts(loadConfig({ data }, environment), log);
  await parts.close();
};

/** Opens every key in certs/ with other people's programs; '' for no passphrase. */
async function openWithTools(data: string, word: string): Promise<void> {
  const file = await writeWord(`${word}\n`);
  for (const key of KEYS) {
    const path = join(data, 'certs', key);
    const text = await readFile(path, 'utf8');
    expect(text.includes('ENCRYPTED'), key).toBe(word !== '');
    await succeed('openssl', ['pkey', '-in', path, '-passin', `file:${file}`, '-noout']);
  }
  const home = join(scratch, `gpg-${files}`);
  await mkdir(home, { mode: 0o700 });
  const base = ['--homedir', home, '--batch', '--no-tty', '--pinentry-mode', 'loopback'];
  const unlock = word === '' ? [] : ['--passphrase-file', file];
  await succeed('gpg', [...base, ...unlock, '--import', join(data, 'certs/archive-key.asc')]);
  const signed = await succeed('gpg', [...base, ...unlock, '--armor', '--detach-sign'], {
    input: 'text',
  });
  expect(signed).toContain('BEGIN PGP SIGNATURE');
  // Whether gpg found it encrypted: without a passphrase it signs nothing then.
  await succeed('gpgconf', ['--homedir', home, '--kill', 'all']);
  const bare = await run('gpg', [...base, '--passphrase', '', '--detach-sign'], { input: 'text' });
  expect(bare.status === 0).toBe(word === '');
  await succeed('gpgconf', ['--homedir', home, '--kill', 'all']);
}

describe('init with a passphrase', () => {
  it('writes no key that openssl or gpg open without it', async () => {
    const data = join(scratch, 'fresh');
    await initialise(data, { APTKEEP_KEYS_PASSPHRASE: WORD });
    await openWithTools(data, WORD);
    await open(data, { APTKEEP_KEYS_PASSPHRASE: WORD });
  });
});

describe('where it comes from', () => {
  const data = join(scratch, 'sources');
  beforeAll(() => initialise(data, { APTKEEP_KEYS_PASSPHRASE: WORD }));

  const credentials = async (word: string, mode = 0o440): Promise<string> => {
    files += 1;
    const folder = join(scratch, `credentials-${files}`);
    await mkdir(folder);
    await writeFile(join(folder, 'aptkeep.passphrase'), word, { mode });
    await chmod(join(folder, 'aptkeep.passphrase'), mode);
    return folder;
  };

  it('the environment, then the file, then the credential', async () => {
    const [right, wrong] = [await writeWord(`${WORD}\nmore\n`), await writeWord('wrong')];
    const [good, bad] = [await credentials(`${WORD}\n`), await credentials('wrong')];
    const word = { APTKEEP_KEYS_PASSPHRASE: WORD };
    await open(data, {
      ...word,
      APTKEEP_KEYS_PASSPHRASE_FILE: wrong,
      CREDENTIALS_DIRECTORY: bad,
    });
    await open(data, { APTKEEP_KEYS_PASSPHRASE_FILE: right, CREDENTIALS_DIRECTORY: bad });
    await open(data, { CREDENTIALS_DIRECTORY: good });
    await open(data, {
      APTKEEP_KEYS_PASSPHRASE_FILE: join(good, 'aptkeep.passphrase'),
      CREDENTIALS_DIRECTORY: good,
    });
    await open(data, { APTKEEP_KEYS_PASSPHRASE_FILE: await writeWord(`${WORD}\r\n`) });
  });

  const refused: [string, () => Promise<Environment>, string, RegExp][] = [
    [
      'none',
      async () => ({}),
      'KEY_LOCKED',
      /^certs\/client-ca\.key is encrypted and no passphrase is configured: set keys\.passphraseFile, APTKEEP_KEYS_PASSPHRASE or the systemd credential/,
    ],
    [
      'a folder of credentials without it',
      async () => ({ CREDENTIALS_DIRECTORY: scratch }),
      'KEY_LOCKED',
      /no passphrase is configured/,
    ],
    [
      'another one',
      async () => ({ APTKEEP_KEYS_PASSPHRASE: 'swordfish' }),
      'KEY_LOCKED',
      /^certs\/client-ca\.key: the passphrase of environment APTKEEP_KEYS_PASSPHRASE does not open/,
    ],
    [
      'a file that is missing',
      async () => ({ APTKEEP_KEYS_PASSPHRASE_FILE: '/nowhere/word' }),
      'CONFIG_INVALID',
      /^keys\.passphraseFile: \/nowhere\/word cannot be read \(ENOENT\)/,
    ],
    [
      'an empty file',
      async () => ({ APTKEEP_KEYS_PASSPHRASE_FILE: await writeWord('') }),
      'CONFIG_INVALID',
      /^keys\.passphraseFile: the first line of .* is no passphrase/,
    ],
    [
      'an empty first line',
      async () => ({ APTKEEP_KEYS_PASSPHRASE_FILE: await writeWord('\nswordfish\n') }),
      'CONFIG_INVALID',
      /is no passphrase/,
    ],
    [
      'bytes that are no text',
      async () => {
        const path = await writeWord('');
        await writeFile(path, Buffer.from([0xff, 0xfe, 0x00]));
        return { APTKEEP_KEYS_PASSPHRASE_FILE: path };
      },
      'CONFIG_INVALID',
      /is no passphrase/,
    ],
    [
      'a file that the group reads',
      async () => ({ APTKEEP_KEYS_PASSPHRASE_FILE: await writeWord(WORD, 0o640) }),
      'CONFIG_INVALID',
      /^keys\.passphraseFile: .* has the mode 0640; 0600 is allowed: chmod 0600 /,
    ],
    [
      'an empty credential',
      async () => ({ CREDENTIALS_DIRECTORY: await credentials('') }),
      'CONFIG_INVALID',
      /^credential aptkeep\.passphrase: the first line/,
    ],
  ];
  it.each(refused)('%s is refused', async (_name, environment, code, why) => {
    const before = await fingerprintFolder(join(data, 'certs'));
    const given = await environment();
    await expect(open(data, given)).rejects.toMatchObject({ code });
    const message = await open(data, given).catch((error: Error) => error.message);
    expect(message).toMatch(why);
    expect(message).not.toMatch(/swordfish|Grüße/);
    expect(await fingerprintFolder(join(data, 'certs'))).toBe(before);
  });

  it.each(['APTKEEP_KEYS_PASSPHRASE=', 'APTKEEP_KEYS_PASSPHRASE=\nx'])(
    'an empty variable is refused: %j',
    (assignment) => {
      const [name = '', value = ''] = assignment.split('=');
      const load = () => loadConfig({ data }, { [name]: value });
      expect(load).toThrow(/^keys\.passphrase: found /);
      expect(load).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );

  it('is refused in the configuration file, and not repeated', async () => {
    const config = join(scratch, 'with-secret.yaml');
    await writeFile(config, 'keys:\n  passphrase: swordfish\n');
    const load = () => loadConfig({ data, config }, {});
    expect(load).toThrow(/^keys\.passphrase: a secret does not belong in .*with-secret\.yaml/);
    expect(load).not.toThrow(/swordfish/);
  });

  it('is masked wherever a configuration is shown', () => {
    const config = loadConfig({ data }, { APTKEEP_KEYS_PASSPHRASE: 'swordfish' });
    expect(config.texts['keys.passphrase']).toBe('[masked]');
    expect(JSON.stringify(config)).not.toContain('swordfish');
    expect(`${config.values['keys.passphrase']}`).toBe('[masked]');
  });
});

describe('keys that are plain', () => {
  it('are encrypted at the first start with a passphrase, with a word in the log', async () => {
    const data = join(scratch, 'plain');
    await initialise(data);
    await openWithTools(data, '');
    logged.length = 0;
    await open(data, { APTKEEP_KEYS_PASSPHRASE: WORD });
    expect(logged).toEqual([
      {
        event: 'keys.encrypted',
        files: ['client-ca.key', 'server-ca.key', 'server.key', 'archive-key.asc'],
        passphraseOf: 'environment APTKEEP_KEYS_PASSPHRASE',
      },
    ]);
    await openWithTools(data, WORD);
    const settled = await fingerprintFolder(join(data, 'certs'));
    await open(data, { APTKEEP_KEYS_PASSPHRASE: WORD });
    expect(await fingerprintFolder(join(data, 'certs'))).toBe(settled);
  });

  it('are not put under a second passphrase beside the first', async () => {
    const data = join(scratch, 'mixed');
    await initialise(data, { APTKEEP_KEYS_PASSPHRASE: WORD });
    const path = join(data, 'certs/server.key');
    const file = await writeWord(WORD);
    const plain = await succeed('openssl', ['pkey', '-in', path, '-passin', `file:${file}`]);
    await writeFile(path, plain);
    const before = await fingerprintFolder(join(data, 'certs'));
    const failed = open(data, { APTKEEP_KEYS_PASSPHRASE: OTHER });
    await expect(failed).rejects.toMatchObject({ code: 'KEY_LOCKED' });
    expect(await fingerprintFolder(join(data, 'certs'))).toBe(before);
  });
});

describe('a key that the site encrypted itself', () => {
  it.each([
    ['scrypt', ['-scrypt']],
    ['PBKDF2', ['-v2', 'aes-256-cbc']],
  ])('with openssl and %s is opened', async (name, flags) => {
    const data = join(scratch, `own-${name}`);
    await initialise(data);
    const file = await writeWord(WORD);
    for (const key of KEYS) {
      const path = join(data, 'certs', key);
      const words = ['pkcs8', '-topk8', ...flags, '-in', path, '-passout', `file:${file}`];
      await writeFile(path, await succeed('openssl', words));
    }
    await open(data, { APTKEEP_KEYS_PASSPHRASE_FILE: file });
  });

  it('that is damaged is refused by name', async () => {
    const data = join(scratch, 'damaged');
    await initialise(data);
    const path = join(data, 'certs/client-ca.key');
    await writeFile(path, (await readFile(path, 'utf8')).replace(/M/, '!'));
    await expect(open(data)).rejects.toMatchObject({
      code: 'KEY_UNACCEPTABLE',
      message: 'certs/client-ca.key holds no private key that can be read',
    });
  });
});

describe('aptkeep key passphrase', () => {
  const data = join(scratch, 'changed');
  const change = (environment: Environment, ...words: string[]) =>
    runAptkeep(['key', 'passphrase', ...words, '--data', data], environment);

  let [first, second] = ['', ''];
  beforeAll(async () => {
    [first, second] = [await writeWord(`${WORD}\n`), await writeWord(OTHER)];
    await initialise(data);
  });

  it('gives one that openssl and gpg see', async () => {
    const given = await change({}, '--new-file', first);
    expect(given).toMatchObject({ status: 0, stderr: '' });
    expect(given.stdout).toContain(`under the passphrase in ${first}`);
    await openWithTools(data, WORD);
  });

  it('changes it, and the old one opens nothing more', async () => {
    const changed = await change({ APTKEEP_KEYS_PASSPHRASE_FILE: first }, '--new-file', second);
    expect(changed.status).toBe(0);
    await openWithTools(data, OTHER);
    const locked = await change({ APTKEEP_KEYS_PASSPHRASE_FILE: first }, '--remove');
    expect(locked.status).toBe(1);
    expect(locked.stderr).toMatch(/^aptkeep: key not unlocked: certs\/client-ca\.key: /);
  });

  it('takes it away, and the audit log tells of all three', async () => {
    const removed = await change({ APTKEEP_KEYS_PASSPHRASE_FILE: second }, '--remove', '--json');
    expect(JSON.parse(removed.stdout)).toMatchObject({ encrypted: false });
    await openWithTools(data, '');
    const audit = await runAptkeep(['audit', '--data', data, '--json']);
    expect(audit.stdout.match(/"operation": "key\.passphrase"/g)).toHaveLength(3);
    expect(audit.stdout).not.toMatch(new RegExp(`${WORD}|${OTHER}`));
  });

  it.each([
    ['neither', [], /name either --new-file or --remove/],
    ['both', ['--new-file', '/x', '--remove'], /name either --new-file or --remove/],
    ['a file that is not there', ['--new-file', '/nowhere'], /--new-file: \/nowhere cannot be/],
  ])('with %s is wrong usage and changes nothing', async (_name, words, why) => {
    const before = await fingerprintFolder(join(data, 'certs'));
    const { status, stderr } = await change({}, ...words);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(why) });
    expect(await fingerprintFolder(join(data, 'certs'))).toBe(before);
  });

  it('is refused while the directory is in use', async () => {
    const parts = await openParts(loadConfig({ data }, {}), silent);
    const { status, stderr } = await change({}, '--new-file', await writeWord(WORD));
    expect(status).toBe(1);
    expect(stderr).toMatch(/^aptkeep: data directory in use: /);
    await parts.close();
    await rm(join(data, 'aptkeep.sock'), { force: true });
  });
});
