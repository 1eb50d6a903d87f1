/**
 * The house in order: formatted, typed, started without a warning, described as it is. Floors and
 * doors have a test of their own (architecture.test.ts).
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../src/cli/program.ts';
import { PROCESS_FLAGS } from '../src/thread.ts';
import { cleanEnvironment } from './e2e/command.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const MAX_LINES = 300;

const run = promisify(execFile);
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** A program of node_modules/.bin in the checkout; answers all it said and how it ended. */
async function runTool(name: string, args: readonly string[]): Promise<string> {
  const options = { cwd: ROOT, env: cleanEnvironment(), maxBuffer: 2 ** 26 };
  return run(join(ROOT, 'node_modules/.bin', name), args, options).then(
    ({ stdout, stderr }) => `${stdout}${stderr}exit 0`,
    (error: { stdout: string; stderr: string; code: number }) =>
      `${error.stdout}${error.stderr}exit ${error.code}`,
  );
}

it('begins every Node alike, by its launcher or as a worker', () => {
  expect(/^flags='(.*)'$/m.exec(read('bin/aptkeep'))?.[1]).toBe(PROCESS_FLAGS.join(' '));
});

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts'),
);

const papers = [
  ...readdirSync(ROOT).filter((file) => file.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];

const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>> & {
  version: string;
};

describe('the checkout', () => {
  it('has no fault that the compiler finds', async () => {
    expect(await runTool('tsc', [])).toBe('exit 0');
  });

  it('has no fault that the linter finds, and is formatted', async () => {
    const args = ['check', '--max-diagnostics=20', '--error-on-warnings', '.'];
    expect(await runTool('biome', args)).toMatch(
      /^Checked \d+ files in .*No fixes applied\.\s+exit 0$/,
    );
  });

  it('starts with its own Node, without a build and without a warning', async () => {
    expect(await runTool('node', ['src/main.ts', '--version'])).toBe(
      `aptkeep ${manifest.version}\nexit 0`,
    );
  });

  it('holds no file of src/ that is longer than a reader likes', () => {
    const long = sources
      .map((file) => ({ file, lines: read(join('src', file)).split('\n').length - 1 }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
    expect(sources.length).toBeGreaterThan(50);
  });
});

describe('the lockfile', () => {
  it('names no registry, so that any mirror serves it', () => {
    const lock = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { version?: string; resolved?: string; integrity?: string }>;
    };
    const packages = Object.entries(lock.packages).filter(([path]) => path !== '');
    expect(packages.length).toBeGreaterThan(50);
    for (const [path, { resolved, integrity }] of packages) {
      expect(resolved, path).toBeUndefined();
      expect(integrity, path).toMatch(/^sha512-/);
    }
    expect(read('package-lock.json')).not.toMatch(/https?:\/\/[^"]*registry/);
  });

  it('and the manifest name exact versions', () => {
    const { dependencies = {}, optionalDependencies = {}, devDependencies = {} } = manifest;
    const all = { ...dependencies, ...optionalDependencies, ...devDependencies };
    const loose = Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });
});

describe('the papers', () => {
  it('name every room of src/ in the design', () => {
    const design = read('docs/design.md');
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).map((entry) =>
      entry.isDirectory() ? `${entry.name}/` : entry.name,
    );
    expect(rooms.filter((room) => !design.includes(room))).toEqual([]);
    const readme = read('README.md');
    const folders = rooms.filter((room) => room.endsWith('/'));
    expect(folders.filter((room) => !readme.includes(`\`${room}\``))).toEqual([]);
  });

  it('name no file of src/ in the design that is not there', () => {
    const floors = /## Floors\n([\s\S]*?)\n## /.exec(read('docs/design.md'))?.[1] ?? '';
    const names = [...floors.matchAll(/(?<![.\w])([a-z-]+\.ts)\b/g)].map((match) => match[1] ?? '');
    expect(names.length).toBeGreaterThan(10);
    const known = new Set(sources.map((file) => file.split('/').at(-1)));
    expect(names.filter((name) => !known.has(name))).toEqual([]);
  });

  it.each(papers)('%s links to what is there', (file) => {
    const links = [...read(file).matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(
      (match) => match[1] ?? '',
    );
    const broken = links.filter(
      (link) => !/^(https?|mailto):/.test(link) && !existsSync(join(ROOT, dirname(file), link)),
    );
    expect(broken).toEqual([]);
  });

  it.each(papers)('%s names scripts of package.json and commands of the program only', (file) => {
    const text = read(file);
    const npm = [...text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].map(
      (match) => match[1] ?? match[2] ?? '',
    );
    const { scripts = {} } = manifest;
    expect(npm.filter((word) => !(word in scripts))).toEqual([]);
    expect(listCommandLines(text).flatMap(findCommandFault)).toEqual([]);
  });
});

/** What stands behind `aptkeep` in code: `./bin/aptkeep …` on a line of its own, or in backquotes. */
function listCommandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^ {4}(?:\.\/bin\/)?aptkeep ([a-z].*)$/gm)];
  const inline = [...text.matchAll(/`(?:\.\/bin\/)?aptkeep ([a-z][^`\n]*)`/g)];
  return [...blocks, ...inline].map((match) => match[1] ?? '');
}

/** Follows the words of a command line through the program; a fault is a word it does not know. */
function findCommandFault(line: string): string[] {
  let command: Command = createProgram();
  const words = line.split(/ # | \| | > |&&/)[0]?.split(/\s+/) ?? [];
  for (const word of words) {
    const child: Command | undefined = command.commands.find((one) => one.name() === word);
    if (!child) break;
    command = child;
  }
  if (command.parent === null) return [`aptkeep ${line}: no such command`];
  const flags = words.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0]);
  const known = [...command.options.map((option) => option.long), '--help', '--version'];
  return flags
    .filter((flag) => !known.includes(flag))
    .map((flag) => `aptkeep ${line}: no option ${flag}`);
}
