/**
 * The real apt as a client, in a root of its own for each server: the sources are the same but for
 * the port. Source: apt.conf(5).
 */
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../server.ts';

export interface Apt {
  update(): void;
  download(name: string): void;
  /** As on the first day. */
  forget(): void;
  /** Keeps what it knows, for `recall`. */
  keep(): void;
  /** Knows what it knew then. */
  recall(): void;
}

function replaceIn(folder: string, from: string, to: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, 'latin1');
    if (text.includes(from)) writeFileSync(path, text.replaceAll(from, to), 'latin1');
  }
}

/** Enrols a host below `root`, as `aptkeep host show NAME --apt --root` does. */
export function openApt(data: string, name: string, root: string, suite: string): Apt {
  const program = join(ROOT, 'bin/aptkeep');
  const run = (...words: string[]): string =>
    execFileSync(program, [...words, '--data', data], { encoding: 'utf8' });
  run('cert', 'issue', name, '--role', 'host', '--out', `${root}-client`);
  const script = run(...['host', 'show', name, '--apt', '--root', root]);
  execFileSync('sh', ['-s'], { cwd: `${root}-client`, input: script });
  const sources = join(root, 'etc/apt/sources.list.d');
  for (const file of readdirSync(sources)) {
    const text = readFileSync(join(sources, file), 'utf8');
    writeFileSync(join(sources, file), text.replace(/^Suites: .*$/m, `Suites: ${suite}`));
  }
  return asApt(root);
}

/** The same host asking another port. */
export function copyApt(from: string, to: string, ports: readonly [number, number]): Apt {
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
  replaceIn(to, from, to);
  replaceIn(to, `:${ports[0]}`, `:${ports[1]}`);
  return asApt(to);
}

function asApt(root: string): Apt {
  const run = (...words: string[]): void => {
    const options = ['-c', join(root, 'apt.conf'), '-o', 'APT::Sandbox::User=root', '-qq'];
    execFileSync('apt-get', [...options, '-o', 'APT::Update::Error-Mode=any', ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, APT_CONFIG: join(root, 'apt.conf'), LC_ALL: 'C.UTF-8' },
    });
  };
  const clean = (): void => run('clean');
  const lists = join(root, 'var/lib/apt/lists');
  const kept = `${lists}-kept`;
  const copy = (from: string, to: string): void => {
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true, preserveTimestamps: true });
  };
  return {
    update: () => run('update'),
    download(name) {
      clean();
      run('install', '--download-only', '-y', name);
    },
    forget: () => rmSync(lists, { recursive: true, force: true }),
    keep: () => copy(lists, kept),
    recall: () => copy(kept, lists),
  };
}
