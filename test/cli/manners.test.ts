/**
 * What the command line does beside its work: where its configuration comes from, what it leaves
 * behind when it fails, colours, and readers that stop early. Asked of the real program.
 */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createScratch, run } from '../e2e/command.ts';
import { buildSmall } from '../e2e/packages.ts';
import { APTKEEP, aptkeep, programEnvironment, runAptkeep } from '../e2e/program.ts';
import { fingerprintFolder, listFiles } from '../e2e/site.ts';

const scratch = createScratch('manners');
const data = join(scratch, 'data');

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
});

/** A shell's pipeline, its words kept apart from the shell's own. */
const runShell = (line: string, ...words: string[]) =>
  run('bash', ['-c', line, 'bash', ...words], { env: programEnvironment() });

describe('the configuration', () => {
  const file = join(scratch, 'aptkeep.yaml');
  const show = async (flags: string[], env: NodeJS.ProcessEnv = {}) => {
    const words = ['config', 'show', '--json', '--data', data, ...flags];
    const { status, stdout, stderr } = await runAptkeep(words, env);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { settings } = JSON.parse(stdout) as {
      settings: { key: string; value: string; origin: string }[];
    };
    const { value, origin } = settings.find((one) => one.key === 'listen') ?? {};
    return [value, origin];
  };

  it('comes from flag over environment over file over default', async () => {
    await writeFile(file, 'listen: 127.0.0.1:3\n');
    const config = ['--config', file];
    const env = { APTKEEP_LISTEN: '127.0.0.1:2' };
    const found = await Promise.all([
      show([...config, '--listen', '127.0.0.1:1'], env),
      show(config, env),
      show(config),
      show([]),
    ]);
    expect(found).toEqual([
      ['127.0.0.1:1', 'flag --listen'],
      ['127.0.0.1:2', 'environment APTKEEP_LISTEN'],
      ['127.0.0.1:3', `file ${file}`],
      ['0.0.0.0:8443', 'default'],
    ]);
  });

  it.each<[string, string, RegExp]>([
    [
      'an unknown key',
      'crl: {lifetme: 8s}\n',
      /unknown key crl\.lifetme; allowed are .*crl\.lifetime/,
    ],
    [
      'a bad value',
      'crl: {lifetime: soon}\n',
      /crl\.lifetime: found "soon" .*; allowed is a duration/,
    ],
    ['no value', 'name:\n', /name: found nothing .*; allowed is one line/],
  ])('with %s is refused by every command: status 2', async (name, text, why) => {
    const bad = join(scratch, `${name.replaceAll(' ', '-')}.yaml`);
    await writeFile(bad, text);
    const commands = [['config', 'show'], ['serve'], ['status']];
    for (const words of commands) {
      const outcome = await runAptkeep([...words, '--data', data, '--config', bad]);
      expect([outcome.status, outcome.stdout]).toEqual([2, '']);
      expect(outcome.stderr).toMatch(/^aptkeep: configuration not accepted: [^\n]*\n$/);
      expect(outcome.stderr).toMatch(why);
    }
  });
});

describe('init', () => {
  it('a second time refuses, and changes no byte', async () => {
    const before = await fingerprintFolder(data);
    const outcome = await runAptkeep(['init', '--data', data, '--name', 'Other']);
    expect([outcome.status, outcome.stdout]).toEqual([1, '']);
    expect(outcome.stderr).toMatch(/^aptkeep: already initialised: [^\n]+\n$/);
    expect(await fingerprintFolder(data)).toBe(before);
  });

  it('prints JSON where it is asked for it', async () => {
    const other = join(scratch, 'other');
    const json = JSON.parse(await aptkeep('init', '--json', '--data', other, '--name', 'Uni'));
    expect(json).toMatchObject({ data: other, name: 'Uni', suite: 'stable' });
  });
});

describe('words that are none', () => {
  it.each<[string, string[], RegExp]>([
    ['an empty name', ['suite', 'show', ''], /argument 'name' is empty/],
    ['an empty certificate', ['cert', 'revoke', ''], /argument 'name-or-serial' is empty/],
    ['a number in letters', ['publication', 'show', 'stable', 'one'], /whole number/],
    ['a number of none', ['audit', '--limit', '0'], /whole number/],
    [
      'a part of a day',
      ['suite', 'create', 'x', '--origin', 'x', '--label', 'x', '--valid-for', '1.5'],
      /whole number/,
    ],
    ['two repositories', ['status', '--server', 'https://localhost:1'], /--data and --server/],
    ['more than is taken', ['status', 'now'], /too many arguments/],
  ])('%s: status 2, one line on standard error, nothing done', async (_name, words, why) => {
    const outcome = await runAptkeep([...words, '--data', data]);
    expect([outcome.status, outcome.stdout]).toEqual([2, '']);
    expect(outcome.stderr).toMatch(/^aptkeep: wrong usage: [^\n]+\n$/);
    expect(outcome.stderr).toMatch(why);
  });
});

describe('a certificate that is not issued', () => {
  const issue = (name: string, out: string, ...flags: string[]) =>
    runAptkeep(['cert', 'issue', name, '--role', 'host', '--out', out, '--data', data, ...flags]);

  it('leaves no file, no folder and no certificate', async () => {
    const out = join(scratch, 'a/b/c');
    const notCsr = join(scratch, 'not.csr');
    await writeFile(notCsr, 'not a request');
    await writeFile(join(scratch, 'a-file'), '');
    const outcomes = await Promise.all([
      issue('web', out, '--days', '9999'),
      issue('../web', out),
      issue('ca', out),
      issue('web', out, '--csr', join(scratch, 'absent.csr')),
      issue('web', out, '--csr', notCsr),
      issue('web', out, '--suites', 'stable'),
      issue('web', join(scratch, 'a-file')),
      issue('web', join(scratch, 'a-file/below')),
    ]);
    for (const { status, stdout, stderr } of outcomes) {
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^aptkeep: [^\n]+: [^\n]+\n$/);
    }
    expect(await readdir(scratch)).not.toContain('a');
    const { certificates } = JSON.parse(await aptkeep('cert', 'list', '--json', '--data', data));
    expect(certificates).toEqual([]);
  });

  it('replaces nothing, and where it cannot write is not issued at all', async () => {
    const out = join(scratch, 'taken');
    await mkdir(join(out, 'folder.crt'), { recursive: true });
    await writeFile(join(out, 'half.key'), 'precious');
    await symlink('nowhere', join(out, 'link.crt'));
    const before = await fingerprintFolder(out);
    const outcomes = await Promise.all([
      issue('folder', out, '--force'),
      issue('half', out),
      issue('link', out),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([1, 1, 1]);
    expect(await fingerprintFolder(out)).toBe(before);
    expect(await readFile(join(out, 'half.key'), 'utf8')).toBe('precious');
    const { certificates } = JSON.parse(await aptkeep('cert', 'list', '--json', '--data', data));
    expect(certificates).toEqual([]);
  });
});

describe('upload without a server', () => {
  it('takes the first package of a new directory whole', async () => {
    const fresh = join(scratch, 'fresh');
    const built = join(scratch, 'built');
    await aptkeep('init', '--data', fresh);
    // Larger than any buffer on its way.
    const file = await buildSmall({ name: 'large', version: '1', payloadBytes: 5_000_000 }, built);
    await aptkeep('upload', file, '--suite', 'stable', '--data', fresh);
    const [stored = ''] = await listFiles(join(fresh, 'pool'));
    expect((await readFile(join(fresh, 'pool', stored))).equals(await readFile(file))).toBe(true);
  });

  it('of nothing but bad files says nothing on standard output, in JSON too', async () => {
    const bad = join(scratch, 'bad.deb');
    await writeFile(bad, 'bad');
    const outcome = await runAptkeep([
      'upload',
      bad,
      '--suite',
      'stable',
      '--json',
      '--data',
      data,
    ]);
    expect([outcome.status, outcome.stdout]).toEqual([1, '']);
    expect(outcome.stderr).toMatch(/^aptkeep: bad\.deb: not a well-formed package: [^\n]+\n$/);
  });
});

describe('standard output', () => {
  const status = [APTKEEP, 'status', '--data', data];
  const colour = '\u001b[';

  it('has colours on a terminal that wants them, and nowhere else', async () => {
    const env = programEnvironment();
    delete env.NO_COLOR;
    const onTerminal = (terminal: NodeJS.ProcessEnv) =>
      run('script', ['-qec', status.join(' '), '/dev/null'], { env: { ...env, ...terminal } });
    const [coloured, plain, dumb, piped] = await Promise.all([
      onTerminal({ TERM: 'xterm' }),
      onTerminal({ TERM: 'xterm', NO_COLOR: '1' }),
      onTerminal({ TERM: 'dumb' }),
      run(APTKEEP, status.slice(1), { env: { ...env, TERM: 'xterm' } }),
    ]);
    expect(coloured?.stdout).toContain(colour);
    for (const outcome of [plain, dumb, piped]) {
      expect(outcome?.stdout).toContain('health');
      expect(outcome?.stdout).not.toContain(colour);
    }
  });

  it('may be closed by a reader that has seen enough', async () => {
    const outcome = await runShell('"$@" | true; echo "$PIPESTATUS"', ...status);
    expect([outcome.stdout, outcome.stderr]).toEqual(['0\n', '']);
  });

  it('that is full is a failure, and said so', async () => {
    const outcome = await runShell('"$@" > /dev/full', ...status);
    expect(outcome.status).toBe(1);
    expect(outcome.stderr).toMatch(/^aptkeep: standard output: ENOSPC[^\n]+\n$/);
  });
});
