/** The command line's manners, asked of the real program as a process. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXIT_STATUSES } from '../../src/cli/exit.ts';
import { createProgram } from '../../src/cli/program.ts';
import { REFUSALS } from '../../src/errors.ts';
import { CHECKOUT, run } from '../e2e/command.ts';
import { aptkeep, runAptkeep } from '../e2e/program.ts';

/** Every command as it is typed, without its arguments. */
function listCommands(command: Command, path: string[] = []): string[][] {
  return command.commands.flatMap((child) => {
    const here = [...path, child.name()];
    return [here, ...listCommands(child, here)];
  });
}

const commands = listCommands(createProgram());

describe('help', () => {
  it('has the nouns that are promised', () => {
    const words = commands.map((path) => path.join(' '));
    for (const promised of [
      ...['init', 'serve', 'status', 'audit', 'audit verify', 'audit export', 'publish', 'upload'],
      ...['cert issue', 'cert list', 'cert show', 'cert revoke', 'cert test', 'cert renew'],
      ...['ca list', 'ca rotate', 'key rotate'],
      ...['crl show', 'crl refresh', 'crl export', 'suite create', 'suite list', 'suite show'],
      ...['package list', 'package show', 'publication list', 'publication show'],
      ...[
        'key show',
        'key export',
        'host add',
        'host list',
        'host show',
        'host set',
        'host remove',
      ],
      ...['group create', 'group list', 'group show', 'group set', 'group remove'],
    ]) {
      expect(words).toContain(promised);
    }
  });

  it('gives an example for every command, which begins with that command', () => {
    for (const path of commands) {
      let command: Command | undefined = createProgram();
      for (const word of path) command = command?.commands.find((one) => one.name() === word);
      let text = '';
      command?.configureOutput({
        writeOut: (chunk) => {
          text += chunk;
        },
      });
      command?.outputHelp();
      expect(text, path.join(' ')).toMatch(new RegExp(`Example:\\n  aptkeep ${path.join(' ')}`));
    }
  });

  it('is printed on standard output with status 0', async () => {
    for (const words of [['--help'], ['cert', '--help'], ['cert', 'issue', '--help']]) {
      const { status, stdout, stderr } = await runAptkeep(words);
      expect({ status, stderr, usage: /^Usage: aptkeep/.test(stdout) }).toEqual({
        status: 0,
        stderr: '',
        usage: true,
      });
    }
  });
});

describe('version', () => {
  it('is that of package.json', async () => {
    const { version } = JSON.parse(await readFile(`${CHECKOUT}/package.json`, 'utf8'));
    expect(await aptkeep('--version')).toBe(`aptkeep ${version}\n`);
  });
});

describe('wrong usage', () => {
  const cases: [string, string[], RegExp][] = [
    ['no such command', ['frobnicate'], /unknown command 'frobnicate'/],
    ['no such option', ['status', '--frobnicate'], /unknown option '--frobnicate'/],
    ['a missing argument', ['cert', 'revoke'], /missing required argument/],
    ['a missing option', ['cert', 'issue', 'web0', '--role', 'host'], /--out/],
    [
      'a role that is none',
      ['cert', 'issue', 'web0', '--role', 'root', '--out', '/tmp/x'],
      /host, uploader, observer, admin/,
    ],
    [
      'a server without a certificate',
      ['status', '--server', 'https://localhost:1'],
      /--cert, --key, --ca/,
    ],
    [
      'a server without TLS',
      ['status', '--server', 'http://localhost:1', '--cert', 'a', '--key', 'b', '--ca', 'c'],
      /https/,
    ],
    ['a group set to nothing', ['group', 'set', 'lab'], /--suites, --all-suites/],
    [
      'a group set to both',
      ['group', 'set', 'lab', '--suites', 'a', '--all-suites'],
      /exclude each other/,
    ],
    ['a group of no suite', ['group', 'create', 'lab', '--suites', ','], /at least one suite/],
    ['publish without a suite', ['publish'], /name one suite, or --all/],
  ];
  it.each(cases)('%s: status 2, one line on standard error', async (_name, words, why) => {
    const { status, stdout, stderr } = await runAptkeep(words);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^aptkeep: /);
    expect(stderr).toMatch(why);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('exit statuses', () => {
  it('are 1 or 2 for every refusal', () => {
    expect(Object.keys(EXIT_STATUSES).sort()).toEqual(Object.keys(REFUSALS).sort());
    expect([...new Set(Object.values(EXIT_STATUSES))].sort()).toEqual([1, 2]);
  });
});

describe('completion', () => {
  let script = '';
  beforeAll(async () => {
    script = await aptkeep('completion', 'bash');
  });
  const complete = async (...words: string[]): Promise<string[]> => {
    const line = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _aptkeep; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run('bash', ['-c', line]);
    expect(stderr).toBe('');
    return stdout.trim().split('\n');
  };

  it('completes commands, their commands and their options in bash', async () => {
    expect(await complete('aptkeep', 'ce')).toEqual(['cert']);
    expect((await complete('aptkeep', 'cert', '')).slice(0, 6)).toEqual([
      'issue',
      'list',
      'show',
      'revoke',
      'renew',
      'test',
    ]);
    expect(await complete('aptkeep', 'cert', 'issue', 'web0', '--ro')).toEqual(['--role']);
  });

  it('is a function for zsh too', async () => {
    expect(await aptkeep('completion', 'zsh')).toMatch(/^#compdef aptkeep\n/);
  });
});

describe('the manual page', () => {
  it('is one that man renders without a warning, and names every command', async () => {
    const page = await aptkeep('manual');
    const { status, stdout, stderr } = await run('groff', ['-man', '-Tascii', '-ww', '-P-cbou'], {
      input: page,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const path of commands.filter((one) => !['help'].includes(one.at(-1) ?? ''))) {
      const leaves = commands.some(
        (one) => one.length > path.length && path.every((word, at) => one[at] === word),
      );
      if (!leaves || path.join(' ') === 'audit') expect(stdout).toContain(path.join(' '));
    }
  });
});
